import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  formatSubnet,
  overlap,
  parseRoutes,
  parseSubnet,
  privateSubnets,
  sizeOf,
  toAddress,
  toNumber,
} from "../../../src/docker/network/subnet.ts";

Deno.test("an address and its number stand for each other", () => {
  assertEquals(toNumber("0.0.0.0"), 0);
  assertEquals(toNumber("10.0.0.1"), 0x0a000001);
  assertEquals(toNumber("255.255.255.255"), 0xffffffff);
  assertEquals(toAddress(0xac1ff002), "172.31.240.2");
  fc.assert(fc.property(fc.ipV4(), (address) => assertEquals(toAddress(toNumber(address)), address)));
});

Deno.test("a subnet begins at its first address, whichever of them is written", () => {
  assertEquals(formatSubnet(parseSubnet("10.1.16.0/20")!), "10.1.16.0/20");
  assertEquals(formatSubnet(parseSubnet("10.1.31.255/20")!), "10.1.16.0/20");
  assertEquals(formatSubnet(parseSubnet("192.168.1.7/32")!), "192.168.1.7/32");
  assertEquals(formatSubnet(parseSubnet("192.168.1.7/0")!), "0.0.0.0/0");
  assertEquals(sizeOf(parseSubnet("10.1.16.0/20")!), 4096);
});

Deno.test("what is no IPv4 subnet is none", () => {
  for (const text of ["", "10.0.0.0", "10.0.0.0/", "10.0.0/8", "fd00::/8", "10.0.0.0/33", "10.0.0.256/8", "x/8"]) {
    assertEquals(parseSubnet(text), undefined, text);
  }
});

Deno.test("subnets overlap when they share an address", () => {
  const shared = (a: string, b: string) => overlap(parseSubnet(a)!, parseSubnet(b)!);
  assert(shared("10.0.0.0/8", "10.255.0.0/16"));
  assert(shared("10.255.0.0/16", "10.0.0.0/8"));
  assert(shared("10.0.0.0/20", "10.0.0.0/20"));
  assert(shared("0.0.0.0/0", "192.168.0.0/16"));
  assert(!shared("10.0.0.0/20", "10.0.16.0/20"));
  assert(!shared("172.16.0.0/12", "172.32.0.0/12"));
});

Deno.test("subnets overlap exactly when an end of one lies in the other", () => {
  const subnets = fc.tuple(fc.nat(255), fc.integer({ min: 24, max: 32 }))
    .map(([last, bits]) => parseSubnet(`10.0.0.${last}/${bits}`)!);
  fc.assert(fc.property(subnets, subnets, (a, b) => {
    const addresses = new Set(Array.from({ length: sizeOf(a) }, (_, at) => a.base + at));
    const shared = Array.from({ length: sizeOf(b) }, (_, at) => b.base + at).some((address) => addresses.has(address));
    assertEquals(overlap(a, b), shared);
  }));
});

Deno.test("the private subnets are all of RFC 1918, from the end of each range, and none twice", () => {
  const subnets = [...privateSubnets()].map(formatSubnet);
  assertEquals(subnets.length, 256 + 4096 + 16);
  assertEquals(new Set(subnets).size, subnets.length);
  assertEquals([subnets[0], subnets[255]], ["172.31.240.0/20", "172.16.0.0/20"]);
  assertEquals([subnets[256], subnets.at(-17)], ["10.255.240.0/20", "10.0.0.0/20"]);
  assertEquals([subnets.at(-16), subnets.at(-1)], ["192.168.240.0/20", "192.168.0.0/20"]);
});

const ROUTES_HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n";

/** A line of /proc/net/route, with the numbers as the kernel writes them: little-endian hexadecimal. */
function route(subnet: string): string {
  const { base, bits } = parseSubnet(subnet)!;
  const hex = (number: number) =>
    toAddress(number).split(".").reverse().map((byte) => Number(byte).toString(16).padStart(2, "0")).join("")
      .toUpperCase();
  const mask = bits === 0 ? 0 : 2 ** 32 - 2 ** (32 - bits);
  return ["eth0", hex(base), "00000000", "0001", "0", "0", "0", hex(mask), "0", "0", "0"].join("\t") + "\n";
}

Deno.test("the subnets that a machine has routes to are read from its table", () => {
  const subnets = ["172.17.0.0/16", "10.0.0.0/8", "192.168.1.128/25", "10.1.2.3/32", "172.31.240.0/20"];
  assertEquals(parseRoutes(ROUTES_HEAD + subnets.map(route).join("")).map(formatSubnet), subnets);
  assertEquals(parseRoutes(""), []);
  assertEquals(parseRoutes(ROUTES_HEAD), []);
});

Deno.test("a route to everywhere takes no subnet, also one in halves as VPNs make it", () => {
  const table = ROUTES_HEAD + ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.8.0.0/24"].map(route).join("");
  assertEquals(parseRoutes(table).map(formatSubnet), ["10.8.0.0/24"]);
});
