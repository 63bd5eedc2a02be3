import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatEndpoint, isAnyAddress, parseEndpoint, parseHostname } from "../../src/model/host.ts";
import { CODE_POINT } from "../support/code_point.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));
/** A text that is a hostname or nearly one. */
const almost = fc.oneof(
  name,
  fc.string({ unit: fc.constantFrom(...Array.from("aZ09-._:[]@/, %\x00\xe9\u0131")), maxLength: 80 }),
  fc.tuple(name, fc.constantFrom(".", ":80", ":", ":65536", ".:1", "..", "-", ":8a", "/", "@b", ", b")).map((part) =>
    part.join("")
  ),
  fc.string({ maxLength: 300 }),
);

for (
  const [value, expected, first] of [
    ["golang.cless.cloud", "golang.cless.cloud", "golang"],
    ["GoLang.Localhost:8080", "golang.localhost", "golang"],
    ["golang.localhost.", "golang.localhost", "golang"],
    ["golang.localhost.:80", "golang.localhost", "golang"],
    ["golang", "golang", "golang"],
    ["a.b:", "a.b", "a"],
    ["1a.example", "1a.example", "1a"],
    ["v1--golang.example", "v1--golang.example", "v1--golang"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva"],
    ["1.2.3.4.example", "1.2.3.4.example", "1"],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`, "a".repeat(63)],
  ] as const
) {
  Deno.test(`${value.slice(0, 30)} is a hostname`, () => {
    assertEquals(parseHostname(value), { name: expected, label: first });
  });
}

for (
  const value of [
    ...["", ".", "..", ":80", " golang", "golang ", "a b", "a..b", ".a", "-a.b", "a-.b", "a.-b", "a.b-", "a_b.c"],
    ...["a,b", "a, b", "user@a.b", "a.b/c", "a.b?c", "a.b#c", "http://a.b", "a.b:80:80", "a.b:-1", "a.b:65536"],
    ...[
      "a.b:8o",
      "127.0.0.1",
      "127.1",
      "2130706433",
      "0x7f.1",
      "1.2.3.4:80",
      "a.1",
      "a.0x1f",
      "[::1]",
      "::1",
      "[::1]:80",
    ],
    ...["a.b\x00", "b\xfccher.example", "caf\u00e9.fr", "\u212aelvin.fr", "a%2eb", "*.b", `${"a".repeat(64)}.b`],
    "a.".repeat(127) + "a",
  ]
) {
  Deno.test(`${JSON.stringify(value.slice(0, 30))} is no hostname`, () => {
    assertEquals(parseHostname(value), undefined);
  });
}

Deno.test("a hostname that is accepted consists of legal labels, and its first one names the service", () => {
  fc.assert(
    fc.property(almost, (value) => {
      const hostname = parseHostname(value);
      if (hostname === undefined) return;
      const labels = hostname.name.split(".");
      for (const part of labels) assert(LABEL.test(part), part);
      assert(hostname.name.length <= 253);
      assertEquals(hostname.label, labels[0]);
      assert(!/^[\d.]+$/.test(hostname.name), "an IP address");
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a hostname that has been read once stays the same when it is read again", () => {
  fc.assert(fc.property(almost, (value) => {
    const hostname = parseHostname(value);
    if (hostname !== undefined) assertEquals(parseHostname(hostname.name), hostname);
  }));
});

Deno.test("case, a port and a trailing dot do not change which service is meant", () => {
  fc.assert(fc.property(name, fc.integer({ min: 0, max: 65535 }), (value, port) => {
    const hostname = parseHostname(value);
    for (const variant of [value.toUpperCase(), `${value}.`, `${value}:${port}`, `${value}.:${port}`]) {
      assertEquals(parseHostname(variant), hostname);
    }
  }));
});

Deno.test("one illegal character anywhere is enough to refuse a hostname", () => {
  const illegal = fc.string({ minLength: 1, maxLength: 1, unit: CODE_POINT }).filter((text) =>
    !/[a-zA-Z0-9.:-]/.test(text)
  );
  fc.assert(fc.property(name, illegal, fc.nat(), (value, character, place) => {
    const at = place % (value.length + 1);
    assertEquals(parseHostname(value.slice(0, at) + character + value.slice(at)), undefined);
  }));
});

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

Deno.test("an impossible port is refused, and the message says what is possible", () => {
  for (const text of ["localhost:65536", "localhost:99999", "localhost:100000", "localhost:-1", "localhost:8o", ":"]) {
    assertThrows(() => parseEndpoint(text), RangeError, "expected HOST:PORT such as 127.0.0.1:8080 or [::]:80");
  }
});

Deno.test("other texts are refused as endpoints", () => {
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

Deno.test("every endpoint reads the same after it was written", () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(fc.property(hosts, fc.integer({ min: 0, max: 65535 }), (hostname, port) => {
    assertEquals(parseEndpoint(formatEndpoint({ hostname, port })), { hostname, port });
  }));
});

Deno.test("who listens on 0.0.0.0 or :: listens on every address, and on no other", () => {
  for (const hostname of ["0.0.0.0", "::", "0::0", ""]) assertEquals(isAnyAddress(hostname), true, hostname);
  for (const hostname of ["127.0.0.1", "::1", "10.0.0.0", "localhost"]) {
    assertEquals(isAnyAddress(hostname), false, hostname);
  }
});
