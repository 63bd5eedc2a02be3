import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatEndpoint, parseEndpoint } from "../../src/model/endpoint.ts";

Deno.test("an endpoint is a host and a port", () => {
  assertEquals(parseEndpoint("127.0.0.1:8080"), { hostname: "127.0.0.1", port: 8080 });
  assertEquals(parseEndpoint("localhost:0"), { hostname: "localhost", port: 0 });
  assertEquals(parseEndpoint("example.org:65535"), { hostname: "example.org", port: 65535 });
});

Deno.test("an IPv6 address stands in brackets", () => {
  assertEquals(parseEndpoint("[::]:80"), { hostname: "::", port: 80 });
  assertEquals(parseEndpoint("[fe80::1]:443"), { hostname: "fe80::1", port: 443 });
  assertEquals(parseEndpoint("[::ffff:1.2.3.4]:1"), { hostname: "::ffff:1.2.3.4", port: 1 });
  for (const text of ["::1:80", "::", "[::1]", "[::1]80", "[127.0.0.1]:80", "[]:80", "[x::1]:80", "[::1:80"]) {
    assertThrows(() => parseEndpoint(text), RangeError);
  }
});

Deno.test("an empty host means every address", () => {
  assertEquals(parseEndpoint(":8080"), { hostname: "0.0.0.0", port: 8080 });
});

Deno.test("a port that cannot be is refused, and the message says what can", () => {
  for (const text of ["localhost:65536", "localhost:99999", "localhost:100000", "localhost:-1", "localhost:8o", ":"]) {
    assertThrows(() => parseEndpoint(text), RangeError, "expected HOST:PORT such as 127.0.0.1:8080 or [::]:80");
  }
});

Deno.test("everything else is no endpoint", () => {
  const texts = [
    "",
    "80",
    "localhost",
    "localhost:",
    "a b:80",
    " a:80",
    "a:80 ",
    "a:80\n",
    "http://a:80",
    "u@a:80",
    "a/b:80",
  ];
  for (const text of texts) assertThrows(() => parseEndpoint(text), RangeError);
});

Deno.test("what is written as an endpoint is read as the same one", () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(fc.property(hosts, fc.integer({ min: 0, max: 65535 }), (hostname, port) => {
    assertEquals(parseEndpoint(formatEndpoint({ hostname, port })), { hostname, port });
  }));
});
