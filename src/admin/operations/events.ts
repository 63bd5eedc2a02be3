import { z } from "zod";
import { within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { InvalidError } from "../../control/schema/invalid.ts";
import { defined } from "../../model/defined.ts";
import { content } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { flag, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { type ClessEvent, SlowSubscriber } from "../../control/events.ts";
import { NO_BUFFERING, streamOf } from "../stream.ts";

const operation = tagged("events");

/** A silent stream sends a comment at this interval. Without it, proxies would close the connection. */
const HEARTBEAT_MS = 15_000;
const ID = /^(0|[1-9][0-9]{0,15})$/;

/** The stream of events. */
export function eventOperations({ clock, events, statistics, stopping }: Collaborators) {
  return [
    operation({
      id: "streamEvents",
      route: "GET /v1/events",
      scope: "read",
      summary: "Follow what happens",
      description:
        "Server-sent events. `data` is JSON with `at`, `service` if the event is about one, and the fields of " +
        "the event's kind. `Last-Event-ID` resumes after that event, as far back as events are retained. A client that " +
        "reads too slowly is disconnected.",
      query: {
        service: z.string().max(100).optional().meta({ description: "Only events about this service" }),
        after: whole(0, Number.MAX_SAFE_INTEGER, {
          description: "The same as Last-Event-ID, for clients that cannot set headers",
        }).optional(),
        follow: flag(
          true,
          "Whether to go on with what happens from now on; else the stream ends with what is retained",
        ),
      },
      headers: {
        "Last-Event-ID": z.string().optional().meta({ pattern: ID.source, description: "Only events after this one" }),
      },
      answers: { 200: { description: "The events, by default an endless stream", types: ["text/event-stream"] } },
      run: ({ request, query: { after, follow, service } }) => {
        const id = readLastId(request.headers) ?? after;
        const wanted = follow ? { statistics, after: id } : { follow, after: id ?? 0 };
        const body = streamOf(
          (signal) => eventText(events.subscribe(defined({ signal, ...wanted })), clock, service),
          stopping,
        );
        return content(body, "text/event-stream", { headers: NO_BUFFERING });
      },
    }),
  ];
}

function readLastId(headers: Headers): number | undefined {
  const value = headers.get("last-event-id");
  if (value === null || value === "") return undefined;
  if (!ID.test(value)) throw new InvalidError(["Last-Event-ID"], "must be the id of an event");
  return Number(value);
}

/** The events of one service or of all as text, with a heartbeat while there are none. */
async function* eventText(
  events: AsyncIterable<ClessEvent>,
  clock: Clock,
  service: string | undefined,
): AsyncIterable<string> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next(); // asked for now, so that nothing that comes while the first line is sent is missed
  try {
    yield ": cless\n\n";
    for (let due = clock.now() + HEARTBEAT_MS;;) {
      const result = await within(next, clock, due - clock.now());
      if (result?.done) return;
      if (result !== undefined) {
        next = iterator.next();
        if (service !== undefined && result.value.service !== service) continue;
      }
      yield result === undefined ? ":\n\n" : showEvent(result.value);
      due = clock.now() + HEARTBEAT_MS;
    }
  } catch (error) {
    if (!(error instanceof SlowSubscriber)) throw error;
    yield ": too slow; go on with the last id\n\n";
  } finally {
    next.catch(() => {});
    iterator.return?.().catch(() => {});
  }
}

function showEvent({ at, data, id, service, type }: ClessEvent): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${type}\ndata: ${JSON.stringify({ at: timeOf(at), service, ...data })}\n\n`;
}
