import type { ServiceJson } from "../admin/operations/services.ts";
import { age, plainText, sharesText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

/** `cless services`: lists the services. */
export const services = clientVerb({
  name: "services",
  group: "Look",
  summary: "List the services, each with its state",
  args: [],
  flags: [JSON_FLAG, NAMES_FLAG],
  notes: [
    "STATE is ready, starting, paused, asleep (without an instance), or failing with the reason: its last start failed, and no instance could answer a request.",
    "A service that nobody has declared, found by the name of its image, is listed once it has been used.",
  ],
  example: ["cless services", "cless services --json | jq -r '.[].url'"],
  run: async (call) => {
    const all = await call.client.list<ServiceJson>("/v1/services");
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ name }) => console.log(name));
    if (all.length === 0) return console.error("there are no services yet; cless deploy makes one");
    const now = Date.now();
    console.log(table(
      ["NAME", "URL", "REVISION", "TRAFFIC", "AGE", "STATE"],
      all.map((service) => [
        service.name,
        service.url,
        service.latestRevision,
        sharesText(service.traffic, service.latestRevision),
        age(service.createdAt, now),
        stateText(service).replace(/;.*/s, ""), // what to do about it is in describe
      ]),
    ));
  },
});

/** The state of a service, with the reason if it is failing. */
export function stateText({ state, failure }: Pick<ServiceJson, "state" | "failure">): string {
  return failure === undefined ? state : `${state}: ${plainText(failure)}`;
}
