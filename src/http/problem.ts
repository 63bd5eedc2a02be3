import type { ClessError } from "../base/errors.ts";
import { fill, prefersHtml } from "./html.ts";
import page from "./problem.html" with { type: "text" };

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/**
 * The answer to a request that failed, always with the header `cless-error`: problem+json (RFC 9457), or a small page
 * where the client would rather have HTML. The error's detail stays out of it.
 */
export function problem(error: ClessError, request: { headers: Headers }): Response {
  const { allow, code, status, message, retryAfterS } = error;
  const title = TITLES[status] ?? "Error";
  const html = prefersHtml(request);
  const headers = new Headers({
    "cless-error": code,
    "content-type": html ? "text/html; charset=utf-8" : "application/problem+json",
    "cache-control": "no-store",
  });
  if (retryAfterS !== undefined) headers.set("retry-after", String(retryAfterS));
  if (code === "draining") headers.set("connection", "close");
  if (allow !== undefined) headers.set("allow", allow);
  if (code === "unauthorized") headers.set("www-authenticate", 'Bearer realm="cless"');
  const body = html
    ? fill(page, { status: String(status), title, detail: message, code })
    : JSON.stringify({ type: "about:blank", title, status, detail: message, code }) + "\n";
  return new Response(body, { status, headers });
}
