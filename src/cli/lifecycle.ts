import type { ServiceJson } from "../admin/operations/services.ts";
import { UsageError } from "../base/errors.ts";
import { ApiError, servicePath } from "./client.ts";
import { deploysOf } from "./deploys.ts";
import { flag } from "./flags.ts";
import { Progress } from "./progress.ts";
import { confirmed, onlyWaits, stderrScreen, whileShown } from "./terminal.ts";
import { plainText } from "./text.ts";
import { type Call, clientVerb, QUIET_FLAG } from "./verb.ts";

/** `cless wake`: starts an instance before a request needs it. */
export const wake = clientVerb({
  name: "wake",
  summary: "Start an instance of a service now, and wait until it is ready",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  example: ["cless wake web"],
  run: async (call) => {
    const screen = onlyWaits(stderrScreen());
    await using _ = call.on("quiet") ? undefined : Progress.begin(call.client, call.args[0]!, screen);
    await change(call, "POST", ["wake"], "starting an instance of NAME…", () => "is awake");
  },
});

/** `cless sleep`: stops the instances of a service. */
export const sleep = clientVerb({
  name: "sleep",
  summary: "Stop all instances of a service, once their requests have been answered",
  args: ["NAME"],
  flags: [QUIET_FLAG],
  notes: ["The next request starts an instance again."],
  example: ["cless sleep web"],
  run: (call) => {
    const waiting = "waiting for the last requests of NAME, and stopping it…";
    return change(call, "POST", ["sleep"], waiting, async () => {
      const { failure } = await call.client.find<ServiceJson>(servicePath(call.args[0]!)) ?? {};
      const clause = failure === undefined ? undefined : plainText(failure.replace(/;.*/s, ""));
      const failed = "its last start has failed, and the next request tries again";
      return clause === undefined ? "sleeps" : `sleeps; ${failed}: ${clause}`;
    });
  },
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
  notes: [
    "It returns when the containers are gone. History, secrets and volumes stay.",
    "If the service never worked, it deletes what is kept of its deploys, and calls off its first deploy if that is running.",
  ],
  example: ["cless delete web --yes"],
  run: async (call) => {
    const name = call.args[0]!;
    const [question, done] = await deletionOf(call, name);
    if (!await mayDelete(call, question)) {
      console.error(`${name} is not deleted`);
      return 1;
    }
    const waiting = "waiting for the last requests of NAME, until its containers are gone…";
    return await change(call, "DELETE", [], waiting, () => done);
  },
});

/** What to ask before a deletion, and what it has done. @throws {ApiError} If there is nothing to delete. */
async function deletionOf({ client }: Call, name: string): Promise<[question: string, done: string]> {
  try {
    await client.get(servicePath(name));
    return [`Delete the service ${name} and all of its revisions?`, "is deleted"];
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    const deploys = await deploysOf(client, name);
    if (deploys.length === 0) throw error;
    if (deploys[0]!.outcome === "running") {
      return [`Call off the first deploy of ${name}?`, "is not deployed: its deploy is called off"];
    }
    return [
      `${name} never worked. Delete what is kept of its deploys?`,
      "never worked; what was kept of its deploys is deleted",
    ];
  }
}

/** Sends a change of a service. Without `--quiet`, shows what it waits for, and then what it has done. */
async function change(
  call: Call,
  method: string,
  below: string[],
  waiting: string,
  done: () => string | Promise<string>,
): Promise<void> {
  const name = call.args[0]!;
  const act = () => call.client.do(method, servicePath(name, ...below));
  if (call.on("quiet")) return await act();
  await whileShown(waiting.replace("NAME", () => name), act);
  console.log(`${name} ${await done()}`);
}
