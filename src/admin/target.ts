import { closestString } from "@std/text/closest-string";
import { InvalidError } from "../control/schema/invalid.ts";

/** The parts of a request's URL. */
export interface Target {
  /** The host in lower case, with its port if it has one. */
  readonly host: string;
  /** As received, not decoded. */
  readonly path: string;
  /** What follows the question mark, as received. */
  readonly query: string;
}

/** Splits a request's URL. Does not use `URL`, which throws on some hosts that clients can send. */
export function targetOf({ headers, url }: Pick<Request, "headers" | "url">): Target {
  const [, authority = "", path = "", query = ""] = /^[^:]*:\/\/([^/?#]*)([^?#]*)\??([^#]*)/.exec(url) ?? [];
  return { host: (headers.get("host") ?? authority).toLowerCase(), path: path || "/", query };
}

/**
 * The parameters of a query by name.
 *
 * @param lists Those that may be given several times; their values are lists.
 * @throws {InvalidError} For the first one that is not `known`, or given twice.
 */
export function queryValues(query: string, known: readonly string[]): Record<string, string>;
export function queryValues(
  query: string,
  known: readonly string[],
  lists: readonly string[],
): Record<string, string | string[]>;
export function queryValues(
  query: string,
  known: readonly string[],
  lists: readonly string[] = [],
): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) throw new InvalidError([name], unknown(name, known), true);
    const before = values[name];
    if (Array.isArray(before)) before.push(value);
    else if (before !== undefined) throw new InvalidError([name], "is given twice");
    else values[name] = lists.includes(name) ? [value] : value;
  }
  return values;
}

function unknown(name: string, known: readonly string[]): string {
  return known.length === 0
    ? "unknown parameter; there are none here"
    : `unknown parameter; did you mean \`${closestString(name, known)}\`?`;
}
