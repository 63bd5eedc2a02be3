import { accepts } from "@std/http/negotiation";
import { z } from "zod";
import { defined } from "../../model/defined.ts";
import { parseDuration } from "../../model/time.ts";
import { content } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { flag, isInstant, revisionParam, serviceParam, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import type { ServiceLogLine } from "../../logs/instance_output.ts";
import { begunStreamOf, NO_BUFFERING, streamOf } from "../stream.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("logs");
const JSON_LINES = "application/x-ndjson";

const since = z.string().refine(
  (text) => isInstant(text) || isDuration(text),
  "must be a time such as 2026-11-25T10:00:00Z, or how long ago, such as 10m",
).optional().meta({
  pattern: "^([0-9]{1,10}(ms|s|m|h)|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2}))$",
  description: "Only what was written since: a time, or how long ago",
  examples: ["10m", "2026-11-25T10:00:00Z"],
});

/** The output of the instances of a service. */
export function logOperations({ catalog, logs, running, stopping }: Collaborators) {
  return [
    operation({
      id: "readLogs",
      route: "GET /v1/services/{name}/logs",
      scope: "read",
      summary: "Read the output of the instances of a service",
      description:
        "Each line has its instance. The instances come one after the other, first those that ended within the last " +
        "hour; with `follow`, new lines come as they are written. " +
        `As text, \`INSTANCE | [TIME ]TEXT\`, or, where the client accepts ${JSON_LINES}, an object a line with ` +
        "`instance`, `revision`, `stream`, `time` and `text`. A line of the instance `cless` says of which other machine " +
        "the lines are missing, and why.",
      params: { name: serviceParam },
      query: {
        follow: flag(false, "Whether to go on with what is written from now on"),
        tail: whole(0, 1_000_000, { description: "Only the last so many lines of each instance" }).optional(),
        since,
        timestamps: flag(false, "Whether each line of text has its time"),
        revision: revisionParam.optional(),
      },
      answers: { 200: { description: "The lines", types: ["text/plain", JSON_LINES] } },
      errors: ["not_found", "store_unavailable"],
      run: async ({ request, params: { name }, query: { follow, revision, since, tail, timestamps } }) => {
        if (running.of(name) === undefined) serviceOf(catalog, name); // its first deploy may be running
        const type = accepts(request, "text/plain", JSON_LINES) === JSON_LINES ? JSON_LINES : "text/plain";
        const show = type === JSON_LINES ? jsonLine : (line: ServiceLogLine) => textLine(line, timestamps);
        const options = { follow, tail, since, revision };
        const source = (signal: AbortSignal) => shownLines(logs.read(name, defined({ ...options, signal })), show);
        // Waits for the first line, so that an error before it becomes a status. It does not wait with `follow`, since
        // the first line may never come, or for HEAD, since nobody reads it.
        const body = follow || request.method === "HEAD" ? streamOf(source, stopping) : await begunStreamOf(source);
        const headers = follow ? NO_BUFFERING : {};
        return content(body, type === JSON_LINES ? type : "text/plain; charset=utf-8", { headers });
      },
    }),
  ];
}

async function* shownLines(lines: AsyncIterable<ServiceLogLine>, show: (line: ServiceLogLine) => string) {
  for await (const line of lines) yield show(line);
}

function textLine({ instance, text, time }: ServiceLogLine, timestamps: boolean): string {
  return `${instance} | ${timestamps && time !== undefined ? `${time} ` : ""}${text}\n`;
}

function jsonLine({ instance, revision, stream, text, time }: ServiceLogLine): string {
  return JSON.stringify({ instance, revision, stream, time, text }) + "\n";
}

function isDuration(text: string): boolean {
  try {
    return parseDuration(text) !== Infinity;
  } catch {
    return false;
  }
}
