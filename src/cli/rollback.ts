import type { ServiceJson } from "./api_types.ts";
import { printTraffic } from "./changed_service.ts";
import { servicePath } from "./client.ts";
import { clientVerb, JSON_FLAG, QUIET_FLAG } from "./verb.ts";

/** `cless rollback`: takes back the last change of a service's traffic. */
export const rollback = clientVerb({
  name: "rollback",
  group: "Change",
  summary: "Take back the last change of a service's traffic",
  args: ["NAME"],
  flags: [JSON_FLAG, QUIET_FLAG],
  notes: [
    "Done twice, the traffic is as it was before the first. The revisions that the traffic goes to stand by their names then: a later deploy takes all of it, unless it says otherwise.",
  ],
  example: ["cless rollback web"],
  run: async (call) =>
    printTraffic(call, await call.client.json<ServiceJson>("POST", servicePath(call.args[0]!, "rollback"))),
});
