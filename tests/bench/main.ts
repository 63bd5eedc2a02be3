import { DockerCommand } from "../../src/docker/command.ts";
import { messageOf, OperatorError } from "../../src/errors.ts";
import { buildApp } from "./app.ts";
import { ClessUnderTest } from "./cless_under_test.ts";
import { BareStarter, coldStarts } from "./cold_start.ts";
import { BenchError, BenchUsageError } from "./errors.ts";
import { type Finding, findingsTable } from "./finding.ts";
import { measureForwarding } from "./forwarding.ts";
import { type Herd, herd } from "./herd.ts";
import { describeMachine } from "./machine.ts";
import { lockMachine } from "./machine_lock.ts";
import { HELP, type Options, readOptions } from "./options.ts";
import { coldFindings, herdFindings, sizesFindings, storeFindings, wakeFindings } from "./report.ts";
import { sizes } from "./sizes.ts";
import { storeTimes } from "./store.ts";
import { wakes } from "./wake.ts";
import { howToInstall, TOOLS, versionOf } from "./tool.ts";

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
    const missed = findings.filter(({ met, correctness }) => met === false && (correctness || !options.quick));
    for (const { what, value, bar } of missed) console.error(`bench: missed: ${what}: ${value}, the bar is ${bar}`);
    return missed.length > 0 ? 1 : 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    const expected = [BenchError, BenchUsageError, OperatorError].some((type) => error instanceof type);
    console.error(`bench: ${expected ? "" : "this should not have happened: "}${messageOf(error)}`);
    return error instanceof BenchUsageError ? 2 : 1;
  }
}

/** Starts everything, measures, prints, and ends everything. */
async function bench(options: Options, signal: AbortSignal): Promise<Finding[]> {
  if (await versionOf(TOOLS.wrk) === undefined) throw new BenchError(howToInstall(TOOLS.wrk));
  using _lock = await lockMachine();
  const docker = new DockerCommand("docker");
  const machine = await describeMachine(docker);
  const folder = await Deno.makeTempDir({ prefix: "cless-bench-" });
  await using started = new AsyncDisposableStack();
  started.defer(() => Deno.remove(folder, { recursive: true }));
  const wanted = (scenario: Options["only"][number]) => options.only.includes(scenario);
  const tables: string[] = [];
  const findings: Finding[] = [];

  note("building the app's image");
  const app = await buildApp(docker, folder, signal);
  if (wanted("forward")) {
    const forwarding = await measureForwarding(docker, folder, { ...options, note: noteOf("forward") }, signal);
    tables.push(...forwarding.tables);
    findings.push(...forwarding.findings);
  }
  if (wanted("cold") || wanted("wake") || wanted("herd")) {
    await using cless = await ClessUnderTest.start(docker, `${folder}/cold`, signal);
    if (wanted("cold")) {
      await using bare = new BareStarter(docker, app, folder);
      const load = { count: options.coldStarts, note: noteOf("cold") };
      findings.push(...coldFindings(await coldStarts(cless, bare, load, signal)));
    }
    if (wanted("wake")) {
      const load = { count: options.wakes, note: noteOf("wake") };
      findings.push(...wakeFindings(await wakes(cless, docker, load, signal)));
    }
    if (wanted("herd")) {
      const herds: Herd[] = [];
      while (herds.length < options.herds) {
        signal.throwIfAborted();
        note(`herd: ${herds.length + 1} of ${options.herds}`);
        herds.push(await herd(cless, docker));
      }
      findings.push(...herdFindings(herds));
    }
  }
  if (wanted("sizes")) {
    note("sizes");
    const load = { starts: options.rounds, seconds: options.seconds };
    findings.push(...sizesFindings(await sizes(docker, folder, load, signal)));
  }
  if (wanted("store")) {
    note("store");
    findings.push(...storeFindings(await storeTimes(`${folder}/store`, options.rounds)));
  }
  console.log([...tables, findingsTable(findings), machine].join("\n\n"));
  return findings;
}

/** Says on stderr how far it is. */
function note(line: string): void {
  console.error(`bench: ${line}`);
}

function noteOf(scenario: string): (line: string) => void {
  return (line) => note(`${scenario}: ${line}`);
}

Deno.exit(await main(Deno.args));
