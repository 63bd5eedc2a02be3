import type { ClessError } from "../../base/errors.ts";
import { fill } from "../../http/html.ts";
import type { RequestHead } from "../../http/request_head.ts";
import page from "./page.html" with { type: "text" };

/** What a page without scripts waits at most before it comes again, s. */
const LONGEST_REFRESH_S = 2;

const WAITING = only("waiting");
const FAILED = only("failed");

/** How it stands with a start. */
export interface Start {
  /** The id of the wait. */
  readonly wait: string;
  /** For how long the browser, or the first of several, has been waiting, ms. */
  readonly elapsed: number;
  /** How long it takes as a rule, ms; `undefined` where that is not known. */
  readonly usual: number | undefined;
}

/** The page that is shown while a service starts. */
export function waitingPage({ hostname: { name }, target }: RequestHead, { wait, elapsed, usual }: Start): Response {
  const left = Math.max(1, Math.ceil(((usual ?? 0) - elapsed) / 1000));
  const values = {
    ...{ name, wait },
    // Without a URL a browser goes nowhere where there is a fragment; and what begins with `//` is another host's.
    here: `/.${target}`,
    refresh: String(Math.min(LONGEST_REFRESH_S, left)),
    usually: usual === undefined ? "This takes a moment" : `This usually takes ${durationText(usual)}`,
    elapsed: String(Math.round(elapsed)),
    usual: usual === undefined ? "" : String(Math.round(usual)),
  };
  return answer(WAITING, values, { status: 503, "cless-loading": "page", "retry-after": String(left) });
}

/**
 * The page that says that a service does not start.
 *
 * @param retryAfterS When that may be otherwise, where the error does not tell.
 */
export function failedPage(name: string, error: ClessError, retryAfterS: number): Response {
  const { code, status } = error;
  const retry = String(error.retryAfterS ?? retryAfterS);
  return answer(FAILED, { name, code }, { status, "cless-error": code, "retry-after": retry });
}

function answer(
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
        // Without an icon of its own browsers ask for the app's, and that would wake it.
        "img-src data:; base-uri 'none'; form-action 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
    } as Record<string, string>,
  });
}

/** The template with the parts of one state: those of others stand between `<!-- STATE -->` and `<!-- /STATE -->`. */
function only(state: "waiting" | "failed"): string {
  const parts = /[ \t]*<!-- (waiting|failed) -->\n([\s\S]*?)[ \t]*<!-- \/\1 -->\n/g;
  return page.replaceAll(parts, (_, of, part) => of === state ? part : "");
}

function durationText(ms: number): string {
  if (ms < 750) return "less than a second";
  const seconds = Math.round(ms / 1000);
  if (seconds === 1) return "about a second";
  if (seconds < 90) return `about ${seconds} seconds`;
  return `about ${Math.round(seconds / 60)} minutes`;
}
