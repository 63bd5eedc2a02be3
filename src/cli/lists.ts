import type { InstanceJson } from "../admin/operations/instances.ts";
import type { RevisionSummaryJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { servicePath } from "./client.ts";
import { age, ago, indented, plainText, sharesText, sizeText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printList } from "./verb.ts";

/** `cless services`: lists the services. */
export const services = clientVerb({
  name: "services",
  summary: "List the services, each with its state",
  flags: [JSON_FLAG, NAMES_FLAG],
  notes: [
    "STATE is ready, starting, paused, asleep (without an instance), or failing with the reason: its last start failed, and no instance could answer a request.",
    "A service that nobody has declared, found by the name of its image, is listed once it has been used.",
  ],
  example: ["cless services", "cless services --json | jq -r '.[].url'"],
  run: async (call) => {
    const all = await call.client.list<ServiceJson>("/v1/services");
    const rows = all.map((service) => [
      service.name,
      service.url,
      service.latestRevision,
      sharesText(service.traffic, service.latestRevision),
      age(service.createdAt),
      stateText(service).replace(/;.*/s, ""), // `describe` shows what to do about it
    ]);
    const list = table(["NAME", "URL", "REVISION", "TRAFFIC", "AGE", "STATE"], rows);
    printList(call, all, list, "there are no services yet; cless deploy makes one");
  },
});

/** The state of a service, with the reason if it is failing. */
export function stateText({ state, failure }: Pick<ServiceJson, "state" | "failure">): string {
  return failure === undefined ? state : `${state}: ${plainText(failure)}`;
}

/** `cless revisions`: lists the revisions of a service, the newest first. */
export const revisions = clientVerb({
  name: "revisions",
  summary: "List the revisions of a service, the newest first",
  args: ["NAME"],
  flags: [JSON_FLAG, NAMES_FLAG],
  example: ["cless revisions web"],
  run: async (call) => {
    const all = await call.client.list<RevisionSummaryJson>(servicePath(call.args[0]!, "revisions"));
    printList(call, all, revisionTable(all));
  },
});

/** Revisions as a table, with a column for failures if there are any. */
export function revisionTable(revisions: readonly RevisionSummaryJson[]): string {
  const failed = revisions.some(({ failure }) => failure !== undefined);
  const columns = ["NAME", "TRAFFIC", "TAG", "IMAGE", "AGE"];
  const rows = revisions.map(({ name, percent, tag = "-", image, createdAt, failure }) => [
    ...[name, percent > 0 ? `${percent}%` : "-", tag, image, age(createdAt)],
    ...(failed ? [failure === undefined ? "-" : failureCount(failure)] : []),
  ]);
  return table(failed ? [...columns, "FAILED"] : columns, rows);
}

/** The last failure of a revision; in a list it has no output. */
export type FailureJson = NonNullable<RevisionSummaryJson["failure"]> & { readonly output?: readonly string[] };

/** Why a revision fails, with the app's last lines below. */
export function failureText(revision: string, failure: FailureJson): string {
  const { output = [], reason, retryInS } = failure;
  const refused = retryInS === undefined ? "" : `; requests are refused for ${retryInS}s more`;
  const head = `${revision} failed ${failureCount(failure)}${refused}: ${plainText(reason)}`;
  return [head, ...output.map((line) => indented(plainText(line)))].join("\n");
}

/** How often and when a revision has failed: `4 times in a row, 10s ago`. */
function failureCount({ at, count }: FailureJson): string {
  return `${count === 1 ? "once" : `${count} times in a row`}, ${ago(at)}`;
}

/** `cless instances`: lists the running containers, of all services or of some. */
export const instances = clientVerb({
  name: "instances",
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
    printList(call, all, instanceTable(all), "no instance runs now; the next request starts one");
  },
});

/** Instances as a table, with a column for failures if there are any. */
export function instanceTable(instances: readonly InstanceJson[]): string {
  const failed = instances.some(({ failure }) => failure !== undefined);
  const columns = ["ID", "SERVICE", "REVISION", "STATE", "IN-FLIGHT", "MEMORY", "ADDRESS", "AGE", "LAST-USED"];
  const rows = instances.map(({ id, service, revision, state, inFlight, ...instance }) => [
    ...[id, service, revision, state, String(inFlight)],
    instance.memoryBytes === undefined ? "-" : sizeText(instance.memoryBytes),
    instance.address || "-",
    age(instance.startedAt),
    ago(instance.lastUsedAt),
    ...(failed ? [plainText(instance.failure ?? "-")] : []),
  ]);
  return table(failed ? [...columns, "FAILURE"] : columns, rows);
}
