import type { DockerCommand } from "../../src/docker/command.ts";
import { APP_HOST, checkAnswer } from "./app.ts";
import { ClessUnderTest } from "./cless_under_test.ts";
import { HttpClient } from "./http_client.ts";
import { residentMb } from "./process.ts";
import { wrk } from "./wrk.ts";

/** After that the memory of a start is as it stays, ms. */
const IDLE_MS = 2000;
/** Over how many connections the load comes. */
const CONNECTIONS = 32;

/** How big cless is. */
export interface Sizes {
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
export async function sizes(
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
    return (await Deno.stat(`${import.meta.dirname}/../../cless`)).size / 1e6;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
