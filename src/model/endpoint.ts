/** Where to listen or to connect: a host (IPv6 without brackets) and a port. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Reads `HOST:PORT`; an IPv6 address stands in brackets, an empty host means all addresses.
 *
 * @throws {RangeError} When the text is not an endpoint.
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
