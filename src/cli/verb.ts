import { type GivenFlags, type Surroundings, systemSurroundings } from "../base/config.ts";
import { UsageError } from "../base/errors.ts";
import { Client } from "./client.ts";
import { CLIENT_FLAGS, readClientSettings } from "./client_settings.ts";
import { type Flag, flag, readGiven } from "./flags.ts";

/** A verb of the command line. Its parsing, help and completions all come from this declaration. */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  /**
   * Its arguments as the usage shows them: `[ARG]` is optional, `[ARG…]` may be repeated, `on|off` is one of these
   * words. If the first argument is NAME or `[NAME]`, it is a service's name.
   */
  readonly args?: readonly string[];
  readonly flags: readonly Flag[];
  /** Further paragraphs of `--help`. */
  readonly notes?: readonly string[];
  readonly example: readonly string[];
  /** @returns The exit code; nothing means 0. */
  readonly run: (call: Call) => Promise<number | void>;
}

/** Verbs by their headings in `cless --help`. */
export type VerbGroups = Readonly<Record<string, readonly Verb[]>>;

/** Adds the flags of verbs that use a running cless. */
export function clientVerb(verb: Verb): Verb {
  return { ...verb, flags: [...verb.flags, ...CLIENT_FLAGS] };
}

/** One call of a verb, with its flags and arguments, and a client of the admin API. */
export class Call implements Disposable {
  readonly args: readonly string[];
  readonly flags: GivenFlags;
  readonly surroundings: Surroundings = systemSurroundings();
  #client: Client | undefined;

  constructor(args: readonly string[], flags: GivenFlags) {
    this.args = args;
    this.flags = flags;
  }

  /** The client, made at the first use. @throws {UsageError} If its flags or variables are wrong. */
  get client(): Client {
    return this.#client ??= new Client(readClientSettings(this.flags, this.surroundings));
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
  }

  /** Whether a switch that is off by default is on. */
  on(flag: string): boolean {
    return this.flags.get(flag) === true;
  }

  texts(flag: string): readonly string[] {
    const value = this.flags.get(flag);
    return Array.isArray(value) ? value : [];
  }

  /** The value of a flag that can be given once. */
  text(flag: string): string | undefined {
    return this.texts(flag)[0];
  }

  /** The parsed values of a flag. @throws {UsageError} If `parse` throws a RangeError. The message names the flag. */
  read<T>(flag: string, parse: (text: string) => T): T[] {
    return this.texts(flag).map((text) => readGiven(text, parse, `--${flag}: `));
  }

  whole(flag: string): number | undefined {
    return this.read(flag, parseWhole)[0];
  }
}

/** The action that a verb's first argument names. @throws {UsageError} If there is no such action. */
export function actionOf<T>(verb: string, action: string, actions: Readonly<Record<string, T>>): T {
  if (Object.hasOwn(actions, action)) return actions[action]!;
  const words = Object.keys(actions).join(", ");
  throw new UsageError(`${verb} cannot "${action}"; it can ${words}: see cless ${verb} --help`);
}

/** Reads a number. @throws {RangeError} For anything else. */
export function parseNumber(text: string): number {
  if (!/^\d{1,7}(\.\d{1,9})?$/.test(text)) throw new RangeError("expected a number such as 0.5 or 2");
  return Number(text);
}

/** Makes a function that checks a text with `parse`, and returns the text itself, which is what is sent. */
export function checked(parse: (text: string) => unknown): (text: string) => string {
  return (text) => {
    parse(text);
    return text;
  };
}

/** Reads pairs such as `KEY=VALUE`. No error message contains the value. @throws {UsageError} */
export function readPairs(texts: readonly string[], flag: string, form: string): Record<string, string> {
  const [key] = form.split("=");
  return Object.fromEntries(texts.map((text) => {
    const equals = text.indexOf("=");
    if (equals <= 0) {
      throw new UsageError(`${flag} needs ${form}: ${equals < 0 ? `"${text}" has no =` : `no ${key} stands before =`}`);
    }
    return [text.slice(0, equals), text.slice(equals + 1)];
  }));
}

/** Reads a whole number. @throws {RangeError} For anything else. */
export function parseWhole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError("expected a whole number");
  return Number(text);
}

/** The flag of verbs whose output programs may read. */
export const JSON_FLAG: Flag = flag("--json", "Print JSON, as the admin API has it");

/** The flag of verbs that list things with names. */
export const NAMES_FLAG: Flag = flag("-q, --quiet", "Print only the names");

/** The flag of verbs that report what they did. */
export const QUIET_FLAG: Flag = flag("-q, --quiet", "Print nothing but errors");

/** Prints a value as JSON. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

/** Prints a result: as JSON with `--json`, not at all with `--quiet`, else as text. */
export function printResult(call: Call, result: unknown, text: string): void {
  if (call.on("json")) printJson(result);
  else if (!call.on("quiet")) console.log(text);
}

type Listed = { readonly name: string } | { readonly id: string };

/** Prints a list: as JSON with `--json`, the names with `--quiet`, else as a table, or a hint if it is empty. */
export function printList(call: Call, list: readonly Listed[], table: string, hint?: string): void {
  if (call.on("json")) printJson(list);
  else if (call.on("quiet")) list.forEach((item) => console.log("name" in item ? item.name : item.id));
  else if (list.length === 0 && hint !== undefined) console.error(hint);
  else console.log(table);
}
