import type { ServiceJson } from "./api_types.ts";
import { age } from "./output/ago.ts";
import { table } from "./output/table.ts";
import { trafficText } from "./output/traffic_text.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

/** `cless services`: lists what is served. */
export const services = clientVerb({
  name: "services",
  group: "Look",
  summary: "List the services",
  args: [],
  flags: [JSON_FLAG, NAMES_FLAG],
  notes: ["A service that is there by convention alone is listed once it has been used."],
  example: ["cless services", "cless services --json | jq -r '.[].url'"],
  run: async (call) => {
    const all = await call.client.list<ServiceJson>("/v1/services");
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ name }) => console.log(name));
    if (all.length === 0) return console.error("there are no services yet; cless deploy makes one");
    const now = Date.now();
    console.log(table(
      ["NAME", "URL", "REVISION", "TRAFFIC", "AGE"],
      all.map(({ name, url, latestRevision, traffic, createdAt }) => [
        name,
        url,
        latestRevision,
        trafficText(traffic, latestRevision),
        age(createdAt, now),
      ]),
    ));
  },
});
