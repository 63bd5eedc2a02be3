import { parseHostname } from "./host.ts";

/** Where clients reach the services: each is one label below the domain. */
export interface PublicUrl {
  readonly scheme: "http" | "https";
  /** Lower case. */
  readonly domain: string;
  readonly port: number;
}

const USUAL_PORTS = { http: 80, https: 443 };
const EXPECTED = "expected http:// or https:// and a domain, with a port if it is not the usual one, such as " +
  "https://example.org or https://example.org:8443";

/** Reads `SCHEME://DOMAIN` or `SCHEME://DOMAIN:PORT`. @throws {RangeError} Also for a path, a user or an IP address. */
export function parsePublicUrl(text: string): PublicUrl {
  const [, scheme, authority = "", rest = ""] = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(text) ?? [];
  if (scheme === undefined) throw new RangeError(EXPECTED);
  if (rest !== "" && rest !== "/") throw new RangeError(`${EXPECTED}, and no path or query`);
  if (authority.includes("@")) throw new RangeError(`${EXPECTED}, and no user`);
  const hostname = parseHostname(authority);
  if (hostname === undefined) throw new RangeError(`${EXPECTED}, and no IP address: services need names below it`);
  const known = scheme.toLowerCase() as PublicUrl["scheme"];
  const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? USUAL_PORTS[known]);
  if (port === 0) throw new RangeError(`${EXPECTED}, and no port 0`);
  return { scheme: known, domain: hostname.name, port };
}

/** The URL of the hostname that has a label below the domain. */
export function urlBelow(url: PublicUrl, label: string): string {
  return urlOfHost(url, `${label}.${url.domain}`);
}

/** The URL of another hostname, with the same scheme and port. */
export function urlOfHost({ scheme, port }: PublicUrl, hostname: string): string {
  return `${scheme}://${hostname}${port === USUAL_PORTS[scheme] ? "" : `:${port}`}`;
}
