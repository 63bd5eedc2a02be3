import { closestString } from "@std/text/closest-string";
import { InvalidError } from "../control/schema/invalid.ts";

/**
 * Takes the query of a request apart.
 *
 * @param text What stands behind the question mark.
 * @param known The parameters that there may be.
 * @throws {InvalidError} For the first parameter that is unknown, or is there twice.
 */
export function queryValues(text: string, known: readonly string[]): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    if (!known.includes(name)) throw new InvalidError([name], unknown(name, known), true);
    if (name in values) throw new InvalidError([name], "is there twice");
    values[name] = value;
  }
  return values;
}

function unknown(name: string, known: readonly string[]): string {
  return known.length === 0
    ? "unknown parameter; there are none here"
    : `unknown parameter; did you mean \`${closestString(name, known)}\`?`;
}
