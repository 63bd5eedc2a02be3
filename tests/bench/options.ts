import { parseArgs } from "node:util";
import { messageOf } from "../../src/base/errors.ts";
import { PEER_IDS } from "./forward/contenders.ts";
import { BenchUsageError } from "./support/errors.ts";
import { type Load, LOADS } from "./forward/loads.ts";

/** What can be measured, in the order in which it is. */
const SCENARIO_IDS = [
  "forward",
  "https",
  "observe",
  "cold",
  "wake",
  "hibernate",
  "herd",
  "fifty",
  "openloop",
  "growth",
  "idle",
  "upgrade",
  "upload",
  "overload",
  "swarm",
] as const;
/** The name of something that can be measured. */
export type ScenarioId = typeof SCENARIO_IDS[number];

const LOAD_IDS = LOADS.map(({ id }) => id);

/** What to measure, and how long. */
export interface Options {
  readonly only: readonly ScenarioId[];
  /** What the proxies are put under. */
  readonly loads: readonly Load[];
  /** The ids of those that cless is compared with, beside the floor. */
  readonly peers: readonly string[];
  /** Whether the speed does not matter, only that the answers are right. */
  readonly quick: boolean;
  /** How often each proxy gets its turn. */
  readonly rounds: number;
  /** How long a turn takes. */
  readonly seconds: number;
  /** How long a proxy is under load before its turn. */
  readonly warmUpSeconds: number;
  readonly coldStarts: number;
  readonly wakes: number;
  /** How often each service hibernates. */
  readonly hibernations: number;
  /** How many services hibernate at the same time. */
  readonly hibernatedServices: number;
  readonly herds: number;
  /** How many services are started at once. */
  readonly services: number;
  /** How many containers a new process takes over. */
  readonly adopted: number;
  /** How many services are paused while cless idles. */
  readonly pausedServices: number;
  /** How long it is looked at then, each time. */
  readonly idleSeconds: number;
  /** How many services the open loop declares. */
  readonly openLoopServices: number;
  /** How many of them it sends requests to. */
  readonly openLoopWarm: number;
  /** How many services there are beside one. */
  readonly manyServices: number;
  /** How long chunked uploads are, in MB. */
  readonly uploadMegabytes: readonly number[];
  /** How often each kind is sent. */
  readonly uploadRounds: number;
  /** How often a service is started on a Swarm, in each way. */
  readonly swarmStarts: number;
  /** How many services a Swarm's store has in the end. */
  readonly swarmServices: number;
}

/** What `--help` prints. */
export const HELP = `usage: deno task bench [flags]

Compares cless with its peers on this machine, and prints the figures as Markdown.

  --quick       one short round of everything; fails on wrong answers only, not on speed
  --rounds N    how often each proxy gets its turn (5)
  --seconds N   how long a turn takes (2)
  --only LIST   some of ${SCENARIO_IDS.join(",")}
  --loads LIST  of forward, some of ${LOAD_IDS.join(",")}
  --peers LIST  of forward, some of ${PEER_IDS.join(",")}; cless exact and the floor always play
  --help`;

/**
 * Reads the command line.
 *
 * @returns `undefined` where only help is asked for.
 * @throws {BenchUsageError}
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const flags = parse(args);
  if (flags.help) return undefined;
  const quick = flags.quick ?? false;
  const loads = readList("loads", flags.loads, LOAD_IDS);
  return {
    quick,
    only: readList("only", flags.only, SCENARIO_IDS),
    loads: LOADS.filter(({ id }) => loads.includes(id)),
    peers: readList("peers", flags.peers, PEER_IDS),
    rounds: readCount("rounds", flags.rounds, quick ? 1 : 5),
    seconds: readCount("seconds", flags.seconds, quick ? 1 : 2),
    warmUpSeconds: quick ? 0 : 1,
    coldStarts: quick ? 3 : 20,
    wakes: quick ? 3 : 200,
    hibernations: quick ? 1 : 5,
    hibernatedServices: quick ? 3 : 200,
    herds: quick ? 1 : 5,
    services: quick ? 10 : 50,
    adopted: quick ? 5 : 200,
    pausedServices: quick ? 3 : 100,
    idleSeconds: quick ? 2 : 20,
    openLoopServices: quick ? 22 : 220,
    openLoopWarm: quick ? 2 : 20,
    manyServices: quick ? 200 : 10_000,
    uploadMegabytes: quick ? [10] : [100, 600],
    uploadRounds: quick ? 1 : 2,
    swarmStarts: quick ? 2 : 10,
    swarmServices: quick ? 40 : 1000,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean" },
        rounds: { type: "string" },
        seconds: { type: "string" },
        only: { type: "string" },
        loads: { type: "string" },
        peers: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new BenchUsageError(messageOf(error));
  }
}

/** Those of a list's names that were given, in its order; all of them where the flag is missing. */
function readList<T extends string>(flag: string, text: string | undefined, all: readonly T[]): readonly T[] {
  if (text === undefined) return all;
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !all.some((known) => known === name));
  if (unknown !== undefined) {
    throw new BenchUsageError(`--${flag}: "${unknown}" is not allowed: expected some of ${all.join(",")}`);
  }
  return all.filter((name) => names.includes(name));
}

function readCount(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,2}$/.test(text)) {
    throw new BenchUsageError(`--${flag}: "${text}" is not allowed: expected a whole number from 1 to 999`);
  }
  return Number(text);
}
