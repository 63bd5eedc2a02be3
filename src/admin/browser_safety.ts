import { parseIp } from "../model/cidr.ts";
import { ClessError } from "../base/errors.ts";

/**
 * Refuses what a browser sends for a page of somebody else's: a foreign name that was made to mean this address (DNS
 * rebinding), and requests of foreign pages.
 *
 * @param host What the request was sent to, `NAME` or `NAME:PORT`.
 * @param hostnames By which names the API may be called beside addresses, localhost and *.localhost.
 * @throws {ClessError} `forbidden`
 */
export function checkBrowserSafety(host: string, origin: string | null, hostnames: readonly string[]): void {
  if (!isOwnName(host.replace(/:\d*$/, "").replace(/\.$/, ""), hostnames)) {
    throw new ClessError("forbidden", "The admin API is not called by this name; use its address or localhost");
  }
  // Another page's scheme would make another port, so that the name and the port say enough.
  if (origin !== null && hostOf(origin) !== host.replace(/:(?:80|443)?$/, "")) {
    throw new ClessError("forbidden", "The admin API takes no requests of other origins");
  }
}

function isOwnName(name: string, hostnames: readonly string[]): boolean {
  const address = /^\[(.*)\]$/.exec(name)?.[1] ?? name;
  return parseIp(address) !== undefined || name === "localhost" || name.endsWith(".localhost") ||
    hostnames.includes(name);
}

/** `NAME`, or `NAME:PORT` where the port is none of the usual ones; `undefined` where a page has no origin to name. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]*)$/.exec(origin.toLowerCase())?.[1]?.replace(/:(?:80|443)?$/, "");
}
