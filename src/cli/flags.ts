import { parseArgs } from "@std/cli/parse-args";
import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";
import type { GivenFlags } from "../base/config.ts";
import { UsageError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";

/** A flag of a verb, for {@linkcode parseFlags} and `--help`. */
export interface Flag {
  /** As `--help` shows it: `-f, --file FILE`. */
  readonly label: string;
  readonly name: string;
  /** Its letter, which follows a single hyphen. */
  readonly short?: string;
  /** The placeholder of its value in `--help`. A flag without a value is a switch, `--name` or `--no-name`. */
  readonly value?: string;
  readonly repeatable: boolean;
  /** Its text in `--help`. */
  readonly help: string;
  /** The default as `--help` shows it. */
  readonly default?: string;
  /** Its heading in `--help`. */
  readonly group?: string;
}

/**
 * Declares a flag.
 *
 * @param declared The flag as `--help` shows it, and its default: `-n, --limit N = 50`. A `…` after the value means
 * that the flag may be given several times. `--[no-]wait` is a switch that is on by default.
 */
export function flag(declared: string, help: string): Flag {
  const [label = "", preset] = declared.replace("…", "").split(" = ");
  const [, short, no, name, value] = /^(?:-(\w), )?--(\[no-\])?([a-z-]+)(?: (.+))?$/.exec(label)!;
  return {
    ...{ label, name: name!, repeatable: declared.includes("…"), help },
    ...defined({ short, value, default: no === undefined ? preset : "on" }),
  };
}

/** The flags of one heading of `--help`, as {@linkcode flag} takes them. */
export function inGroup(group: string, flags: Readonly<Record<string, string>>): Flag[] {
  return Object.entries(flags).map(([declared, help]) => ({ ...flag(declared, help), group }));
}

/** Flags that every verb has. */
export const COMMON: readonly Flag[] = [flag("-h, --help", "Show this help")];

/** What is on a command line. */
export interface ParsedFlags {
  /** The flags by name. */
  readonly given: GivenFlags;
  /** The other arguments. */
  readonly rest: string[];
  /** What is wrong: an unknown flag, a flag without its value, or a repeated flag that is not repeatable. */
  readonly mistakes: readonly string[];
}

/**
 * Parses a verb's arguments.
 *
 * @param hintOf What to do about an unknown flag such as `--lisen`, as the end of the mistake.
 */
export function parseFlags(
  args: readonly string[],
  flags: readonly Flag[],
  hintOf = (_flag: string): string => "; --help shows the flags",
): ParsedFlags {
  const mistakes: string[] = [];
  const all = [...flags, ...COMMON];
  const valued = all.filter((flag) => flag.value !== undefined).map((flag) => flag.name);
  const switches = all.filter((flag) => flag.value === undefined).map((flag) => flag.name);
  const rest: string[] = [];
  const parsed = parseArgs(normalize(args, all, mistakes), {
    string: valued,
    collect: [...valued, ...switches],
    boolean: switches,
    negatable: switches,
    unknown(arg, key) {
      if (key === undefined) {
        rest.push(arg); // the parser itself would turn `007` into a number
        return false;
      }
      if (switches.includes(key.replace(/^no-/, ""))) return true;
      const name = arg.replace(/=.*$/s, "");
      const nearest = didYouMean(name.replace(/^-+(?:no-)?/, ""), [...valued, ...switches], (near) => `--${near}`);
      const mistake = `unknown flag ${name}${nearest || hintOf(name)}`;
      if (!mistakes.includes(mistake)) mistakes.push(mistake); // the parser asks for each letter
      return false;
    },
  });
  const given = new Map<string, readonly string[] | boolean>();
  for (const flag of all) {
    const values = [parsed[flag.name]].flat();
    if (values.length === 0) continue;
    const texts = values.map(String);
    if (texts.includes("")) mistakes.push(valueMissing(flag));
    const isTooOften = flag.value !== undefined && !flag.repeatable && texts.length > 1;
    if (isTooOften) mistakes.push(`--${flag.name} was given ${texts.length} times`);
    const known = texts.filter((text) => text !== "");
    if (flag.value === undefined) given.set(flag.name, values.at(-1) === true);
    else if (known.length > 0) given.set(flag.name, known);
  }
  return { given, rest: [...rest, ...parsed._.map(String)], mistakes };
}

/**
 * Rewrites the arguments for the parser. `--flag value` becomes `--flag=value`, so that a value may begin with a
 * hyphen. A letter becomes the full name of its flag. What is a mistake is left out, and added to the mistakes.
 */
function normalize(args: readonly string[], flags: readonly Flag[], mistakes: string[]): string[] {
  const normal: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const letters = spelledOut(args[at]!, flags);
    const arg = letters.pop()!;
    normal.push(...letters);
    if (arg === "--") return [...normal, ...args.slice(at)];
    const switched = /^--(?:no-)?([^=]+)=/.exec(arg)?.[1];
    if (flags.some(({ name, value }) => name === switched && value === undefined)) {
      mistakes.push(`--${switched} takes no value; write --${switched} or --no-${switched}`);
      continue;
    }
    const flag = flags.find(({ name, short }) => arg === `--${name}` || arg === `-${short}`);
    if (flag?.value === undefined) {
      normal.push(flag === undefined ? arg : `--${flag.name}`);
      continue;
    }
    const next = args[at + 1];
    if (next === undefined || next.startsWith("--")) {
      mistakes.push(valueMissing(flag, next));
      continue;
    }
    at++;
    normal.push(`--${flag.name}=${next}`);
  }
  return normal;
}

/** @param next The argument after the flag: its value, or another flag. */
function valueMissing({ name, value }: Flag, next = "--"): string {
  const meant = next.replace(/=.*$/s, "=…"); // it may be a secret
  return `--${name} needs a value: --${name} ${value}` +
    (next === "--" ? "" : `; if ${meant} is the value, write --${name}=${meant}`);
}

/** Expands letters after one hyphen, as in `-ft`, and a letter with its value, as in `-n20`. */
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

/** Suggests the nearest known word, as in `; did you mean "serve"?`. Returns an empty text if none is near. */
export function didYouMean(word: string, known: readonly string[], show = (near: string) => `"${near}"`): string {
  const near = nearest(word, known);
  return near === undefined ? "" : `; did you mean ${show(near)}?`;
}

/**
 * The known word that a misspelled, shortened or longer word was probably meant to be; `undefined` if none is near, or
 * several are.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  return misspelled(word, known) ?? onlyOne(known.filter((one) => one.startsWith(word))) ??
    onlyOne(known.filter((one) => word.startsWith(`${one}-`) || word.endsWith(`-${one}`)));
}

function misspelled(word: string, known: readonly string[]): string | undefined {
  const near = closestString(word, known);
  const most = Math.max(1, Math.floor(Math.max(word.length, near.length) / 3));
  if (levenshteinDistance(word, near) <= most) return near;
  const letters = (text: string) => [...text].sort().join("");
  return known.find((one) => letters(one) === letters(word)); // such as lgos
}

/** The only word, or the one that all others only continue, as `env` of `env` and `env-file`. */
function onlyOne(words: readonly string[]): string | undefined {
  const [shortest] = words.toSorted((a, b) => a.length - b.length);
  return words.every((word) => word.startsWith(shortest!)) ? shortest : undefined;
}

/** Parses a text that was given on the command line. @throws {UsageError} If `parse` throws a RangeError. */
export function readGiven<T>(text: string, parse: (text: string) => T, source = ""): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`${source}"${text}" is not allowed: ${error.message}`);
  }
}
