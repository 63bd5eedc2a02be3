import { closestString } from "@std/text/closest-string";
import { messageOf, OperatorError, UsageError } from "../errors.ts";
import { doctor } from "./doctor.ts";
import { topHelp } from "./help.ts";
import { serve } from "./serve.ts";
import { VERSION } from "./version.ts";

/** A verb of the command line: takes the arguments behind its name, returns the exit code. */
type Verb = (args: readonly string[]) => Promise<number>;

const VERBS: Record<string, Verb> = { serve, doctor };

/**
 * Runs the program.
 *
 * @param args The command line without the program's name.
 * @returns The exit code: 0 done, 1 it failed, 2 the command line was wrong.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  try {
    if (first === "--version" || first === "-V" || first === "version") {
      console.log(`cless ${VERSION}`);
      return 0;
    }
    if (first === "--help" || first === "-h" || (first === "help" && rest[0] === undefined)) {
      console.log(topHelp());
      return 0;
    }
    if (first === "help") return await verbNamed(rest[0]!)(["--help"]);
    if (first === undefined || first.startsWith("-")) return await serve(args);
    return await verbNamed(first)(rest);
  } catch (error) {
    if (error instanceof UsageError || error instanceof OperatorError) {
      console.error(`cless: ${messageOf(error)}`);
      return error instanceof UsageError ? 2 : 1;
    }
    console.error(`cless: this should not have happened: ${messageOf(error)}`);
    return 1;
  }
}

function verbNamed(name: string): Verb {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb !== undefined) return verb;
  const nearest = closestString(name, Object.keys(VERBS));
  throw new UsageError(`there is no verb "${name}"; did you mean "${nearest}"? See cless --help`);
}
