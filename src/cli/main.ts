import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { ApiError } from "./client.ts";
import { didYouMean, parseFlags } from "./flags.ts";
import { FOREIGN_VERBS } from "./foreign_verbs.ts";
import { topHelp, verbHelp } from "./help.ts";
import { withNearest } from "./nearest_service.ts";
import { plainText } from "./text.ts";
import { serve } from "./serve.ts";
import { Call, type Verb } from "./verb.ts";

/** Runs the program. Returns the exit code: 0 done, 1 failed, 2 wrong command line, 130 ended by Ctrl-C. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await runProgram(args);
  } catch (error) {
    if (error instanceof UsageError || error instanceof OperatorError) {
      error.lines.forEach((line) => console.error(`cless: ${line}`));
      if (error instanceof ApiError) error.output.forEach((line) => console.error(`  ${plainText(line)}`));
      return error instanceof UsageError ? 2 : 1;
    }
    console.error(`cless: this should not have happened: ${messageOf(error)}`);
    return 1;
  }
}

async function runProgram(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "--version" || first === "-V" || first === "-v" || first === "version") {
    console.log(`cless ${VERSION}`);
    return 0;
  }
  const isHelp = first === "--help" || first === "-h" || first === "help";
  if (first === undefined || (first.startsWith("-") && !isHelp)) return await runVerb(serve, args);
  if (first === serve.name) return await runVerb(serve, rest);
  const { VERB_GROUPS, VERBS } = await import("./verbs.ts"); // loads packages that `serve` does not need
  if (!isHelp) return await runVerb(verbNamed(first, VERBS), rest);
  const [named] = first === "help" ? rest : [];
  if (named !== undefined) return await runVerb(verbNamed(named, VERBS), ["--help"]);
  console.log(topHelp(VERB_GROUPS, serve));
  return 0;
}

async function runVerb(verb: Verb, args: readonly string[]): Promise<number> {
  const { given, mistakes, rest } = parseFlags(args, verb.flags, (flag) => unknownFlagHint(verb, flag));
  if (given.get("help") === true) {
    console.log(verbHelp(verb));
    return 0;
  }
  using call = new Call(rest, given, mistakes);
  // Behind an unknown flag, nobody knows what is its value and what an argument.
  if (mistakes.length === 0) call.attempt(() => checkArguments(verb, rest));
  verb.check?.(call);
  call.endCheck();
  try {
    return await verb.run(call) ?? 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the client may be what is wrong
    throw await withNearest(error, call.client, servicesOf(verb, call));
  }
}

/** What to do about a flag that a verb does not have. */
function unknownFlagHint({ args, name }: Verb, flag: string): string {
  if (args?.includes("[CMD…]")) return "; write -- before a command with flags of its own";
  return flag === "--server" ? `; ${name} works on this machine, and takes no server` : "; --help shows the flags";
}

/** The services that a call names. */
function servicesOf({ args: [first = ""] = [] }: Verb, call: Call): readonly string[] {
  if (/^\[NAME…/.test(first)) return call.args;
  return /^\[?NAME/.test(first) ? call.args.slice(0, 1) : call.texts("service");
}

function checkArguments({ name, args = [] }: Verb, given: readonly string[]): void {
  const missing = args[given.length];
  if (missing !== undefined && !missing.startsWith("[")) {
    throw new UsageError(`${name} needs ${missing.replace("…", "")}: cless ${name} ${args.join(" ")}`);
  }
  const surplus = given[args.length];
  if (surplus !== undefined && !args.at(-1)?.includes("…")) {
    throw new UsageError(`${name} takes no argument "${surplus}"; see cless ${name} --help`);
  }
}

function verbNamed(name: string, verbs: readonly Verb[]): Verb {
  const verb = verbs.find((verb) => verb.name === name);
  if (verb !== undefined) return verb;
  if (Object.hasOwn(FOREIGN_VERBS, name)) throw new UsageError(`there is no verb "${name}"; ${FOREIGN_VERBS[name]}`);
  const nearest = didYouMean(name, verbs.map(({ name }) => name));
  throw new UsageError(`there is no verb "${name}"${nearest === "" ? "; see" : `${nearest} See`} cless --help`);
}
