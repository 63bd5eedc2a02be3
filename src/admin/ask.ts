import { z } from "zod";
import { isLoopback } from "../domain/cidr.ts";
import { parseHostname } from "../domain/hostname.ts";
import { ClessError } from "../errors.ts";
import { content } from "./answer.ts";
import { requireRead } from "./health.ts";
import { operation } from "./operation.ts";
import { readQuery } from "./query.ts";
import type { Target } from "./target.ts";

/** What a proxy adds: with one of these, somebody else asks through a proxy on this machine. */
const PASSED_ON = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
const QUERY = {
  domain: z.string().max(253).meta({ description: "A hostname, without a port", examples: ["shop.example.org"] }),
};

/**
 * Tells a program on this machine whether cless serves a hostname, so that it may get a certificate for it.
 *
 * @param peer The address that the request came from.
 * @throws {ClessError} `not_found` where it does not, or somebody else asks.
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
  const { domain } = readQuery(query, QUERY);
  const hostname = domain.includes(":") ? undefined : parseHostname(domain)?.name;
  if (hostname === undefined || !await serves(hostname)) {
    throw new ClessError("not_found", "There is no service for this hostname");
  }
  return content("yes\n", "text/plain;charset=UTF-8");
}

/** `GET /v1/ask`, for the document: it is answered before a token is asked for. */
export const askOperation = operation({
  id: "ask",
  method: "get",
  path: "/v1/ask",
  tag: "about",
  summary: "Whether cless serves a hostname",
  description: "Answered without a token, to programs on this machine only; for a TLS proxy that gets certificates.",
  query: QUERY,
  answers: { 200: { description: "It does", type: "text/plain" } },
  errors: ["invalid", "forbidden", "not_found"],
  run: () => {
    throw new ClessError("not_found", "There is no such resource");
  },
});
