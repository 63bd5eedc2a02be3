import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { isLoopback, parseCidr, parseIp, parseRanges, prefixOf, withoutMapping } from "../../src/model/ip.ts";

/** Whether a range has each of the addresses. */
function contained(range: string, ...addresses: string[]): boolean[] {
  const cidr = parseCidr(range);
  return addresses.map((address) => cidr.contains(address));
}

/** An address as one number. */
function toBig(bytes: readonly number[]): bigint {
  return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

const ipv4 = fc.tuple(...Array<fc.Arbitrary<number>>(4).fill(fc.nat(255)));
/** Eight groups, many of them 0 or all ones, and sometimes an IPv4 address mapped into IPv6. */
const groups = fc.oneof(
  fc.tuple(...Array<fc.Arbitrary<number>>(8).fill(fc.oneof(fc.constantFrom(0, 1, 0xffff), fc.nat(0xffff)))),
  fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => [0, 0, 0, 0, 0, 0xffff, a, b]),
);

function toBytes(parts: readonly number[]): number[] {
  return parts.flatMap((group) => [group >> 8, group & 255]);
}

/** Changes one bit of an address. */
function flip(bytes: readonly number[], bit: number): number[] {
  return bytes.map((byte, at) => at === bit >> 3 ? byte ^ (128 >> (bit & 7)) : byte);
}

Deno.test("an IPv4 address is four numbers below 256", () => {
  assertEquals(parseIp("0.0.0.0"), [0, 0, 0, 0]);
  assertEquals(parseIp("192.168.1.255"), [192, 168, 1, 255]);
  for (const text of ["", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "1.2.3.4 ", "0x1.2.3.4", "1.2.3.0004"]) {
    assertEquals(parseIp(text), undefined, text);
  }
});

Deno.test("an IPv6 address may be written in every way", () => {
  const loopback = [...Array(15).fill(0), 1];
  assertEquals(parseIp("::1"), loopback);
  assertEquals(parseIp("0:0:0:0:0:0:0:1"), loopback);
  assertEquals(parseIp("0000::0001"), loopback);
  assertEquals(parseIp("::"), Array(16).fill(0));
  assertEquals(parseIp("2001:DB8::A:0:1"), toBytes([0x2001, 0xdb8, 0, 0, 0, 0xa, 0, 1]));
  assertEquals(parseIp("fe80::"), toBytes([0xfe80, 0, 0, 0, 0, 0, 0, 0]));
  assertEquals(parseIp("64:ff9b::192.0.2.33"), toBytes([0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x221]));
  assertEquals(parseIp("fe80::1%eth0"), toBytes([0xfe80, 0, 0, 0, 0, 0, 0, 1]));
});

Deno.test("texts that are nearly IPv6 addresses are refused", () => {
  const texts = [
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "g::1",
    "::1]",
    "[::1]",
    "::1/64",
    "::1 ",
  ];
  for (const text of texts) assertEquals(parseIp(text), undefined, text);
});

Deno.test("an IPv4 address mapped into IPv6 counts as IPv4", () => {
  assertEquals(parseIp("::ffff:10.1.2.3"), [10, 1, 2, 3]);
  assertEquals(parseIp("::FFFF:0A01:0203"), [10, 1, 2, 3]);
  assertEquals(contained("10.0.0.0/8", "::ffff:10.9.8.7", "::ffff:11.0.0.0", "::10.0.0.1"), [true, false, false]);
});

