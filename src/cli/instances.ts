import type { InstanceJson } from "../admin/operations/instances.ts";
import { age, ago, plainText, sizeText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

const HEADER = ["ID", "SERVICE", "REVISION", "STATE", "IN-FLIGHT", "MEMORY", "ADDRESS", "AGE", "LAST-USED"];

/** `cless instances`: lists the running containers, of all services or of some. */
export const instances = clientVerb({
  name: "instances",
  group: "Look",
  summary: "List the running instances, of all services or of some",
  args: ["[NAME…]"],
  flags: [JSON_FLAG, NAMES_FLAG],
  notes: [
    "A starting instance does not answer yet; a ready one serves; a paused one keeps its memory, uses no CPU, and wakes with the next request; a draining one answers its last requests, and is stopped then.",
    "MEMORY is what it uses now, without what the kernel could free at once.",
  ],
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

/** Instances as a table, with a column for failures if there are any. */
export function instanceTable(instances: readonly InstanceJson[], now: number): string {
  const failed = instances.some(({ failure }) => failure !== undefined);
  return table(
    [...HEADER, ...(failed ? ["FAILURE"] : [])],
    instances.map(({ id, service, revision, state, address, startedAt, lastUsedAt, ...instance }) => [
      id,
      service,
      revision,
      state,
      String(instance.inFlight),
      instance.memoryBytes === undefined ? "-" : sizeText(instance.memoryBytes),
      address || "-",
      age(startedAt, now),
      ago(lastUsedAt, now),
      ...(failed ? [plainText(instance.failure ?? "-")] : []),
    ]),
  );
}
