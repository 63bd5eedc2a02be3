import { servicePath } from "./client.ts";
import { whileShown } from "./output/screen.ts";
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
    const name = call.args[0]!;
    const stop = () => call.client.do("POST", servicePath(name, "sleep"));
    await (call.on("quiet") ? stop() : whileShown(`waiting until ${name} has answered what it has, and stops…`, stop));
    if (!call.on("quiet")) console.log(`${name} sleeps`);
  },
});
