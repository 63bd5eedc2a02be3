import type { Header } from "../../http/headers.ts";

/**
 * Cookies whose name begins so can only be set by the same host, over HTTPS, and for all of its paths:
 * https://www.rfc-editor.org/rfc/rfc6265bis#name-the-__host-prefix. Over plain HTTP, which is for localhost alone, not
 * all browsers accept them.
 */
const HOST_ONLY = "__Host-";
const SESSION = "cless-session";
const ATTEMPT = "cless-attempt-";
const OWN = new RegExp(`(?:${HOST_ONLY})?(?:${SESSION}|${ATTEMPT})`);
/** This many sign-ins may be under way in one browser, such as in several tabs. */
const MAX_ATTEMPTS = 5;

/** The cookies of one origin. */
export class SignInCookies {
  readonly #prefix: string;
  readonly #attributes: string;

  /** @param isSecure Whether the client uses HTTPS. */
  constructor(isSecure: boolean) {
    this.#prefix = isSecure ? HOST_ONLY : "";
    this.#attributes = `; Path=/; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;
  }

  /** The session, sealed. */
  session(request: Request): string | undefined {
    return this.#read(request, this.#prefix + SESSION);
  }

  /** A sign-in that is under way, sealed. */
  attempt(request: Request, id: string): string | undefined {
    return this.#read(request, this.#prefix + ATTEMPT + id);
  }

  /** The line that sets the session. */
  setSession(sealed: string, seconds: number): string {
    return this.#set(SESSION, sealed, seconds);
  }

  endSession(): string {
    return this.#set(SESSION, "", 0);
  }

  setAttempt(id: string, sealed: string, seconds: number): string {
    return this.#set(ATTEMPT + id, sealed, seconds);
  }

  endAttempt(id: string): string {
    return this.#set(ATTEMPT + id, "", 0);
  }

  /** The ids of the oldest sign-ins that are under way, if one more would be too many. Ids begin with their time. */
  excess(request: Request): string[] {
    const start = this.#prefix + ATTEMPT;
    const ids = pairsOf(request).flatMap(([name]) => name.startsWith(start) ? [name.slice(start.length)] : []);
    return ids.filter((id) => /^[\w-]+$/.test(id)).sort().reverse().slice(MAX_ATTEMPTS - 1);
  }

  #read(request: Request, wanted: string): string | undefined {
    return pairsOf(request).find(([name]) => name === wanted)?.[1];
  }

  #set(name: string, value: string, seconds: number): string {
    return `${this.#prefix}${name}=${value}; Max-Age=${seconds}${this.#attributes}`;
  }
}

/** Removes cless's own cookies from the headers that an app gets. A line that could hide one is removed whole. */
export function dropOwnCookies(headers: Header[]): void {
  for (let at = headers.length - 1; at >= 0; at--) {
    const [name, value] = headers[at]!;
    if (name !== "cookie" || !OWN.test(value)) continue;
    const rest = value.split(";").map((pair) => pair.trim()).filter((pair) => pair.search(OWN) !== 0).join("; ");
    if (rest === "" || OWN.test(rest)) headers.splice(at, 1);
    else headers[at] = [name, rest];
  }
}

function pairsOf({ headers }: Request): [name: string, value: string][] {
  return (headers.get("cookie") ?? "").split(";").map((pair) => {
    const equals = pair.indexOf("=");
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  });
}
