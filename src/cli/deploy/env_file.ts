import { OperatorError, plainMessageOf } from "../../base/errors.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads a text of variables: `KEY=VALUE` lines; empty ones and those that begin with `#` are passed over. The value is all
 * that follows, as it stands there; one in quotes is what is between them.
 *
 * @param file What it is called in messages.
 * @throws {OperatorError} For the first line that is none; the message is `FILE:LINE: what is wrong`, without the value.
 */
export function parseEnv(text: string, file: string): Record<string, string> {
  const variables = new Map<string, string>();
  text.replace(/^\ufeff/, "").split(/\r?(?:\n|$)/).forEach((line, at) => {
    if (/^\s*(#|$)/.test(line)) return;
    const equals = line.indexOf("=");
    const name = line.slice(0, Math.max(equals, 0)).replace(/^\s*(export\s+)?/, "");
    if (equals < 0) throw new OperatorError(`${file}:${at + 1}: expected KEY=VALUE`);
    if (!NAME.test(name)) {
      throw new OperatorError(
        `${file}:${
          at + 1
        }: what stands before = is no name of a variable; right are letters, digits and _, with no digit first`,
      );
    }
    variables.set(name, unquoted(line.slice(equals + 1)));
  });
  return Object.fromEntries(variables);
}

/** The value without quotes around it. */
function unquoted(value: string): string {
  return /^\s*(["'])(.*)\1\s*$/s.exec(value)?.[2] ?? value;
}

/** Reads a file of variables. @throws {OperatorError} When it cannot be read, or a line of it is wrong. */
export async function readEnvFile(file: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    throw new OperatorError(`cannot read ${file}: ${plainMessageOf(error)}`);
  }
  return parseEnv(text, file);
}
