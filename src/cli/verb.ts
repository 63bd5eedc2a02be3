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
  /** Reads the flags and arguments before {@linkcode run}, so that all mistakes in them are told at once. */
  readonly check?: (call: Call) => void;
  /** @returns The exit code; nothing means 0. */
  readonly run: (call: Call) => Promise<number | void>;
}

/** Verbs by their headings in `cless --help`. */
export type VerbGroups = Readonly<Record<string, readonly Verb[]>>;

/** Adds the flags of verbs that use a running cless. */
export function clientVerb(verb: Verb): Verb {
  return {
    ...verb,
    flags: [...verb.flags, ...CLIENT_FLAGS],
    check: (call) => {
      verb.check?.(call);
      call.attempt(() => readClientSettings(call.flags, call.surroundings));
    },
  };
}

/** One call of a verb, with its flags and arguments, and a client of the admin API. */
export class Call implements Disposable {
  readonly args: readonly string[];
  readonly flags: GivenFlags;
  readonly surroundings: Surroundings = systemSurroundings();
  #client: Client | undefined;
  #mistakes: string[] | undefined;

  /** @param mistakes What is known to be wrong. If it is given, more is gathered until {@linkcode endCheck}. */
  constructor(args: readonly string[], flags: GivenFlags, mistakes?: readonly string[]) {
    this.args = args;
    this.flags = flags;
    this.#mistakes = mistakes && [...mistakes];
  }

  /**
   * Reads something of the command line. While mistakes are gathered, a mistake has no result, and is told by
   * {@linkcode endCheck}.
   *
   * @throws {UsageError} After that, at once.
   */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UsageError) || this.#mistakes === undefined) throw error;
      this.#mistakes.push(...error.lines);
      return undefined;
    }
  }

  /** @throws {UsageError} With all mistakes that were gathered. */
  endCheck(): void {
    const mistakes = new Set(this.#mistakes);
    this.#mistakes = undefined;
    if (mistakes.size > 0) throw new UsageError([...mistakes]);
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

  /** The parsed values of a flag. A value is wrong if `parse` throws a RangeError; the {@linkcode UsageError} names it. */
  read<T>(flag: string, parse: (text: string) => T): T[] {
    return this.#readEach(flag, (text) => readGiven(text, parse, `--${flag}: `));
  }

  /**
   * The values of a flag that are pairs such as `KEY=VALUE`. No error message contains what follows the `=`.
   *
   * @param check Throws a {@linkcode UsageError} for a wrong pair.
   */
  pairs(flag: string, form: string, check: (key: string, value: string) => void = () => {}): Record<string, string> {
    return Object.fromEntries(this.#readEach(flag, (text) => {
      const pair = readPair(text, flag, form);
      check(...pair);
      return pair;
    }));
  }

  #readEach<T>(flag: string, read: (text: string) => T): T[] {
    return this.texts(flag).flatMap((text) => this.attempt(() => [read(text)]) ?? []);
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

function readPair(text: string, flag: string, form: string): [key: string, value: string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  const shown = /^[\w-]+$/.test(text) ? `"${text}"` : "it"; // such as a hash
  const wrong = equals < 0 ? `${shown} has no =` : `no ${form.split("=")[0]} stands before =`;
  throw new UsageError(`--${flag} needs ${form}: ${wrong}`);
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
