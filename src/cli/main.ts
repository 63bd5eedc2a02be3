import { ManifestError } from "../control/manifest/manifest.ts";
import { messageOf, OperatorError, UsageError } from "../errors.ts";
import { ApiError } from "./client.ts";
import { didYouMean } from "./did_you_mean.ts";
import { topHelp } from "./help.ts";
import { plainText } from "./output/table.ts";
import { serve } from "./serve.ts";
import type { Verb } from "./verb.ts";
import { VERBS } from "./verbs.ts";
import { VERSION } from "../version.ts";

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
      console.log(topHelp(VERBS));
      return 0;
    }
    if (first === "help") return await verbNamed(rest[0]!).run(["--help"]);
    if (first === undefined || first.startsWith("-")) return await serve(args);
    return await verbNamed(first).run(rest);
  } catch (error) {
    if (error instanceof UsageError || error instanceof OperatorError || error instanceof ManifestError) {
      console.error(`cless: ${messageOf(error)}`);
      if (error instanceof ApiError) error.output.forEach((line) => console.error(`  ${plainText(line)}`));
      return error instanceof UsageError ? 2 : 1;
    }
    console.error(`cless: this should not have happened: ${messageOf(error)}`);
    return 1;
  }
}

function verbNamed(name: string): Verb {
  const verb = VERBS.find((verb) => verb.name === name);
  if (verb !== undefined) return verb;
  const nearest = didYouMean(name, VERBS.map(({ name }) => name));
  throw new UsageError(`there is no verb "${name}"${nearest === "" ? "; see" : `${nearest} See`} cless --help`);
}
