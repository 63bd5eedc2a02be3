import type { RevisionSummaryJson } from "../admin/operations/revisions.ts";
import { servicePath } from "./client.ts";
import { age, ago, indented, plainText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

/** `cless revisions`: lists the revisions of a service, the newest first. */
export const revisions = clientVerb({
  name: "revisions",
  group: "Look",
  summary: "List the revisions of a service, the newest first",
  args: ["NAME"],
  flags: [JSON_FLAG, NAMES_FLAG],
  example: ["cless revisions web"],
  run: async (call) => {
    const all = await call.client.list<RevisionSummaryJson>(servicePath(call.args[0]!, "revisions"));
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ name }) => console.log(name));
    console.log(revisionTable(all, Date.now()));
  },
});

/** Revisions as a table, with a column for failures if there are any. */
export function revisionTable(revisions: readonly RevisionSummaryJson[], now: number): string {
  const failed = revisions.some(({ failure }) => failure !== undefined);
  return table(
    ["NAME", "TRAFFIC", "TAG", "IMAGE", "AGE", ...(failed ? ["FAILED"] : [])],
    revisions.map(({ name, percent, tag, image, createdAt, failure }) => [
      name,
      percent > 0 ? `${percent}%` : "-",
      tag ?? "-",
      image,
      age(createdAt, now),
      ...(failed ? [failure === undefined ? "-" : failureCount(failure, now)] : []),
    ]),
  );
}

/** The last failure of a revision; in a list it has no output. */
export type FailureJson = NonNullable<RevisionSummaryJson["failure"]> & { readonly output?: readonly string[] };

/** Why a revision fails, and below it the last lines that its app wrote. */
export function failureText(revision: string, failure: FailureJson, now: number): string {
  const { output = [], reason, retryInS } = failure;
  const refused = retryInS === undefined ? "" : `; requests are refused for ${retryInS}s more`;
  const head = `${revision} failed ${failureCount(failure, now)}${refused}: ${plainText(reason)}`;
  return [head, ...output.map((line) => indented(plainText(line)))].join("\n");
}

/** How often and when a revision has failed: `4 times in a row, 10s ago`. */
function failureCount({ at, count }: FailureJson, now: number): string {
  return `${count === 1 ? "once" : `${count} times in a row`}, ${ago(at, now)}`;
}
