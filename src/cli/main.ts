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
    if (first === "--version" || first === "-V") {
      console.log(`cless ${VERSION}`);
      return 0;
    }
    if (first === "help" && rest[0] !== undefined && Object.hasOwn(VERBS, rest[0])) {
      return await VERBS[rest[0]]!(["--help"]);
    }
    if (first === "--help" || first === "-h" || first === "help") {
      console.log(topHelp());
      return 0;
    }
    if (first === undefined || first.startsWith("-")) return await serve(args);
    const verb = Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
    if (verb === undefined) {
      const nearest = closestString(first, Object.keys(VERBS));
      throw new UsageError(`there is no verb "${first}"; did you mean "${nearest}"? See cless --help`);
    }
    return await verb(rest);
  } catch (error) {
    if (error instanceof UsageError || error instanceof OperatorError) {
      console.error(`cless: ${messageOf(error)}`);
      return error instanceof UsageError ? 2 : 1;
    }
    console.error(`cless: this should not have happened: ${messageOf(error)}`);
    return 1;
  }
}
