import { ClessError } from "../base/errors.ts";
import { pathOf, type RequestHead } from "../http/request_head.ts";
import type { Activator } from "../routing/activator.ts";

/** The path on every service's own host where a monitor learns whether the service works. */
const HEALTH_PATH = "/.well-known/cless/health";

/** Whether a request is one for {@linkcode serviceHealth}. */
export function isForHealth({ target }: RequestHead): boolean {
  return target.startsWith(HEALTH_PATH) && pathOf(target) === HEALTH_PATH;
}

/**
 * Tells a monitor in one word whether a service works: 200 if it is awake, or asleep and able to start, to judge by its
 * last start; else 503. Wakes nothing and keeps nothing awake, since it asks no instance.
 *
 * @throws {ClessError} `unknown_host` or `method_not_allowed`
 */
export function serviceHealth({ hostname, method }: RequestHead, activator: Pick<Activator, "isFailing">): Response {
  const isFailing = activator.isFailing(hostname);
  if (method !== "GET" && method !== "HEAD") {
    throw new ClessError("method_not_allowed", "This path of cless can only be read", { allow: "GET, HEAD" });
  }
  return new Response(isFailing ? "failing" : "ok", {
    status: isFailing ? 503 : 200,
    headers: { "cache-control": "no-store", "content-type": "text/plain; charset=utf-8" },
  });
}
