import { closestString } from "@std/text/closest-string";

/** Where a value stands in a body: names of fields, and places in lists. */
export type FieldPath = readonly (string | number)[];

/** A body that cannot be accepted. The message is one line, `FIELD: what is wrong, what is right`. */
export class InvalidError extends Error {
  override readonly name = "InvalidError";
  /** The field that is wrong. */
  readonly path: FieldPath;
  /** What is wrong with it, without its name. */
  readonly reason: string;
  /** Whether it is the field's name that is wrong, and not its value. */
  readonly ofName: boolean;

  constructor(path: FieldPath, reason: string, ofName = false) {
    super(`${showPath(path)}: ${reason}`);
    this.path = path;
    this.reason = reason;
    this.ofName = ofName;
  }
}

/** Writes where a field stands, `env.A` or `domains.0`; names that would break the line are quoted, long ones cut. */
export function showPath(path: FieldPath): string {
  return path.length === 0 ? "the body" : path.map(showName).join(".");
}

function showName(name: string | number): string {
  const text = String(name);
  const short = text.length > 100 ? `${text.slice(0, 99)}…` : text;
  // deno-lint-ignore no-control-regex
  return /^$|[\s\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(short) ? JSON.stringify(short) : short;
}

/** What is said of a field that there is not. */
export function unknownField(name: string, known: readonly string[]): string {
  return `unknown field; did you mean \`${closestString(name, known)}\`?`;
}
