import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { clientAddress } from "../../src/http/client_address.ts";
import { parseCidr } from "../../src/model/ip.ts";

const TRUSTED = ["10.0.0.0/8", "127.0.0.0/8", "::1", "fd00::/8"].map(parseCidr);

function client(
  forwardedFor: string | undefined,
  { peer = "10.0.0.1", forwarded = undefined as string | undefined } = {},
) {
  return clientAddress(peer, { forwardedFor, forwarded }, TRUSTED);
}

Deno.test("the client is the last address that is not a trusted proxy's", () => {
  assertEquals(client("203.0.113.9"), "203.0.113.9");
  assertEquals(client("6.6.6.6, 203.0.113.9"), "203.0.113.9");
  assertEquals(client("6.6.6.6, 203.0.113.9, 10.0.0.7,fd00::2"), "203.0.113.9");
  assertEquals(client("10.0.0.3, 10.0.0.2"), "10.0.0.3");
  assertEquals(client("2001:DB8::1"), "2001:db8::1");
  assertEquals(client("::ffff:203.0.113.9"), "203.0.113.9");
});

Deno.test("a trusted proxy that names nobody counts as the client", () => {
  assertEquals(client(undefined), "10.0.0.1");
  assertEquals(client(""), "10.0.0.1");
  assertEquals(client(" , "), "10.0.0.1");
  assertEquals(client(undefined, { peer: "127.0.0.1" }), "127.0.0.1");
});

Deno.test("an address may have a port", () => {
  assertEquals(client("203.0.113.9:4711"), "203.0.113.9");
  assertEquals(client("[2001:db8::1]:4711"), "2001:db8::1");
  assertEquals(client("[2001:db8::1]"), "2001:db8::1");
});

Deno.test("a name that is no address is an unknown client, and what stands left of it does not count", () => {
  for (const name of ["unknown", "_hidden", "localhost", "203.0.113", "127.0.0.1.example", "[::1", "1.2.3.4:5:6"]) {
    assertEquals(client(`127.0.0.1, ${name}`, { peer: "127.0.0.1" }), "unknown", name);
  }
});

Deno.test("the loopback address of another machine is that machine, and not this one", () => {
  assertEquals(client("127.0.0.1"), "10.0.0.1");
  assertEquals(client("::1, 10.0.0.2"), "10.0.0.2");
  assertEquals(client("127.0.0.1", { peer: "127.0.0.1" }), "127.0.0.1");
  assertEquals(client("127.0.0.1, 10.0.0.2", { peer: "127.0.0.1" }), "10.0.0.2");
});

Deno.test("Forwarded names the client if there is no X-Forwarded-For", () => {
  const forwarded = 'for=6.6.6.6;proto=http, by=10.0.0.4;For="[2001:db8::1]:4711";host="a,b;c", for=10.0.0.2';
  assertEquals(client(undefined, { forwarded }), "2001:db8::1");
  assertEquals(client("203.0.113.9", { forwarded }), "203.0.113.9");
  assertEquals(client(undefined, { forwarded: "for=203.0.113.9, proto=https" }), "unknown");
  assertEquals(client(undefined, { forwarded: "for=_secret" }), "unknown");
  assertEquals(client(undefined, { forwarded: 'host="for=127.0.0.1";for=203.0.113.9' }), "203.0.113.9");
});

Deno.test("whatever a client writes, the client is the address from which the first trusted proxy got the request", () => {
  const trusted = fc.constantFrom("10.0.0.2", "fd00::3", "10.255.0.1");
  const written = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("127.0.0.1", "::1", "", "unknown", "a b")));
  fc.assert(fc.property(written, fc.array(trusted), (made, proxies) => {
    assertEquals(client([...made, "203.0.113.9", ...proxies].join(", ")), "203.0.113.9");
  }));
});
