import type { DockerCommand } from "../../../src/docker/command.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import { residentMb } from "../support/process.ts";
import { wrk } from "../support/wrk.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";

/** After that the memory of a start is as it stays, ms. */
const IDLE_MS = 2000;
/** Over how many connections the load comes. */
const CONNECTIONS = 32;

/** How big cless is. */
interface Sizes {
  /** From the start of the process to a good /readyz, ms. */
  readonly startMs: readonly number[];
  /** In memory, with no service, MB. */
  readonly idleMb: number;
  /** In memory after warm load, MB. */
  readonly loadedMb: number;
  /** Of the executable, MB; `undefined` where it was not built. */
  readonly executableMb: number | undefined;
}

/**
 * Starts cless some times, and puts the last one under load.
 *
 * @param folder For its data-dirs.
 */
async function sizes(
  docker: DockerCommand,
  folder: string,
  { starts, seconds }: { starts: number; seconds: number },
  signal: AbortSignal,
): Promise<Sizes> {
  const startMs: number[] = [];
  for (let n = 1; n < starts; n++) {
    await using cless = await ClessUnderTest.start(docker, `${folder}/sizes-${n}`, signal);
    startMs.push(cless.startMs);
  }
  await using cless = await ClessUnderTest.start(docker, `${folder}/sizes-${starts}`, signal);
  startMs.push(cless.startMs);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idleMb = await residentMb(cless.program.pid);
  using client = new HttpClient();
  checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  await wrk({ url: cless.url, host: APP_HOST, seconds, connections: CONNECTIONS }, signal);
  const loadedMb = await residentMb(cless.program.pid);
  return { startMs, idleMb, loadedMb, executableMb: await executableMb() };
}

async function executableMb(): Promise<number | undefined> {
  try {
    return (await Deno.stat(`${import.meta.dirname}/../../../cless`)).size / 1e6;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What {@linkcode sizes} tells. */
function sizesFindings({ startMs, idleMb, loadedMb, executableMb }: Sizes): Finding[] {
  return [
    { what: "start to /readyz", value: `${median(startMs).toFixed(0)} ms`, spread: spread(startMs, 0) },
    { what: "memory, idle with no service", value: `${idleMb.toFixed(0)} MB` },
    { what: "memory after warm load", value: `${loadedMb.toFixed(0)} MB` },
    {
      what: "size of ./cless",
      value: executableMb === undefined ? "not built (make build)" : `${executableMb.toFixed(1)} MB`,
    },
  ];
}

/** How big cless is, and how long it takes to start. */
export async function idle({ docker, folder, options, signal }: Bench): Promise<Outcome> {
  const load = { starts: options.rounds, seconds: options.seconds };
  return { findings: sizesFindings(await sizes(docker, folder, load, signal)) };
}
