import type { ErrorCode } from "../../base/errors.ts";
import { fill, withSections } from "../../http/html_template.ts";
import { SIGN_OUT_PATH } from "./addresses.ts";
import template from "./page.html" with { type: "text" };

const NOT_SIGNED_IN = "Sign-in did not work";

/** What a page about sign-in says, and what it leads to. */
interface PageOptions {
  readonly status: number;
  /** For the header `cless-error`. */
  readonly code?: ErrorCode;
  readonly title: string;
  readonly detail: string;
  /** Has a button to sign out. */
  readonly signOut?: boolean;
  /** The text of a link to the service. */
  readonly back?: string;
  /** The lines of `Set-Cookie`. */
  readonly cookies?: readonly string[];
}

/** The page for an account that may not use the service. */
export function notAllowed(user: string): Response {
  const detail = `You are signed in as ${user}, and this service does not let this account in.`;
  return page({ status: 403, code: "forbidden", title: "No access", detail, signOut: true });
}

/** The page for a browser that comes back from the provider with a sign-in that cless cannot go on with. */
export function tooLate(): Response {
  const detail = "The sign-in took too long, or was begun in another browser.";
  return page({ status: 400, code: "bad_request", title: NOT_SIGNED_IN, detail, back: "Try again" });
}

/** The page for a sign-in that the provider has refused. @param reason The provider's. */
export function refused(reason: string): Response {
  const detail = `The provider for sign-in has refused: ${reason}.`;
  return page({ status: 403, code: "forbidden", title: NOT_SIGNED_IN, detail, back: "Try again" });
}

/** The page for a sign-in that has failed since the provider is away, or does not keep to the protocol. */
export function failed(): Response {
  const detail = "The provider for sign-in did not answer as it should. The log of cless says more.";
  return page({ status: 502, code: "upstream_failed", title: NOT_SIGNED_IN, detail, back: "Try again" });
}

/** The page with the button to sign out. @param user Who has signed in; `undefined` if nobody has. */
export function beforeSignOut(user: string | undefined): Response {
  return user === undefined
    ? page({ status: 200, title: "Signed out", detail: "You are not signed in here.", back: "Sign in" })
    : page({ status: 200, title: "Sign out?", detail: `You are signed in as ${user}.`, signOut: true });
}

/** The page after signing out. @param cookies The lines of `Set-Cookie` that end the session. */
export function signedOut(cookies: readonly string[]): Response {
  return page({ status: 200, title: "Signed out", detail: "You are signed out here.", back: "Sign in", cookies });
}

function page({ status, code, title, detail, signOut, back, cookies = [] }: PageOptions): Response {
  const sections = [...signOut ? ["signOut"] : [], ...back === undefined ? [] : ["back"]];
  const values = { title, detail, back: back ?? "", signOutPath: SIGN_OUT_PATH };
  return new Response(fill(withSections(template, ...sections), values), {
    status,
    headers: [
      ["content-type", "text/html; charset=utf-8"],
      ["cache-control", "no-store"],
      // The address of this page may have the code of a sign-in.
      ["referrer-policy", "strict-origin"],
      // No other site may show the button in a frame.
      ["content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"],
      ...code === undefined ? [] : [["cless-error", code] as [string, string]],
      ...setCookies(cookies),
    ],
  });
}

/** Sends a browser on, by a GET. */
export function redirect(location: string, cookies: readonly string[] = []): Response {
  return new Response(null, {
    status: 303,
    headers: [["location", location], ["cache-control", "no-store"], ...setCookies(cookies)],
  });
}

function setCookies(cookies: readonly string[]): [string, string][] {
  return cookies.map((cookie) => ["set-cookie", cookie]);
}
