import { UsageError } from "../base/errors.ts";
import { servicePath } from "./client.ts";
import { whileShown } from "./output/screen.ts";
import { confirmed } from "./question.ts";
import { clientVerb, QUIET_FLAG } from "./verb.ts";

/** `cless delete`: removes a service with all that belongs to it. */
export const deleteService = clientVerb({
  name: "delete",
  group: "Change",
  summary: "Delete a service with its revisions, and stop its instances",
  args: ["NAME"],
  flags: [{ name: "yes", short: "y", help: "Do not ask; needed where there is no terminal to ask on" }, QUIET_FLAG],
  notes: ["Ends when its containers are gone. History, secrets and volumes stay."],
  example: ["cless delete web --yes"],
  run: async (call) => {
    const name = call.args[0]!;
    const path = servicePath(name);
    if (!call.on("yes")) {
      await call.client.get(path); // one that is not there is nothing to ask about
      const yes = await confirmed(`Delete the service ${name} and all of its revisions?`);
      if (yes === undefined) throw new UsageError("there is no terminal to ask on; say --yes to delete without");
      if (!yes) {
        console.error(`${name} stays`);
        return 1;
      }
    }
    const remove = () => call.client.do("DELETE", path);
    const text = `waiting until ${name} has answered what it has, and its containers are gone…`;
    await (call.on("quiet") ? remove() : whileShown(text, remove));
    if (!call.on("quiet")) console.log(`${name} is deleted`);
    return 0;
  },
});
