import { APP_HOST, checkAnswer } from "./app.ts";
import { BenchError } from "./errors.ts";
import { HttpClient } from "./http_client.ts";
import { cpuMicros } from "./process_cpu.ts";
import { type Load, wrk } from "./wrk.ts";

/** How many answers are looked at before and after each turn; wrk itself looks at the statuses only. */
const CHECKED_ANSWERS = 8;

/** A proxy that is running. */
export interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

/** What a proxy did in one round. */
export interface Turn {
  /** In user mode and in the kernel, per request. */
  readonly cpuMicros: number;
  /** That, divided by what the floor used in the same round. */
  readonly ratio: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}

/** How {@linkcode playRounds} goes about it. */
export interface RoundOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** A Lua script for wrk that makes uploads. */
  readonly script?: string | undefined;
  readonly note: (line: string) => void;
}

/**
 * Puts the proxies under load one after the other, round after round, so that all have their share of a machine's
 * good and bad moments.
 *
 * @param floor The one among them that the others are measured against.
 * @returns The turns of each proxy.
 * @throws {BenchError} When there was a wrong answer.
 */
export async function playRounds(
  contenders: readonly Contender[],
  floor: Contender,
  { rounds, seconds, script, note }: RoundOptions,
  signal: AbortSignal,
): Promise<Map<Contender, Turn[]>> {
  const turns = new Map<Contender, Turn[]>(contenders.map((contender) => [contender, []]));
  const warmUpSeconds = Math.min(2, seconds);
  for (const { url } of contenders) await wrk({ url, host: APP_HOST, seconds: warmUpSeconds, script }, signal);
  for (let round = 1; round <= rounds; round++) {
    const played = new Map<Contender, Omit<Turn, "ratio">>();
    for (const contender of contenders) {
      const turn = await play(contender, { url: contender.url, host: APP_HOST, seconds, script }, signal);
      played.set(contender, turn);
      note(`round ${round} of ${rounds}: ${contender.name}: ${turn.cpuMicros.toFixed(1)} µs`);
    }
    const least = played.get(floor)!.cpuMicros;
    for (const [contender, turn] of played) turns.get(contender)!.push({ ...turn, ratio: turn.cpuMicros / least });
  }
  return turns;
}

async function play(contender: Contender, load: Load, signal: AbortSignal): Promise<Omit<Turn, "ratio">> {
  try {
    return await measure(contender, load, signal);
  } catch (error) {
    throw error instanceof BenchError ? new BenchError(`${contender.name}: ${error.message}`) : error;
  }
}

async function measure({ name, pid, url }: Contender, load: Load, signal: AbortSignal): Promise<Omit<Turn, "ratio">> {
  using client = new HttpClient();
  const check = async () => {
    for (let n = 0; n < CHECKED_ANSWERS; n++) {
      const body = load.script === undefined ? {} : { body: "x".repeat(100) };
      checkAnswer(await client.ask(url, { host: APP_HOST, ...body }), name);
    }
  };
  await check();
  const before = await cpuMicros(pid);
  const { requests, requestsPerSecond, p99Ms } = await wrk(load, signal);
  const used = await cpuMicros(pid) - before;
  await check();
  return { cpuMicros: used / requests, requestsPerSecond, p99Ms };
}
