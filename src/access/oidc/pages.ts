import type { ErrorCode } from "../../base/errors.ts";
import { fill, withSections } from "../../http/html_template.ts";
import { SIGN_OUT_PATH } from "./addresses.ts";
import template from "./page.html" with { type: "text" };

/** What a page about sign-in says, and what it leads to. */
export interface PageOptions {
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

/** A page about sign-in. */
export function page({ status, code, title, detail, signOut, back, cookies = [] }: PageOptions): Response {
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
