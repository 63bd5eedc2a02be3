import { servicePath } from "./client.ts";
import { clientVerb, QUIET_FLAG } from "./verb.ts";

/** `cless wake`: starts an instance before somebody asks. */
export const wake = clientVerb({
  name: "wake",
  group: "Change",
  summary: "Start an instance of a service now, and wait until it is ready",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  example: ["cless wake web"],
  run: async (call) => {
    await call.client.do("POST", servicePath(call.args[0]!, "wake"));
    if (!call.on("quiet")) console.log(`${call.args[0]} is awake`);
  },
});
