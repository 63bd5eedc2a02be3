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

/** A range of IP addresses, such as 10.0.0.0/8. */
export interface Cidr {
  /** Whether an address is in the range. IPv4 addresses mapped into IPv6 count as IPv4. */
  contains(address: string): boolean;
}

/** The bytes of an IP address (4 or 16); `undefined` if the text is not an IP address. */
export function parseIp(text: string): number[] | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (v4) {
    const bytes = v4.slice(1).map(Number);
    return bytes.every((byte) => byte < 256) ? bytes : undefined;
  }
  const address = text.replace(/%.*$/, "");
  if (!address.includes(":") || !/^[0-9a-fA-F:.]+$/.test(address)) return undefined;
  let hostname: string;
  try {
    hostname = new URL(`http://[${address}]/`).hostname; // the platform's parser brings it into canonical form
  } catch {
    return undefined;
  }
  const [head = "", tail] = hostname.slice(1, -1).split("::");
  const groups = (part: string) => part.split(":").filter(Boolean).map((group) => parseInt(group, 16));
  const before = groups(head);
  const after = groups(tail ?? "");
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  const bytes = all.flatMap((group) => [group >> 8, group & 255]);
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return mapped ? bytes.slice(12) : bytes;
}

/** Reads `ADDRESS/BITS`, or a single address. @throws {RangeError} */
export function parseCidr(text: string): Cidr {
  const [address = "", length, ...rest] = text.split("/");
  const base = parseIp(address);
  const bits = length === undefined ? (base?.length ?? 0) * 8 : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (base === undefined || rest.length > 0 || !(bits <= base.length * 8)) {
    throw new RangeError("expected an address or a range such as 10.0.0.0/8 or fd00::/8");
  }
  return {
    contains(candidate) {
      const bytes = parseIp(candidate);
      if (bytes?.length !== base.length) return false;
      return bytes.every((byte, at) => {
        const shift = 8 - Math.min(8, Math.max(0, bits - at * 8));
        return byte >> shift === base[at]! >> shift;
      });
    },
  };
}

const LOOPBACK = [parseCidr("127.0.0.0/8"), parseCidr("::1")];

/** Whether an address is a loopback address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.some((range) => range.contains(address));
}
