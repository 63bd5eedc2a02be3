/** A hostname of a request. */
export interface Hostname {
  /** Lower case, without port and trailing dot. */
  readonly name: string;
  readonly label: string;
}

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^((${LABEL})(?:\\.${LABEL})*)\\.?(?::(\\d{0,5}))?$`, "i");
// A name whose last label is a decimal or hexadecimal number is an IPv4 address:
// https://url.spec.whatwg.org/#ends-in-a-number-checker
const IPV4 = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * Reads a Host header (or `:authority`): letters, digits and inner hyphens, at most 63 characters per label and 253 in
 * all (RFC 1123, section 2.1). Returns `undefined` for anything else, also for IP addresses.
 */
export function parseHostname(value: string): Hostname | undefined {
  const match = HOST.exec(value);
  if (match === null) return undefined;
  const name = match[1]!.toLowerCase();
  if (name.length > 253 || IPV4.test(name) || Number(match[3] ?? 0) > 65535) return undefined;
  return { name, label: match[2]!.toLowerCase() };
}

/** An address to listen on or to connect to: a host (IPv6 without brackets) and a port. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Reads `HOST:PORT`. IPv6 addresses are in brackets. Without a host, the hostname is `0.0.0.0`. @throws {RangeError}
 */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@]*)):(\d{1,5})$/.exec(text);
  const port = match ? Number(match[3]) : NaN;
  if (match === null || port > 65535 || (match[1] !== undefined && !match[1].includes(":"))) {
    throw new RangeError("expected HOST:PORT such as 127.0.0.1:8080 or [::]:80, with a port from 0 to 65535");
  }
  return { hostname: match[1] ?? (match[2] || "0.0.0.0"), port };
}

/** Writes an endpoint as `HOST:PORT`. */
export function formatEndpoint({ hostname, port }: Endpoint): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether who listens there listens on every address of the machine: `0.0.0.0` or `::`. */
export function isAnyAddress(hostname: string): boolean {
  return /^[0.:]*$/.test(hostname);
}

/** Whether a hostname is this machine itself: `localhost`, or a name below it (RFC 6761, section 6.3). */
export function isLocalName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}
