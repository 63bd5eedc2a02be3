import { DockerCommand } from "../../src/docker/command.ts";
import { messageOf, OperatorError } from "../../src/base/errors.ts";
import { forward } from "./forward/forward.ts";
import { idle } from "./idle/idle.ts";
import { overload } from "./overload/overload.ts";
import { openLoop } from "./open_loop/open_loop.ts";
import { growth } from "./growth/growth.ts";
import { hibernate } from "./hibernate/hibernate.ts";
import { https } from "./https/https.ts";
import { observe } from "./observe/observe.ts";
import { HELP, type Options, readOptions, type ScenarioId } from "./options.ts";
import type { Outcome, Scenario } from "./scenario.ts";
import { coldStart } from "./starts/cold_start.ts";
import { fifty } from "./starts/fifty.ts";
import { herd } from "./starts/herd.ts";
import { wake } from "./starts/wake.ts";
import { buildApp } from "./support/app.ts";
import { BenchError, BenchUsageError } from "./support/errors.ts";
import { type Finding, findingsTable } from "./support/finding.ts";
import { describeMachine } from "./support/machine.ts";
import { lockMachine } from "./support/machine_lock.ts";
import { upgrade } from "./upgrade/upgrade.ts";
import { uploads } from "./uploads/uploads.ts";
import { swarm } from "./swarm/swarm.ts";
import { howToInstall, TOOLS, versionOf } from "./support/tool.ts";

const SCENARIOS: Record<ScenarioId, Scenario> = {
  forward,
  https,
  observe,
  cold: coldStart,
  wake,
  hibernate,
  herd,
  fifty,
  openloop: openLoop,
  growth,
  idle,
  upgrade,
  upload: uploads,
  overload,
  swarm,
};

/** Runs the bench; returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (interrupt.signal.aborted) Deno.exit(130);
      note("ending what was started; once more to leave it");
      interrupt.abort(new BenchError("interrupted"));
    });
  }
  try {
    const options = readOptions(args);
    if (options === undefined) {
      console.log(HELP);
      return 0;
    }
    const findings = await bench(options, interrupt.signal);
    const missed = findings.filter(({ met }) => met === false);
    for (const { what, value, bar } of missed) console.error(`bench: missed: ${what}: ${value}, the bar is ${bar}`);
    return missed.length > 0 ? 1 : 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    const expected = [BenchError, BenchUsageError, OperatorError].some((type) => error instanceof type);
    console.error(`bench: ${expected ? "" : "this should not have happened: "}${messageOf(error)}`);
    return error instanceof BenchUsageError ? 2 : 1;
  }
}

/** Measures one thing after the other, prints, and ends everything that it has started. */
async function bench(options: Options, signal: AbortSignal): Promise<Finding[]> {
  if (await versionOf(TOOLS.wrk) === undefined) throw new BenchError(howToInstall(TOOLS.wrk));
  using _lock = await lockMachine();
  const docker = new DockerCommand("docker");
  const machine = await describeMachine(docker);
  const folder = await Deno.makeTempDir({ prefix: "cless-bench-" });
  await using started = new AsyncDisposableStack();
  started.defer(() => Deno.remove(folder, { recursive: true }));
  note("building the app's image");
  const app = await buildApp(docker, folder, signal);
  const outcomes: Outcome[] = [];
  for (const id of options.only) {
    signal.throwIfAborted();
    note(id);
    const own = `${folder}/${id}`;
    await Deno.mkdir(own);
    outcomes.push(
      await SCENARIOS[id]({ app, docker, folder: own, options, note: (line) => note(`${id}: ${line}`), signal }),
    );
  }
  const findings = outcomes.flatMap(({ findings }) => findings).map((finding) => judge(finding, options.quick));
  console.log([...outcomes.flatMap(({ tables = [] }) => tables), findingsTable(findings), machine].join("\n\n"));
  return findings;
}

/** A quick round tells of right answers only: how fast it was means nothing. */
function judge({ met, ...finding }: Finding, quick: boolean): Finding {
  return met === undefined || (quick && !finding.correctness) ? finding : { ...finding, met };
}

/** Says on stderr how far it is. */
function note(line: string): void {
  console.error(`bench: ${line}`);
}

Deno.exit(await main(Deno.args));
