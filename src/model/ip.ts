/** A range of IP addresses, such as 10.0.0.0/8. */
export interface Cidr {
  /** Whether an address is in the range. IPv4 addresses mapped into IPv6 count as IPv4. */
  contains(address: string): boolean;
}

/** The bytes of an IP address: 4 for IPv4, also if mapped into IPv6, otherwise 16. `undefined` if the text is none. */
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

/** The first address of a range, and how many of its bits all addresses of the range have. */
interface Block {
  readonly base: readonly number[];
  readonly bits: number;
}

/** Reads `ADDRESS/BITS`, or a single address. @throws {RangeError} */
export function parseCidr(text: string): Cidr {
  return parseRanges([text]);
}

/** Reads ranges as {@linkcode parseCidr} does. Returns one range with the addresses of all. @throws {RangeError} */
export function parseRanges(texts: readonly string[]): Cidr {
  const sets: BlockSet[] = [];
  for (const { base, bits } of texts.map(parseBlock)) {
    let set = sets.find((one) => one.bytes === base.length && one.bits === bits);
    if (set === undefined) sets.push(set = { bytes: base.length, bits, starts: new Set() });
    set.starts.add(startOf(base, bits));
  }
  return {
    contains(candidate) {
      const bytes = parseIp(candidate);
      return bytes !== undefined &&
        sets.some((set) => set.bytes === bytes.length && set.starts.has(startOf(bytes, set.bits)));
    },
  };
}

/** All blocks with addresses of this length that have this many bits in common. One look finds an address among them. */
interface BlockSet {
  readonly bytes: number;
  readonly bits: number;
  readonly starts: Set<string>;
}

/** The first `bits` bits of an address, as a text with a character for each byte. */
function startOf(bytes: readonly number[], bits: number): string {
  const whole = bits >> 3;
  let start = "";
  for (let at = 0; at < whole; at++) start += String.fromCharCode(bytes[at]!);
  return bits % 8 === 0 ? start : start + String.fromCharCode(bytes[whole]! >> (8 - bits % 8));
}

function parseBlock(text: string): Block {
  const [address = "", length, ...rest] = text.split("/");
  const base = parseIp(address);
  const bits = length === undefined ? (base?.length ?? 0) * 8 : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (base === undefined || rest.length > 0 || !(bits <= base.length * 8)) {
    throw new RangeError("expected an address or a range such as 10.0.0.0/8 or fd00::/8");
  }
  return { base, bits };
}

/**
 * A text for the network that one customer usually has: an IPv4 address by itself, or the first 64 bits of an IPv6
 * address (RFC 4291, section 2.5.4), since a customer has 2^64 addresses there. Every other text is returned unchanged.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const bytes = parseIp(address);
  if (bytes === undefined) return address;
  return bytes.length === 4 ? bytes.join(".") : `${bytes.slice(0, 8).map((byte) => byte.toString(16)).join(":")}/64`;
}

/**
 * The range of the first bits of an address, such as `203.0.113.0/24` or `2001:db8:1::/48`. Every text that is no
 * address is returned unchanged.
 */
export function prefixOf(address: string, bits: { readonly v4: number; readonly v6: number }): string {
  const bytes = parseIp(address);
  if (bytes === undefined) return address;
  const kept = bytes.length === 4 ? bits.v4 : bits.v6;
  const base = bytes.map((byte, at) => byte & ~(0xff >> Math.max(0, Math.min(8, kept - at * 8))));
  if (bytes.length === 4) return `${base.join(".")}/${kept}`;
  const groups = Array.from({ length: 8 }, (_, at) => (base[2 * at]! * 256 + base[2 * at + 1]!).toString(16));
  return `${new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1)}/${kept}`;
}

const LOOPBACK = [parseCidr("127.0.0.0/8"), parseCidr("::1")];

/** Whether an address is a loopback address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.some((range) => range.contains(address));
}

const MAPPED = "::ffff:";

/**
 * Turns an IPv4 address mapped into IPv6 and written like `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2) into
 * `192.0.2.1`. Returns every other text unchanged.
 */
export function withoutMapping(address: string): string {
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}
