import { isLoopback } from "../model/cidr.ts";
import { parseHostname } from "../model/hostname.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { ClessError } from "../base/errors.ts";
import { content } from "./answer.ts";
import { requireRead } from "./health.ts";
import { queryValues } from "./query_values.ts";
import type { Target } from "./target.ts";

/** What a proxy adds: with one of these, somebody else asks through a proxy on this machine. */
const PASSED_ON = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
/** The longest hostname that there can be, characters. */
export const LONGEST_HOSTNAME = 253;

/**
 * Tells a program on this machine whether cless serves a hostname, so that it may get a certificate for it.
 *
 * @param peer The address that the request came from.
 * @throws {ClessError} `not_found` where it does not, or somebody else asks.
 * @throws {InvalidError} Where the query is wrong.
 */
export async function ask(
  { query }: Target,
  { headers, method }: Pick<Request, "headers" | "method">,
  peer: string,
  serves: (hostname: string) => Promise<boolean>,
): Promise<Response> {
  const isLocal = isLoopback(peer) && !PASSED_ON.some((name) => headers.has(name));
  if (!isLocal) throw new ClessError("not_found", "There is no such resource");
  requireRead(method);
  const domain = readDomain(query);
  const hostname = domain.includes(":") ? undefined : parseHostname(domain)?.name;
  if (hostname === undefined || !await serves(hostname)) {
    throw new ClessError("not_found", "There is no service for this hostname");
  }
  return content("yes\n", "text/plain;charset=UTF-8");
}

/** By hand, since this is asked by proxies that start beside cless: what the other queries are read with is large. */
function readDomain(query: string): string {
  const { domain } = queryValues(query, ["domain"]);
  if (domain === undefined) throw new InvalidError(["domain"], "is missing, and must be a text");
  if (domain.length <= LONGEST_HOSTNAME) return domain;
  throw new InvalidError(["domain"], `must be at most ${LONGEST_HOSTNAME} characters`);
}
