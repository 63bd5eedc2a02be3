import type { InstanceJson } from "./api_types.ts";
import { age, ago } from "./output/ago.ts";
import { sizeText } from "./output/size_text.ts";
import { table } from "./output/table.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

/** `cless instances`: lists the containers that run, of all services or of some. */
export const instances = clientVerb({
  name: "instances",
  group: "Look",
  summary: "List the instances that run, of all services or of some",
  args: ["[NAME…]"],
  flags: [JSON_FLAG, NAMES_FLAG],
  example: ["cless instances", "cless instances web shop"],
  run: async (call) => {
    const all = (await call.client.list<InstanceJson>("/v1/instances"))
      .filter(({ service }) => call.args.length === 0 || call.args.includes(service));
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ id }) => console.log(id));
    if (all.length === 0) return console.error("no instance runs now; the next request starts one");
    console.log(instanceTable(all, Date.now()));
  },
});

/** Instances as a table. */
export function instanceTable(instances: readonly InstanceJson[], now: number): string {
  return table(
    ["ID", "SERVICE", "REVISION", "STATE", "IN-FLIGHT", "MEMORY", "ADDRESS", "AGE", "LAST-USED"],
    instances.map(({ id, service, revision, state, inFlight, memoryBytes, address, startedAt, lastUsedAt }) => [
      id,
      service,
      revision,
      state,
      String(inFlight),
      memoryBytes === undefined ? "-" : sizeText(memoryBytes),
      address,
      age(startedAt, now),
      ago(lastUsedAt, now),
    ]),
  );
}
