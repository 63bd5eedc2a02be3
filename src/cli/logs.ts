import type { InstanceJson } from "../admin/operations/instances.ts";
import type { RevisionSummaryJson } from "../admin/operations/revisions.ts";
import { messageOf, OperatorError } from "../base/errors.ts";
import { linesOf } from "../base/streams.ts";
import { NOTE } from "../logs/cluster_logs.ts";
import type { ServiceLogLine } from "../logs/instance_output.ts";
import { ApiError, servicePath } from "./client.ts";
import { deploysOf, endOf, failedSince, failureText, hasFailed } from "./deploys.ts";
import { flag } from "./flags.ts";
import { untilInterrupted } from "./streams.ts";
import { type Colour, COLOURS, type Paint, paintFor, writeLine } from "./terminal.ts";
import { ago, sharesText } from "./text.ts";
import { type Call, clientVerb } from "./verb.ts";

/** `cless logs`: prints what the instances of a service write. */
export const logs = clientVerb({
  name: "logs",
  summary: "Print the output of a service's instances",
  args: ["NAME"],
  flags: [
    flag("-f, --follow", "Keep printing what they write from now on; Ctrl-C ends it"),
    flag("-n, --tail N", "Only the last N lines of each instance"),
    flag("--since TIME", "Only lines that are not older: 10m, or a time such as 2027-01-31T12:00:00Z"),
    flag("-t, --timestamps", "Print when each line was written"),
    flag("--revision REVISION", "Only the instances of one revision"),
  ],
  notes: [
    "Each line begins with its instance. Instances come one after the other, first those that ended within the last hour.",
    "If the service never worked, these are the last lines of its last deploy.",
  ],
  example: ["cless logs web -f --tail 20"],
  check: (call) => {
    call.whole("tail");
  },
  run: async (call) => {
    const follow = call.on("follow");
    const query = {
      follow: follow || undefined,
      tail: call.whole("tail"),
      since: call.text("since"),
      timestamps: call.on("timestamps") || undefined,
      revision: call.text("revision"),
    };
    const show = shower(paintFor(Deno.stdout, call.surroundings), call.on("timestamps"));
    try {
      return await untilInterrupted(async (signal) => {
        const options = { query, accept: "application/x-ndjson", signal };
        const { body } = await call.client.send("GET", servicePath(call.args[0]!, "logs"), options);
        const isNoted = await warnOfFailedDeploy(call);
        let isEmpty = true;
        try {
          for await (const line of linesOf(body!, signal)) {
            if (line === "") continue;
            const parsed = parseLine(line);
            if (parsed.instance === NOTE) {
              console.error(parsed.text);
              continue;
            }
            isEmpty = false;
            if (!await writeLine(show(parsed))) return 0; // nobody reads any more
          }
        } catch (error) {
          if (error instanceof OperatorError || signal.aborted) throw error;
          throw new OperatorError(`the logs have broken off: ${messageOf(error)}`);
        }
        signal.throwIfAborted();
        if (follow) throw new OperatorError("there are no more logs to follow: that cless has stopped");
        if (isEmpty && query.tail !== 0) await explainNothing(call, isNoted);
        return 0;
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return await printDeploy(call, error);
      throw error;
    }
  },
});

/** Says if the last deploy has failed, and what serves in its place. Resolves with whether it has. */
async function warnOfFailedDeploy(call: Call): Promise<boolean> {
  const { args: [name = ""], client } = call;
  const deploys = await deploysOf(client, name);
  if (!deploys.some(hasFailed)) return false;
  const revisions = await client.find<RevisionSummaryJson[]>(servicePath(name, "revisions")) ?? [];
  const failed = failedSince(deploys, revisions.find(({ latest }) => latest));
  const wanted = call.text("revision");
  if (failed === undefined || (wanted !== undefined && wanted !== failed.revision)) return false;
  const served = revisions.map(({ name: revision, percent }) => ({ revision, percent }));
  console.error(`a deploy of ${name}, ${ago(endOf(failed))}: ${failureText(failed)}`);
  console.error(`requests go to ${sharesText(served, "")}`);
  return true;
}

/** Says why there is no output. */
async function explainNothing(call: Call, isNoted: boolean): Promise<void> {
  const { args: [name = ""], client } = call;
  const [revision, since] = [call.text("revision"), call.text("since")];
  const runs = (await client.list<InstanceJson>("/v1/instances"))
    .some((one) => one.service === name && (revision === undefined || one.revision === revision));
  if (runs) {
    console.error(`the instances of ${name} have written nothing${since === undefined ? "" : ` since ${since}`}`);
  } else {
    const next = revision === undefined ? "; the next request starts one" : "";
    console.error(`no instance of ${revision ?? name} runs now, and no output of one is kept${next}`);
  }
  if (isNoted) console.error(`the output of that deploy: cless history ${name} --deploys`);
}

/**
 * Prints the output that is kept of the last deploy of a service that does not exist, since it never worked.
 *
 * @throws {OperatorError} If there is none; that is `missing`. @throws {OperatorError} If it should be followed.
 */
async function printDeploy(call: Call, missing: ApiError): Promise<number> {
  const { args: [name = ""], client } = call;
  const wanted = call.text("revision");
  const deploys = await deploysOf(client, name);
  const deploy = deploys.find(({ revision }) => wanted === undefined || revision === wanted);
  if (deploy === undefined) throw missing;
  console.error(`${name} does not run; of its last deploy, ${ago(endOf(deploy))}: ${failureText(deploy)}`);
  const tail = call.whole("tail") ?? deploy.output.length;
  const { revision = name } = deploy;
  const show = shower(paintFor(Deno.stdout, call.surroundings), false);
  for (const text of tail === 0 ? [] : deploy.output.slice(-tail)) {
    const line = show({ instance: revision, revision, stream: "stdout", time: undefined, text });
    if (!await writeLine(line)) return 0; // nobody reads any more
  }
  if (call.on("follow")) throw new OperatorError(`there is nothing to follow until a deploy of ${name} works`);
  return 0;
}

function parseLine(line: string): ServiceLogLine {
  try {
    return JSON.parse(line);
  } catch {
    throw new OperatorError("the server is not an admin API of cless; name it with --server");
  }
}

/** Writes each line after its instance's id, with a colour for each instance. */
function shower(paint: Paint, timestamps: boolean): (line: ServiceLogLine) => string {
  const colours = new Map<string, Colour>();
  return ({ instance, time, text }) => {
    const colour = colours.get(instance) ?? COLOURS[colours.size % COLOURS.length]!;
    colours.set(instance, colour);
    return `${paint(`${instance} |`, colour)} ${timestamps && time !== undefined ? `${time} ` : ""}${text}`;
  };
}
