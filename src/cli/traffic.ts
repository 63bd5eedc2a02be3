import { OperatorError, UsageError } from "../base/errors.ts";
import type { ServiceJson } from "./api_types.ts";
import { changeService, printTraffic } from "./changed_service.ts";
import { servicePath } from "./client.ts";
import { changedTraffic, parsePart, parseTag, type TrafficPart } from "./traffic_parts.ts";
import { trafficTable } from "./output/traffic_table.ts";
import { type Call, clientVerb, JSON_FLAG, printJson, QUIET_FLAG } from "./verb.ts";

/** `cless traffic`: shows or says which revision of a service gets how much, and under which tags they have addresses. */
export const traffic = clientVerb({
  name: "traffic",
  group: "Change",
  summary: "Show or split the traffic of a service among its revisions",
  args: ["NAME", "[REVISION=PERCENT[,tag=TAG]…]"],
  flags: [
    {
      name: "tag",
      value: "REVISION=TAG",
      repeatable: true,
      help: "Give a revision an address of its own, TAG--NAME; whichever has the tag now loses it",
    },
    { name: "untag", value: "TAG", repeatable: true, help: "Take a tag away" },
    JSON_FLAG,
    QUIET_FLAG,
  ],
  notes: [
    "With NAME alone, the split is shown as it is.",
    "What is listed is the whole split and sums to 100; a revision that is not listed gets nothing. latest stands for whichever revision was deployed last.",
    "Tags stay with their revisions, also with those that are not listed, unless they are moved or taken away; tag= with nothing behind it takes one away too. With --tag or --untag alone, the percents stay.",
  ],
  example: [
    "cless traffic web",
    "cless traffic web web-00002=70 web-00001=30",
    "cless traffic web latest=100",
    "cless traffic web --tag web-00003=next",
  ],
  run: async (call) => {
    const [name = "", ...texts] = call.args;
    const change = {
      parts: texts.map(readPart),
      tags: call.read("tag", parseTag),
      untag: call.texts("untag"),
    };
    if (change.parts.length + change.tags.length + change.untag.length === 0) return await showTraffic(call, name);
    const twice = change.parts.find(({ revision }, at) =>
      change.parts.findIndex((other) => other.revision === revision) < at
    );
    if (twice !== undefined) throw new UsageError(`${twice.revision} is there twice; its whole percent stands once`);
    const changed = await changeService(call.client, name, (service) => {
      if (service === undefined) throw new OperatorError(`there is no service ${name}`);
      const missing = change.untag.find((untag) => !service.traffic.some(({ tag }) => tag === untag));
      if (missing !== undefined) throw new OperatorError(`no revision of ${name} has the tag ${missing}`);
      return call.client.json<ServiceJson>("PUT", servicePath(name, "traffic"), {
        body: changedTraffic(service.traffic, service.latestRevision, change),
        ifMatch: service.etag,
      });
    });
    printTraffic(call, changed);
  },
});

/** Prints the split as it is. */
async function showTraffic(call: Call, name: string): Promise<void> {
  const service = await call.client.get<ServiceJson>(servicePath(name));
  if (call.on("json")) return printJson(service);
  if (!call.on("quiet")) console.log(trafficTable(service));
}

function readPart(text: string): TrafficPart {
  try {
    return parsePart(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`"${text}" is not allowed: ${error.message}`);
  }
}
