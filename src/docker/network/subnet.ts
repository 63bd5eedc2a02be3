import { parseIp } from "../../model/ip.ts";

/** A block of IPv4 addresses. */
export interface Subnet {
  /** The first address, as a number. */
  readonly base: number;
  /** How many leading bits its addresses have in common. */
  readonly bits: number;
}

/** The number of an IPv4 address in dotted form. */
export function toNumber(address: string): number {
  return address.split(".").reduce((number, byte) => number * 256 + Number(byte), 0);
}

/** The dotted form of an IPv4 address. */
export function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Reads `10.1.16.0/20`; `undefined` if the text is not an IPv4 subnet. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = "", length] = /^([\d.]+)\/(\d+)$/.exec(text) ?? [];
  const bits = Number(length);
  if (parseIp(address) === undefined || bits > 32) return undefined;
  const size = 2 ** (32 - bits);
  return { base: Math.floor(toNumber(address) / size) * size, bits };
}

/** Writes a subnet as `10.1.16.0/20`. */
export function formatSubnet({ base, bits }: Subnet): string {
  return `${toAddress(base)}/${bits}`;
}

/** How many addresses a subnet has. */
export function sizeOf({ bits }: Subnet): number {
  return 2 ** (32 - bits);
}

/** Whether two subnets share an address. */
export function overlap(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}

/**
 * Reads the subnets of a routing table in the format of `/proc/net/route`: proc(5). Leaves out default routes, and
 * routes to half of all addresses, which VPNs use in pairs as a default route.
 */
export function parseRoutes(table: string): Subnet[] {
  return table.split("\n").slice(1).flatMap((line) => {
    const fields = line.split("\t");
    const [destination, mask] = [fields[1], fields[7]];
    if (!destination || !mask) return [];
    const bits = [...littleEndian(mask).toString(2)].filter((bit) => bit === "1").length;
    return bits <= 1 ? [] : [{ base: littleEndian(destination), bits }];
  });
}

function littleEndian(hex: string): number {
  return parseInt(hex.match(/../g)!.reverse().join(""), 16);
}

/** Private subnets of 4096 addresses (RFC 1918). Those that other programs are least likely to use come first. */
export function* privateSubnets(): Generator<Subnet> {
  for (const range of ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"]) {
    const { base, bits } = parseSubnet(range)!;
    const size = 4096;
    // From the end, since Docker and most people begin at the start.
    for (let at = base + sizeOf({ base, bits }) - size; at >= base; at -= size) yield { base: at, bits: 20 };
  }
}
