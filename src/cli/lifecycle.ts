import { UsageError } from "../base/errors.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { confirmed, whileShown } from "./terminal.ts";
import { type Call, clientVerb, QUIET_FLAG } from "./verb.ts";

/** `cless wake`: starts an instance before a request needs it. */
export const wake = clientVerb({
  name: "wake",
  summary: "Start an instance of a service now, and wait until it is ready",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  example: ["cless wake web"],
  run: (call) => change(call, "POST", ["wake"], "starting an instance of NAME…", "is awake"),
});

/** `cless sleep`: stops the instances of a service. */
export const sleep = clientVerb({
  name: "sleep",
  summary: "Stop all instances of a service, once their requests have been answered",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  notes: ["The next request starts an instance again."],
  example: ["cless sleep web"],
  run: (call) => change(call, "POST", ["sleep"], "waiting for the last requests of NAME, and stopping it…", "sleeps"),
});

/** The flag of verbs that ask before they delete. */
export const YES_FLAG = flag("-y, --yes", "Do not ask; needed if there is no terminal to ask on");

/** Whether to delete something: asks, unless `--yes` was given. @throws {UsageError} If there is no terminal. */
export async function mayDelete(call: Call, question: string): Promise<boolean> {
  if (call.on("yes")) return true;
  const answer = await confirmed(question);
  if (answer === undefined) throw new UsageError("there is no terminal to ask on; give --yes to delete without asking");
  return answer;
}

/** `cless delete`: removes a service and its revisions. */
export const deleteService = clientVerb({
  name: "delete",
  summary: "Delete a service with its revisions, and stop its instances",
  args: ["NAME"],
  flags: [YES_FLAG, QUIET_FLAG],
  notes: ["It returns when the containers are gone. History, secrets and volumes stay."],
  example: ["cless delete web --yes"],
  run: async (call) => {
    const name = call.args[0]!;
    if (!call.on("yes")) await call.client.get(servicePath(name)); // do not ask about a service that does not exist
    if (!await mayDelete(call, `Delete the service ${name} and all of its revisions?`)) {
      console.error(`${name} is not deleted`);
      return 1;
    }
    const waiting = "waiting for the last requests of NAME, until its containers are gone…";
    return await change(call, "DELETE", [], waiting, "is deleted");
  },
});

/** Sends a change of a service. Without `--quiet`, shows what it waits for, and then what it has done. */
async function change(call: Call, method: string, below: string[], waiting: string, done: string): Promise<void> {
  const name = call.args[0]!;
  const act = () => call.client.do(method, servicePath(name, ...below));
  if (call.on("quiet")) return await act();
  await whileShown(waiting.replace("NAME", () => name), act);
  console.log(`${name} ${done}`);
}
