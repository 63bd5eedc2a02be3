import { parseArgs } from "@std/cli/parse-args";
import type { GivenFlags } from "../base/config.ts";
import { UsageError } from "../base/errors.ts";
import { didYouMean } from "./did_you_mean.ts";

/** One flag of a verb, as `--help` shows it and as {@linkcode parseFlags} accepts it. */
export interface Flag {
  /** Without the leading hyphens. */
  readonly name: string;
  /** One letter that stands for it behind a single hyphen. */
  readonly short?: string;
  /** What stands for the value in `--help`; a flag without one is a switch, `--name` or `--no-name`. */
  readonly value?: string;
  /** Whether it may be given several times. */
  readonly repeatable?: boolean;
  /** What `--help` says of it. */
  readonly help: string;
  /** The default as `--help` shows it. */
  readonly default?: string;
  /** The heading of `--help` that it stands under. */
  readonly group?: string;
}

/** Flags that every verb has. */
export const COMMON: readonly Flag[] = [{ name: "help", short: "h", help: "Show this help" }];

/**
 * Reads the arguments of a verb.
 *
 * @returns The flags that were given, by name, and the arguments that are none.
 * @throws {UsageError} For an unknown flag, a flag without its value, or a single-valued flag that is given twice.
 */
export function parseFlags(args: readonly string[], flags: readonly Flag[]): { given: GivenFlags; rest: string[] } {
  const all = [...flags, ...COMMON];
  const valued = all.filter((flag) => flag.value !== undefined).map((flag) => flag.name);
  const switches = all.filter((flag) => flag.value === undefined).map((flag) => flag.name);
  const rest: string[] = [];
  const parsed = parseArgs(normalize(args, all), {
    string: valued,
    collect: [...valued, ...switches],
    boolean: switches,
    negatable: switches,
    unknown(arg, key) {
      if (key === undefined) {
        rest.push(arg); // the parser itself would make a number of `007`
        return false;
      }
      if (switches.includes(key.replace(/^no-/, ""))) return true;
      const name = arg.replace(/=.*$/s, "");
      const nearest = didYouMean(name.replace(/^-+(?:no-)?/, ""), [...valued, ...switches], (near) => `--${near}`);
      throw new UsageError(`unknown flag ${name}${nearest || "; --help shows those that there are"}`);
    },
  });
  const given = new Map<string, readonly string[] | boolean>();
  for (const flag of all) {
    const values = [parsed[flag.name]].flat();
    if (values.length === 0) continue;
    if (flag.value === undefined) {
      given.set(flag.name, values.at(-1) === true);
      continue;
    }
    const texts = values.map(String);
    if (texts.some((text) => text === "")) {
      throw new UsageError(`--${flag.name} needs a value: --${flag.name} ${flag.value}`);
    }
    if (texts.length > 1 && !flag.repeatable) throw new UsageError(`--${flag.name} was given ${texts.length} times`);
    given.set(flag.name, texts);
  }
  return { given, rest: [...rest, ...parsed._.map(String)] };
}

/**
 * Writes `--flag value` as `--flag=value`, so that a value that begins with a hyphen is still that flag's, and a letter as
 * the name that it stands for.
 *
 * @throws {UsageError} For a switch with a value.
 */
function normalize(args: readonly string[], flags: readonly Flag[]): string[] {
  const isNamed = (arg: string, flag: Flag) => arg === `--${flag.name}` || arg === `-${flag.short}`;
  const normal: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const letters = spelledOut(args[at]!, flags);
    const arg = letters.pop()!;
    normal.push(...letters);
    if (arg === "--") return [...normal, ...args.slice(at)];
    const next = args[at + 1];
    const switched = /^--(?:no-)?([^=]+)=/.exec(arg)?.[1];
    if (flags.some(({ name, value }) => name === switched && value === undefined)) {
      throw new UsageError(`--${switched} takes no value; write --${switched} or --no-${switched}`);
    }
    const flag = flags.find((flag) => isNamed(arg, flag));
    if (flag?.value !== undefined && next !== undefined && !next.startsWith("--")) {
      normal.push(`--${flag.name}=${next}`);
      at++;
    } else {
      normal.push(flag === undefined ? arg : `--${flag.name}`);
    }
  }
  return normal;
}

/** Several letters behind one hyphen, `-ft`, and a letter with its value, `-n20`, as the flags that they stand for. */
function spelledOut(arg: string, flags: readonly Flag[]): string[] {
  const [, letter, rest = ""] = /^-([A-Za-z])(.+)$/s.exec(arg) ?? [];
  const flag = letter === undefined ? undefined : flags.find(({ short }) => short === letter);
  if (flag === undefined) return [arg];
  if (flag.value !== undefined) return [`--${flag.name}=${rest.replace(/^=/, "")}`];
  const others = spelledOut(`-${rest}`, flags);
  const known = others.every((other) =>
    flags.some(({ name, short }) => other === `-${short}` || other.startsWith(`--${name}`))
  );
  return known ? [`--${flag.name}`, ...others] : [arg];
}
