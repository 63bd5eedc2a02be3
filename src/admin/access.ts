import type { Attempts } from "../base/attempts.ts";
import type { Holder, Tokens } from "../control/access/tokens.ts";
import type { Config } from "../base/config.ts";
import { namesOtherMachines } from "../http/client_address.ts";
import type { RequestHead } from "../http/request_head.ts";
import { isLoopback, parseIp } from "../model/ip.ts";
import { adminHostnames, LOCAL_ADMIN } from "../routing/hosts.ts";
import { ClessError } from "../base/errors.ts";
import type { Target } from "./target.ts";

/** Says on one line what the API is and how to use it. */
export const PURPOSE =
  "This is the admin API of cless; send the token from the data-dir as `Authorization: Bearer TOKEN`";

/**
 * Refuses requests that a browser sends on behalf of another site: those to a foreign hostname that resolves to this
 * address (DNS rebinding), and those from pages of other origins.
 *
 * @param host The host that the request was sent to, `NAME` or `NAME:PORT`.
 * @param hostnames The API's hostnames. IP addresses, localhost and *.localhost are allowed too.
 * @throws {ClessError} `forbidden`
 */
export function checkBrowserSafety(host: string, origin: string | null, hostnames: readonly string[]): void {
  if (!isOwnName(host.replace(/:\d*$/, "").replace(/\.$/, ""), hostnames)) {
    throw new ClessError("forbidden", "The admin API is not called by this name; use its address or localhost");
  }
  // The scheme is not compared: behind a proxy that ends TLS, it is not known which scheme the browser used. So a page at
  // http://NAME may call the API at https://NAME. It still needs a token, which browsers do not send by themselves; and a
  // session is for one scheme only.
  if (origin !== null && hostOf(origin) !== host.replace(/:(?:80|443)?$/, "")) {
    throw new ClessError("forbidden", "The admin API takes no requests of other origins");
  }
}

function isOwnName(name: string, hostnames: readonly string[]): boolean {
  const address = /^\[(.*)\]$/.exec(name)?.[1] ?? name;
  return parseIp(address) !== undefined || name === "localhost" || name.endsWith(".localhost") ||
    hostnames.includes(name);
}

/** The `NAME:PORT` of an origin, without a default port; `undefined` for an opaque origin. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]*)$/.exec(origin.toLowerCase())?.[1]?.replace(/:(?:80|443)?$/, "");
}

/**
 * Whether the admin API answers a request that comes through the proxy. Clients on this machine may always use it, but
 * not those that another proxy on this machine names, whether cless trusts it or not. For all others the settings must
 * allow it, over HTTPS only (`--admin-https`, under the domain) or also over plain HTTP, which shows the token to the
 * network (`--admin-public`).
 *
 * @param headers As received.
 */
export function mayUseProxy(
  { hostname: { name }, client, secure }: Pick<RequestHead, "hostname" | "client" | "secure">,
  headers: Headers,
  config: Pick<Config, "adminHttps" | "adminPublic" | "domain" | "publicUrl">,
): boolean {
  if (!adminHostnames(config).includes(name)) return false;
  if (config.adminPublic || (isLoopback(client) && !namesOtherMachines(headers))) return true;
  return config.adminHttps && secure && name !== LOCAL_ADMIN;
}

/** What is asked of the parts that know tokens. */
export interface TokenCheck {
  readonly attempts: Attempts;
  readonly tokens: Pick<Tokens, "check">;
}

/** A request's bearer token; `undefined` if it has none. */
export function bearerOf(headers: Headers): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
}

/** The error for a request without a valid token. */
export function missingToken({ path }: Target): ClessError {
  // A request to the root without a token gets an explanation of what this is.
  const message = path === "/" ? PURPOSE : "The token is missing or wrong";
  return new ClessError("unauthorized", message, { challenge: 'Bearer realm="cless"' });
}

/**
 * The holder of a token.
 *
 * @param peer The address that the request came from. Too many wrong tokens lock it out for a while.
 * @throws {ClessError} The `refusal` if there is none, or `too_many_attempts`.
 */
export async function holderOfToken(
  token: string,
  peer: string,
  refusal: ClessError,
  { attempts, tokens }: TokenCheck,
): Promise<Holder> {
  const holder = await tokens.check(token);
  // A correct token is accepted even from a locked-out address: it cannot be guessed, and otherwise others at the same
  // address could lock out its holder.
  if (holder !== undefined) return holder;
  const secondsLeft = attempts.secondsLeft(peer);
  if (secondsLeft === undefined) {
    attempts.wrong(peer);
    throw refusal;
  }
  throw new ClessError(
    "too_many_attempts",
    `Too many wrong tokens came from this address; try again in ${secondsLeft} s, or with the right one`,
    { retryAfterS: secondsLeft },
  );
}
