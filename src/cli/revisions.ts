import type { ListedRevisionJson } from "./api_types.ts";
import { servicePath } from "./client.ts";
import { age } from "./output/ago.ts";
import { failureCount } from "./output/failure_text.ts";
import { table } from "./output/table.ts";
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
    const all = await call.client.list<ListedRevisionJson>(servicePath(call.args[0]!, "revisions"));
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ name }) => console.log(name));
    console.log(revisionTable(all, Date.now()));
  },
});

/** Revisions as a table; where one has failed lately, a column says so. */
export function revisionTable(revisions: readonly ListedRevisionJson[], now: number): string {
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
