import { hashPassword } from "../access/password_hash.ts";
import { OperatorError, UsageError } from "../base/errors.ts";
import { askHidden } from "./terminal.ts";
import type { Verb } from "./verb.ts";

/** A shorter password gets a warning: with its hash, it could be guessed. */
const MIN_LENGTH = 12;
/** A longer one would not fit into a request's headers everywhere. */
const MAX_BYTES = 1024;

/** `cless password`: prints the hash of a password, for `deploy --basic` and `access` in a file. */
export const password: Verb = {
  name: "password",
  summary: "Print the hash of a password, for deploy --basic",
  flags: [],
  notes: [
    "The password is read from standard input, or is asked for twice on a terminal, where it is not shown. The hash is the last line of the output. In a shell, it belongs in single quotes, since it has $ in it.",
  ],
  example: [
    "cless password",
    "HASH=$(cless password < password.txt)",
    `cless deploy web --basic "alice=$HASH"`,
  ],
  run: async () => {
    const text = Deno.stdin.isTerminal() && Deno.stderr.isTerminal() ? await ask() : await read();
    if (text === "") throw new UsageError("the password is empty");
    // deno-lint-ignore no-control-regex
    if (/[\x00-\x1f\x7f]/.test(text)) throw new UsageError("a password must be one line without control characters");
    if (new TextEncoder().encode(text).length > MAX_BYTES) {
      throw new UsageError(`a password must be at most ${MAX_BYTES} bytes`);
    }
    if ([...text].length < MIN_LENGTH) {
      console.error(`warning: a password of less than ${MIN_LENGTH} characters can be guessed by who has its hash`);
    }
    console.log(await hashPassword(text));
  },
};

async function ask(): Promise<string> {
  const answers = await askHidden(["Password: ", "Once more: "]);
  if (answers === undefined) throw new OperatorError("no password was given");
  if (answers[0] !== answers[1]) throw new OperatorError("the two passwords differ; nothing was printed");
  return answers[0]!;
}

/** Standard input without the line break at its end. */
async function read(): Promise<string> {
  const bytes = await new Response(Deno.stdin.readable).bytes();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw new UsageError("a password must be text in UTF-8");
  }
}
