import { accepts } from "@std/http/negotiation";
import type { ClessError } from "../base/errors.ts";
import { fill, withSections } from "./html_template.ts";
import type { RequestHead } from "./request_head.ts";
import template from "./problem.html" with { type: "text" };

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
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

const PAGE = withSections(template);
/** This page also names the command that tells operators more. */
const SERVICE_PAGE = withSections(template, "service");

/**
 * The response to a failed request, with the header `cless-error`: problem+json (RFC 9457), or a small page if the
 * client prefers HTML. The error's detail is left out. If the service is known, the page of a 502 or 504 names the
 * command that tells operators more.
 */
export function problem(error: ClessError, request: { headers: Headers }, service?: string): Response {
  const { allow, challenge, code, status, message, retryAfterS } = error;
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
  if (challenge !== undefined) headers.set("www-authenticate", challenge);
  const body = html
    ? fill(service !== undefined && (status === 502 || status === 504) ? SERVICE_PAGE : PAGE, {
      ...{ status: String(status), title, detail: message, code, service: service ?? "" },
    })
    : JSON.stringify({ type: "about:blank", title, status, detail: message, code }) + "\n";
  return new Response(body, { status, headers });
}

/** Whether a client prefers HTML to JSON. */
export function prefersHtml(request: { headers: Headers }): boolean {
  return accepts(request, "application/problem+json", "application/json", "text/html") === "text/html";
}

/** Whether a request comes from a browser that is to show a page, to judge by its headers. */
export function isNavigation(request: Request, head: RequestHead): boolean {
  if (head.method !== "GET" || head.websocket) return false;
  // Browsers send this header over HTTPS and to localhost only: https://www.w3.org/TR/fetch-metadata/
  const mode = request.headers.get("sec-fetch-mode");
  return (mode === null || mode === "navigate") && prefersHtml(request);
}
