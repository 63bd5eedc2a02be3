import type { SentImageJson } from "../admin/operations/nodes.ts";
import { OperatorError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { flag } from "./flags.ts";
import { actionOf, type Call, clientVerb, JSON_FLAG, printJson, QUIET_FLAG } from "./verb.ts";

/** `cless image`: sends an image to the other machines of the Swarm. */
export const image = clientVerb({
  name: "image",
  summary: "Send an image of this machine to the others of the Swarm",
  args: ["send", "IMAGE"],
  flags: [flag("--node NAME", "Only to the machine with this hostname"), JSON_FLAG, QUIET_FLAG],
  notes: [
    "It is for images that no registry has: without it, instances of such an image run only where the image is. Machines that have the image already get nothing. It goes to those on which cless runs now.",
  ],
  example: ["cless image send golang-docker", "cless image send golang-docker --node two"],
  run: async (call) => await actionOf("image", call.args[0]!, { send })(call),
});

async function send(call: Call): Promise<void> {
  const [, image] = call.args;
  const body = defined({ image, node: call.text("node") });
  const all = await call.client.json<SentImageJson[]>("POST", "/v1/nodes/images", { body });
  if (call.on("json")) printJson(all);
  else if (!call.on("quiet")) {
    if (all.length === 0) console.error("cless runs on no other machine now");
    for (const { failure, node, sent } of all) {
      if (failure === undefined) console.log(`${node} ${sent ? "has it now" : "had it already"}`);
    }
  }
  const failures = all.flatMap(({ failure, node }) => failure === undefined ? [] : [`${node}: ${failure}`]);
  if (failures.length > 0) throw new OperatorError(failures);
}
