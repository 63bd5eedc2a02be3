import { servicePath } from "./client.ts";
import { whileShown } from "./output/screen.ts";
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
    const name = call.args[0]!;
    const start = () => call.client.do("POST", servicePath(name, "wake"));
    await (call.on("quiet") ? start() : whileShown(`starting an instance of ${name}…`, start));
    if (!call.on("quiet")) console.log(`${name} is awake`);
  },
});
