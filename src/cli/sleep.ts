import { servicePath } from "./client.ts";
import { clientVerb, QUIET_FLAG } from "./verb.ts";

/** `cless sleep`: stops the instances of a service. */
export const sleep = clientVerb({
  name: "sleep",
  group: "Change",
  summary: "Stop all instances of a service, after what is in flight",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  notes: ["The next request starts one again."],
  example: ["cless sleep web"],
  run: async (call) => {
    await call.client.do("POST", servicePath(call.args[0]!, "sleep"));
    if (!call.on("quiet")) console.log(`${call.args[0]} sleeps`);
  },
});
