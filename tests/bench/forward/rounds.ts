import { APP_HOST } from "../support/app.ts";
import type { Contender } from "./contenders.ts";
import type { Count } from "../support/count.ts";
import { BenchError } from "../support/errors.ts";
import { bodyBytes, type Load, MB } from "./loads.ts";
import type { GoSender } from "../support/go_sender.ts";
import { watchMemory } from "../support/memory_watch.ts";
import { cpuMicros, residentMb } from "../support/process.ts";
import { send } from "./sender.ts";
import { wrk } from "../support/wrk.ts";

const POST_SCRIPT = `${import.meta.dirname}/post.lua`;

/** What a proxy did in one round. */
export interface Turn {
  /** In user mode and in the kernel, per request. */
  readonly cpuMicros: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  /** The most that was in memory during the turn. */
  readonly highestMb: number;
}

/** What a proxy did under one load. */
export interface Played {
  /** In memory before the first request of this load. */
  readonly beforeMb: number;
  /** One for each round. */
  readonly turns: readonly Turn[];
}

/** How {@linkcode playRounds} goes about it. */
export interface RoundOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** How long each proxy is put under the load, unmeasured, right before its turn; `0` for not at all. */
  readonly warmUpSeconds: number;
  readonly sender: GoSender;
  readonly note: (line: string) => void;
}

/**
 * Puts the proxies under load one after the other, round after round, so that all have their share of a machine's
 * good and bad moments.
 *
 * @throws {BenchError} When there was a wrong answer.
 */
export async function playRounds(
  contenders: readonly Contender[],
  load: Load,
  { note, rounds, seconds, sender, warmUpSeconds }: RoundOptions,
  signal: AbortSignal,
): Promise<Map<Contender, Played>> {
  const played = new Map<Contender, { beforeMb: number; turns: Turn[] }>();
  for (const contender of contenders) {
    played.set(contender, { beforeMb: await residentMb(contender.pid), turns: [] });
    // Longer than before a turn: what a proxy does for the first time it does slowly for a while.
    await put(load, contender, { seconds: 2 * warmUpSeconds, sender }, signal);
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of orderOf(contenders, round)) {
      const turn = await play(load, contender, { seconds, warmUpSeconds, sender }, signal);
      played.get(contender)!.turns.push(turn);
      note(`round ${round + 1} of ${rounds}: ${contender.name}: ${turn.cpuMicros.toFixed(1)} µs`);
    }
  }
  return played;
}

/**
 * The order of a round. Each round begins with the next one, so that in as many rounds as there are of them everybody has
 * every place once; the next as many go backwards, so that nobody always comes after the same one.
 */
export function orderOf<T>(all: readonly T[], round: number): T[] {
  const isBackwards = Math.floor(round / all.length) % 2 === 1;
  const first = round % all.length;
  return all.map((_, place) => all.at((isBackwards ? first - place : first + place) % all.length)!);
}

/** What it takes to put a proxy under a load. */
type PutOptions = Pick<RoundOptions, "seconds" | "sender">;

async function play(
  load: Load,
  contender: Contender,
  { seconds, sender, warmUpSeconds }: PutOptions & Pick<RoundOptions, "warmUpSeconds">,
  signal: AbortSignal,
): Promise<Turn> {
  const { pid } = contender;
  await check(load, contender, sender, signal);
  await put(load, contender, { seconds: warmUpSeconds, sender }, signal);
  const before = await cpuMicros(pid);
  const { value, highestMb } = await watchMemory(pid, () => put(load, contender, { seconds, sender }, signal));
  const used = await cpuMicros(pid) - before;
  await check(load, contender, sender, signal);
  const { requests, requestsPerSecond, p99Ms } = value;
  return { cpuMicros: used / requests, requestsPerSecond, p99Ms, highestMb };
}

/** Has some answers looked at, byte for byte: wrk itself looks at the statuses only. */
function check(load: Load, contender: Contender, sender: GoSender, signal: AbortSignal): Promise<Count> {
  return naming(contender, load, send(sender, load, contender.url, { requests: load.connections }, signal));
}

/** Puts a proxy under a load; no time is no load. */
function put(load: Load, contender: Contender, { seconds, sender }: PutOptions, signal: AbortSignal): Promise<Count> {
  if (seconds === 0) return Promise.resolve({ requests: 0, requestsPerSecond: 0, p99Ms: 0 });
  const { connections, download, once, upload } = load;
  // wrk costs the machine less. What it has not received whole in the end it does not count though: that is little,
  // unless bodies are large, and these it reads in small pieces.
  const count = bodyBytes(load) >= MB ? send(sender, load, contender.url, { seconds }, signal) : wrk({
    url: `${contender.url}${download}`,
    host: APP_HOST,
    seconds,
    connections,
    headers: once ? ["Connection: close"] : [],
    script: upload === undefined ? undefined : POST_SCRIPT,
  }, signal);
  return naming(contender, load, count);
}

/** Has an error say whose it is. */
function naming<T>({ name }: Contender, { id }: Load, work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    throw error instanceof BenchError ? new BenchError(`${name}: ${id}: ${error.message}`) : error;
  });
}
