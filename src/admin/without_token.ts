import { parseHostname } from "../model/host.ts";
import { isLoopback } from "../model/ip.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { ClessError } from "../base/errors.ts";
import { content } from "./body.ts";
import type { Collaborators } from "./collaborators.ts";
import { queryValues, type Target } from "./target.ts";

/** Headers that proxies add. If a request has one of these, a proxy has passed it on from another client. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
/** The length of the longest hostname, characters. */
export const MAX_HOSTNAME = 253;

/** Which of cless's addresses a request was sent to. */
export type Via = "admin" | "proxy";

type Asked = Pick<Request, "headers" | "method">;

/** Whether a path asks for the health of cless itself. */
export function isHealthPath(path: string): boolean {
  return path === "/healthz" || path === "/readyz";
}

/** Answers `/healthz` (cless runs) and `/readyz` (requests can be served), without a token. */
export async function health(
  path: string,
  { method }: Asked,
  { activator, engine }: Pick<Collaborators, "activator" | "engine">,
): Promise<Response> {
  requireRead(method);
  const ok = path === "/healthz" || (await engine.answers() && !activator.draining);
  return content(ok ? "ok\n" : "not ready\n", "text/plain;charset=UTF-8", { status: ok ? 200 : 503 });
}

/** Whether a request was sent to the admin address by a program on this machine, and did not come through a proxy. */
export function isOfThisMachine({ headers }: Asked, peer: string, via: Via): boolean {
  return via === "admin" && isLoopback(peer) && !FORWARDED.some((name) => headers.has(name));
}

/**
 * Answers `/v1/ask`, by which a TLS proxy on this machine learns whether it may have a certificate made for a hostname.
 * Nothing is asked of the engine, since strangers cause these requests.
 *
 * @throws {ClessError} `not_found` if it may not. @throws {InvalidError} If the query is wrong.
 * @throws {StoreUnavailable} As {@linkcode CertificateNames.grant} does.
 */
export function ask(
  { query }: Target,
  { method }: Asked,
  { certificateNames, hosts }: Pick<Collaborators, "certificateNames" | "hosts">,
): Response {
  requireRead(method);
  const domain = readDomain(query);
  const hostname = domain.includes(":") ? undefined : parseHostname(domain)?.name;
  if (hostname === undefined) throw new ClessError("not_found", "This is no hostname");
  const reason = certificateNames.grant(hostname, hosts.kindOf(hostname));
  if (reason !== undefined) throw new ClessError("not_found", `There is no certificate for this hostname: ${reason}`);
  return content("yes\n", "text/plain;charset=UTF-8");
}

/**
 * Checks the query without the schema library: it is large, and not loaded yet when a TLS proxy asks soon after cless
 * has started.
 */
function readDomain(query: string): string {
  const { domain } = queryValues(query, ["domain"]);
  if (domain === undefined) throw new InvalidError(["domain"], "is missing, and must be a text");
  if (domain.length <= MAX_HOSTNAME) return domain;
  throw new InvalidError(["domain"], `must be at most ${MAX_HOSTNAME} characters`);
}

function requireRead(method: string): void {
  if (method !== "GET" && method !== "HEAD") {
    throw new ClessError("method_not_allowed", "Only GET and HEAD are possible here", { allow: "GET, HEAD" });
  }
}