Deno.test("a range has the addresses that its prefix length says", () => {
  assertEquals(contained("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "::1"), [true, true, false]);
  assertEquals(contained("128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255"), [true, true, false]);
  assertEquals(contained("10.1.2.2/31", "10.1.2.2", "10.1.2.3", "10.1.2.1", "10.1.2.4"), [true, true, false, false]);
  assertEquals(contained("10.1.2.3/32", "10.1.2.3", "10.1.2.2"), [true, false]);
  assertEquals(contained("172.16.0.0/12", "172.31.255.255", "172.32.0.0", "172.15.255.255"), [true, false, false]);
  assertEquals(contained("::/0", "::", "ffff::ffff", "1.2.3.4"), [true, true, false]);
  assertEquals(contained("fe80::/10", "febf:ffff::1", "fec0::"), [true, false]);
  assertEquals(contained("fd00::1/128", "fd00::1", "fd00::"), [true, false]);
  assertEquals(contained("fd00::2/127", "fd00::3", "fd00::4"), [true, false]);
});

Deno.test("the bits of a range's address after its prefix length do not matter", () => {
  assertEquals(contained("10.1.2.3/8", "10.255.0.1", "11.1.2.3"), [true, false]);
});

Deno.test("an address alone is a range of one", () => {
  assertEquals(contained("127.0.0.1", "127.0.0.1", "127.0.0.2"), [true, false]);
  assertEquals(contained("::1", "0:0::1", "::2"), [true, false]);
});

Deno.test("a range does not contain texts that are no addresses", () => {
  assertEquals(contained("0.0.0.0/0", "", "example.org", "1.2.3", "unix:/run/x"), [false, false, false, false]);
});

Deno.test("a text that is no range is refused, and the message shows one", () => {
  const texts = [
    "",
    "/",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/x",
    "10.0.0.0/1e1",
  ];
  for (const text of [...texts, "10.0.0/8", "10.0.0.0/ 8", "::/129", "::/1000", "fd00::/8 ", "example.org", "*"]) {
    assertThrows(() => parseCidr(text), RangeError, "expected an address or a range such as 10.0.0.0/8");
  }
});

Deno.test("an IPv4 range has the addresses that have its first bits in common", () => {
  fc.assert(fc.property(ipv4, ipv4, fc.nat(32), fc.nat(31), (base, other, bits, bit) => {
    for (const candidate of [base, other, flip(base, bit)]) {
      const expected = toBig(base) >> BigInt(32 - bits) === toBig(candidate) >> BigInt(32 - bits);
      assertEquals(parseCidr(`${base.join(".")}/${bits}`).contains(candidate.join(".")), expected);
    }
  }));
});

Deno.test("an IPv6 range has the addresses that have its first bits in common", () => {
  const text = (parts: readonly number[]) => parts.map((group) => group.toString(16)).join(":");
  const mapped = (bytes: readonly number[]) => toBig(bytes) >> 32n === 0xffffn;
  fc.assert(fc.property(groups, groups, fc.nat(128), fc.nat(127), (base, other, bits, bit) => {
    fc.pre(!mapped(toBytes(base)));
    const flipped = flip(toBytes(base), bit);
    const flippedGroups = base.map((_, at) => flipped[at * 2]! * 256 + flipped[at * 2 + 1]!);
    for (const candidate of [base, other, flippedGroups]) {
      const same = toBig(toBytes(base)) >> BigInt(128 - bits) === toBig(toBytes(candidate)) >> BigInt(128 - bits);
      const contains = parseCidr(`${text(base)}/${bits}`).contains(text(candidate));
      assertEquals(contains, same && !mapped(toBytes(candidate)), `${text(base)}/${bits} ${text(candidate)}`);
    }
  }));
});

Deno.test("many ranges together have the addresses of each of them", () => {
  const address = fc.oneof(ipv4.map((bytes) => bytes.join(".")), fc.ipV6());
  const range = fc.tuple(address, fc.nat(32)).map(([start, bits]) => `${start}/${bits}`);
  fc.assert(fc.property(fc.array(range, { maxLength: 20 }), address, (ranges, candidate) => {
    const expected = ranges.some((one) => parseCidr(one).contains(candidate));
    assertEquals(parseRanges(ranges).contains(candidate), expected);
  }));
});

Deno.test("reading an address never throws", () => {
  const near = fc.stringMatching(/^[0-9a-fA-F:.%/[\]]{0,24}$/);
  fc.assert(fc.property(fc.oneof(fc.string(), near, fc.ipV4(), fc.ipV6()), (text) => {
    const length = parseIp(text)?.length;
    assert(length === undefined || length === 4 || length === 16);
  }));
});

Deno.test("every address in a standard form is read", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => assert(parseIp(text) !== undefined, text)));
});

Deno.test("loopback addresses are recognised in every form", () => {
  const own = ["127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"];
  const others = ["128.0.0.1", "10.0.0.1", "::2", "::", "localhost", ""];
  assertEquals([...own, ...others].filter(isLoopback), own);
});

Deno.test("an IPv4 address mapped into IPv6 is written in dotted form, and every other one stays as it is", () => {
  assertEquals(withoutMapping("::ffff:10.0.0.7"), "10.0.0.7");
  for (const address of ["10.0.0.7", "::1", "::ffff:0:0:1", "fe80::1%eth0", "::10.0.0.7"]) {
    assertEquals(withoutMapping(address), address);
  }
});

Deno.test("the range of an address has its first bits, and no other", () => {
  const bits = { v4: 24, v6: 48 };
  assertEquals(prefixOf("203.0.113.255", bits), "203.0.113.0/24");
  assertEquals(prefixOf("203.0.113.255", { v4: 20, v6: 48 }), "203.0.112.0/20");
  assertEquals(prefixOf("203.0.113.255", { v4: 32, v6: 48 }), "203.0.113.255/32");
  assertEquals(prefixOf("203.0.113.255", { v4: 0, v6: 48 }), "0.0.0.0/0");
  assertEquals(prefixOf("::ffff:203.0.113.255", bits), "203.0.113.0/24");
  assertEquals(prefixOf("2001:db8:ffff:ffff::1", bits), "2001:db8:ffff::/48");
  assertEquals(prefixOf("2001:db8:ffff:ffff::1", { v4: 24, v6: 36 }), "2001:db8:f000::/36");
  assertEquals(prefixOf("::1", bits), "::/48");
  assertEquals(prefixOf("unknown", bits), "unknown");
});
