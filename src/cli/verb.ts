import { type GivenFlags, type Surroundings, systemSurroundings } from "../base/config.ts";
import { UsageError } from "../base/errors.ts";
import { Client } from "./client.ts";
import { CLIENT_FLAGS, readClientSettings } from "./client_settings.ts";
import { type Flag, parseFlags } from "./flags.ts";
import { verbHelp } from "./help.ts";

/** A verb of the command line. */
export interface Verb {
  readonly name: string;
  /** The heading of `cless --help` that it stands under. */
  readonly group: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** What stands behind its name in the usage. */
  readonly usage: string;
  readonly flags: readonly Flag[];
  /** What may stand behind its name, to be completed. */
  readonly words?: readonly string[];
  /** Whether its first argument is the name of a service. */
  readonly ofService?: boolean;
  /** Takes the arguments behind its name, returns the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

/** How a verb is called: what was given, and whom to ask. */
export class Call implements Disposable {
  readonly args: readonly string[];
  readonly #given: GivenFlags;
  #surroundings: Surroundings | undefined;
  #client: Client | undefined;

  constructor(args: readonly string[], given: GivenFlags) {
    this.args = args;
    this.#given = given;
  }

  /** Whom to ask. */
  get client(): Client {
    return this.#client ??= new Client(readClientSettings(this.#given, this.surroundings));
  }

  /** Lets go of what it has asked with. */
  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
  }

  /** What the surroundings of the process say. */
  get surroundings(): Surroundings {
    return this.#surroundings ??= systemSurroundings();
  }

  /** Whether a switch is on; `undefined` where nothing was said. */
  switched(flag: string): boolean | undefined {
    const value = this.#given.get(flag);
    return typeof value === "boolean" ? value : undefined;
  }

  /** Whether a switch is on that is off unless it is given. */
  on(flag: string): boolean {
    return this.switched(flag) === true;
  }

  /** The values of a flag. */
  texts(flag: string): readonly string[] {
    const value = this.#given.get(flag);
    return Array.isArray(value) ? value : [];
  }

  /** The value of a flag that is given once. */
  text(flag: string): string | undefined {
    return this.texts(flag)[0];
  }

  /**
   * The values of a flag as what they mean.
   *
   * @throws {UsageError} Where one cannot be read: the message names the flag and what is right.
   */
  read<T>(flag: string, parse: (text: string) => T): T[] {
    return this.texts(flag).map((text) => {
      try {
        return parse(text);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw new UsageError(`--${flag}: "${text}" is not allowed: ${error.message}`);
      }
    });
  }

  /** A flag's whole number. */
  whole(flag: string): number | undefined {
    return this.read(flag, parseWhole)[0];
  }
}

/** Reads a whole number. @throws {RangeError} Where it is none. */
export function parseWhole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError("expected a whole number");
  return Number(text);
}

/** What a verb that asks the admin API is made of. */
export interface ClientVerb {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  /** Its arguments as the usage shows them, such as `["NAME"]`; one in brackets may be missing, one with `…` repeats. */
  readonly args: readonly string[];
  readonly flags: readonly Flag[];
  readonly words?: readonly string[];
  /** What `--help` says beside the summary, a paragraph each. */
  readonly notes?: readonly string[];
  readonly example: readonly string[];
  readonly run: (call: Call) => Promise<number | void>;
}

/** Makes a verb that asks the admin API. It takes the flags for that, and gives help. */
export function clientVerb(verb: ClientVerb): Verb {
  const flags = [...verb.flags, ...CLIENT_FLAGS];
  return {
    name: verb.name,
    group: verb.group,
    summary: verb.summary,
    usage: verb.args.join(" "),
    flags,
    ...(verb.words === undefined ? {} : { words: verb.words }),
    ofService: verb.args[0] === "NAME" || verb.args[0] === "[NAME…]",
    run: async (args) => {
      const { given, rest } = parseFlags(args, flags);
      if (given.get("help") === true) {
        console.log(verbHelp({ ...verb, flags }));
        return 0;
      }
      checkArguments(verb, rest);
      using call = new Call(rest, given);
      return await verb.run(call) ?? 0;
    },
  };
}

function checkArguments({ name, args }: ClientVerb, given: readonly string[]): void {
  const missing = args[given.length];
  if (missing !== undefined && !missing.startsWith("[")) {
    throw new UsageError(`${name} needs ${missing.replace("…", "")}: cless ${name} ${args.join(" ")}`);
  }
  const surplus = given[args.length];
  if (surplus !== undefined && !args.at(-1)?.includes("…")) {
    throw new UsageError(`${name} takes no argument "${surplus}"; see cless ${name} --help`);
  }
}

/** The flag of verbs that print what programs may want to read. */
export const JSON_FLAG: Flag = { name: "json", help: "Print JSON, as the admin API has it" };

/** The flag of verbs that list things with names. */
export const NAMES_FLAG: Flag = { name: "quiet", short: "q", help: "Print the names alone" };

/** The flag of verbs that say what they have done. */
export const QUIET_FLAG: Flag = { name: "quiet", short: "q", help: "Say nothing but what went wrong" };

/** Prints a value for programs. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}
