import type { ClessError } from "../base/errors.ts";
import { fill, withSections } from "../http/html_template.ts";
import type { RequestHead } from "../http/request_head.ts";
import { isPublicName } from "./responder.ts";
import template from "./waiting_page.html" with { type: "text" };

/** A page without scripts reloads itself after this time at the latest. */
const MAX_REFRESH_S = 2;

const WAITING = withSections(template, "waiting");
const FAILED = withSections(template, "failed");
/** This page also names the command that tells operators more. */
const FAILED_SERVICE = withSections(template, "failed", "service");

/** The progress of a start. */
export interface Start {
  readonly wait: string;
  /** How long the first browser has been waiting. */
  readonly elapsedMs: number;
  /** How long a start usually takes; `undefined` if unknown. */
  readonly usualMs: number | undefined;
}

/** The page for browsers that wait for a start. */
export function waitingPage({ hostname: { name }, target }: RequestHead, start: Start): Response {
  const { wait, elapsedMs, usualMs } = start;
  const leftS = Math.max(1, Math.ceil(((usualMs ?? 0) - elapsedMs) / 1000));
  const values = {
    ...{ name, wait },
    // With an empty URL, a browser would not reload a page with a fragment. Without the prefix, a target that begins
    // with `//` would name a host.
    here: `/.${target}`,
    refresh: String(Math.min(MAX_REFRESH_S, leftS)),
    usually: usualMs === undefined ? "This takes a moment" : `This usually takes ${durationText(usualMs)}`,
    elapsed: String(Math.round(elapsedMs)),
    usual: usualMs === undefined ? "" : String(Math.round(usualMs)),
  };
  return respond(WAITING, values, { status: 503, "cless-loading": "page", "retry-after": String(leftS) });
}

/** The page for a service that could not be started. @param retryAfterS Used if the error has none. */
export function failedPage(
  { hostname }: RequestHead,
  service: string,
  error: ClessError,
  retryAfterS: number,
): Response {
  const { code, status } = error;
  const headers = { status, "cless-error": code, "retry-after": String(error.retryAfterS ?? retryAfterS) };
  const page = isPublicName(service, hostname) ? FAILED_SERVICE : FAILED;
  return respond(page, { name: hostname.name, service, code }, headers);
}

function respond(
  template: string,
  values: Record<string, string>,
  { status, ...headers }: { status: number } & Record<string, string | number>,
): Response {
  const nonce = crypto.randomUUID();
  return new Response(fill(template, { ...values, nonce }), {
    status,
    headers: {
      ...headers,
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy":
        `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; ` +
        // For the empty icon. Without an icon, a browser would request the app's icon, which wakes the app.
        "img-src data:; base-uri 'none'; form-action 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
    } as Record<string, string>,
  });
}

function durationText(ms: number): string {
  if (ms < 750) return "less than a second";
  const seconds = Math.round(ms / 1000);
  if (seconds === 1) return "about a second";
  if (seconds < 90) return `about ${seconds} seconds`;
  return `about ${Math.round(seconds / 60)} minutes`;
}
