import { parseArgs } from "node:util";
import { messageOf } from "../../src/errors.ts";
import { BenchUsageError } from "./errors.ts";

/** What can be measured, in the order in which it is. */
export const SCENARIOS = ["warm", "post", "cold", "herd", "sizes"] as const;
/** The name of something that can be measured. */
export type Scenario = typeof SCENARIOS[number];

/** What to measure, and how long. */
export interface Options {
  readonly only: readonly Scenario[];
  /** Whether the speed does not matter, only that the answers are right. */
  readonly quick: boolean;
  /** How often each proxy gets its turn. */
  readonly rounds: number;
  /** How long a turn takes. */
  readonly seconds: number;
  readonly coldStarts: number;
  readonly herds: number;
}

/** What `--help` prints. */
export const HELP = `usage: deno task bench [flags]

Compares cless with its peers on this machine, and prints the figures as Markdown.

  --quick       one short round of everything; fails on wrong answers only, not on speed
  --rounds N    how often each proxy gets its turn (5)
  --seconds N   how long a turn takes (6)
  --only LIST   some of ${SCENARIOS.join(",")}
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
  return {
    quick,
    only: flags.only === undefined ? SCENARIOS : readScenarios(flags.only),
    rounds: readCount("rounds", flags.rounds, quick ? 1 : 5),
    seconds: readCount("seconds", flags.seconds, quick ? 2 : 6),
    coldStarts: quick ? 3 : 20,
    herds: quick ? 1 : 5,
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
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new BenchUsageError(messageOf(error));
  }
}

function readScenarios(list: string): Scenario[] {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !SCENARIOS.some((scenario) => scenario === name));
  if (unknown !== undefined) {
    throw new BenchUsageError(`--only: "${unknown}" is not allowed: expected some of ${SCENARIOS.join(",")}`);
  }
  return SCENARIOS.filter((scenario) => names.includes(scenario));
}

function readCount(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,2}$/.test(text)) {
    throw new BenchUsageError(`--${flag}: "${text}" is not allowed: expected a whole number from 1 to 999`);
  }
  return Number(text);
}
