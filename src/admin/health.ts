import { ClessError } from "../base/errors.ts";
import { content } from "./answer.ts";

/** Whether a path asks for nothing but how cless is. */
export function isHealthPath(path: string): path is "/healthz" | "/readyz" {
  return path === "/healthz" || path === "/readyz";
}

/**
 * Says how cless is, to everybody.
 *
 * @param ready Whether requests can be served now.
 */
export async function health(
  path: "/healthz" | "/readyz",
  { method }: Pick<Request, "method">,
  ready: () => Promise<boolean>,
): Promise<Response> {
  requireRead(method);
  const ok = path === "/healthz" || await ready();
  return content(ok ? "ok\n" : "not ready\n", "text/plain;charset=UTF-8", { status: ok ? 200 : 503 });
}

/** Refuses what is not answered here as a GET is. @throws {ClessError} `method_not_allowed` */
export function requireRead(method: string): void {
  if (method !== "GET" && method !== "HEAD") {
    throw new ClessError("method_not_allowed", "Only GET and HEAD are possible here", { allow: "GET, HEAD" });
  }
}
