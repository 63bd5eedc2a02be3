import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isServiceName, parseHostname } from "../../src/model/hostname.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));
/** Something that is nearly a hostname. */
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
  const illegal = fc.string({ minLength: 1, maxLength: 1, unit: "binary" }).filter((text) =>
    !/[a-zA-Z0-9.:-]/.test(text)
  );
  fc.assert(fc.property(name, illegal, fc.nat(), (value, character, place) => {
    const at = place % (value.length + 1);
    assertEquals(parseHostname(value.slice(0, at) + character + value.slice(at)), undefined);
  }));
});

Deno.test("a service name has at most forty characters, begins with a letter, and holds no --", () => {
  for (const good of ["a", "golang", "a-b-1", `a${"b".repeat(39)}`]) assert(isServiceName(good), good);
  for (const bad of ["", "1a", "-a", "a-", "A", "a--b", "admin", "a.b", "a_b", `a${"b".repeat(40)}`]) {
    assert(!isServiceName(bad), bad);
  }
});
