import { COMMON, type Flag } from "../flags.ts";
import type { Verb } from "../verb.ts";

/** What a shell needs to know of a verb; lists of words. */
export interface VerbWords {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** All flags as they are written. */
  readonly written: readonly string[];
  /** Those that a value follows. */
  readonly valued: readonly string[];
  /** Those that a file follows. */
  readonly files: readonly string[];
  /** Those that a folder follows. */
  readonly folders: readonly string[];
  /** What may stand as the first argument. */
  readonly words: readonly string[];
  /** Whether the arguments are names of services: none, the first, or all of them. */
  readonly services: "none" | "first" | "all";
}

/** What a shell needs to know of the verbs. */
export function wordsOf(verbs: readonly Verb[]): VerbWords[] {
  return verbs.map(({ name, summary, flags: own, words = [], ofService, usage }) => {
    const flags = [...own, ...COMMON];
    const valued = (value: RegExp) => flags.filter((flag) => flag.value !== undefined && value.test(flag.value));
    return {
      ...{ name, summary, flags, words },
      written: flags.flatMap((flag) => [
        `--${flag.name}`,
        ...(flag.value === undefined && flag.default === "on" ? [`--no-${flag.name}`] : []),
      ]),
      valued: valued(/./).flatMap(spellings),
      files: valued(/^FILE$/).flatMap(spellings),
      folders: valued(/^DIR$/).flatMap(spellings),
      services: ofService ? usage.includes("NAME…") ? "all" : "first" : "none",
    };
  });
}

function spellings({ name, short }: Flag): string[] {
  return [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
}

/** A text as one word of a shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
