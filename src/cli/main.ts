import { ManifestError } from "../control/schema/invalid.ts";
import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { ApiError } from "./client.ts";
import { didYouMean } from "./did_you_mean.ts";
import { topHelp } from "./help.ts";
import { plainText } from "./output/table.ts";
import { serveVerb } from "./serve_verb.ts";
import type { Verb } from "./verb.ts";
import { VERSION } from "../base/version.ts";

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
      console.log(topHelp(await allVerbs()));
      return 0;
    }
    if (first === undefined || first.startsWith("-")) return await serveVerb.run(args);
    if (first === serveVerb.name) return await serveVerb.run(rest);
    const verbs = await allVerbs();
    return first === "help"
      ? await verbNamed(rest[0]!, verbs).run(["--help"])
      : await verbNamed(first, verbs).run(rest);
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

/** What they need is much, and for serving it is of no use. */
async function allVerbs(): Promise<readonly Verb[]> {
  const { VERBS } = await import("./verbs.ts");
  return VERBS;
}

function verbNamed(name: string, verbs: readonly Verb[]): Verb {
  const verb = verbs.find((verb) => verb.name === name);
  if (verb !== undefined) return verb;
  const nearest = didYouMean(name, verbs.map(({ name }) => name));
  throw new UsageError(`there is no verb "${name}"${nearest === "" ? "; see" : `${nearest} See`} cless --help`);
}
