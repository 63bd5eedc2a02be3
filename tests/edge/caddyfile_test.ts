import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { caddyfileOf, type Wiring } from "../../src/edge/caddyfile.ts";
import { type EdgeSettings, parseAcmeUrl, parseDomain, parseEmail, parsePlainPath } from "../../src/edge/settings.ts";

const SETTINGS: EdgeSettings = { domain: "example.org", admin: false };
const WIRING: Wiring = {
  upstream: { hostname: "127.0.0.1", port: 8080 },
  admin: { hostname: "127.0.0.1", port: 1323 },
  httpPort: 80,
  httpsPort: 443,
  storage: "/var/lib/cless-edge",
  socket: "/run/cless-edge/caddy.sock",
  additions: "/etc/cless/edge",
};

/** The lines of a Caddyfile without what is before them. */
function lines(settings: Partial<EdgeSettings> = {}, wiring: Partial<Wiring> = {}): string[] {
  return caddyfileOf({ ...SETTINGS, ...settings }, { ...WIRING, ...wiring }).split("\n").map((line) => line.trim());
}

/** What else there is with some settings, and what is no more. */
function difference(settings: Partial<EdgeSettings>, wiring: Partial<Wiring> = {}): string[] {
  const [before, after] = [lines(), lines(settings, wiring)];
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
}

Deno.test("the Caddyfile has limits for clients, asks cless for each new name, and sends all to cless", () => {
  const text = lines().join("\n");
  assertStringIncludes(text, "on_demand_tls {\nask http://127.0.0.1:1323/v1/ask\n}");
  assertStringIncludes(text, "timeouts {\nread_header 30s\nidle 2m\n}\nmax_header_size 64KB\nprotocols h1 h2 h3");
  assertStringIncludes(text, "http:// {\nredir https://{host}{uri} 308\n}");
  assertStringIncludes(text, "https:// {\ntls {\non_demand\n}\nimport cless\n}");
  assertStringIncludes(text, "(cless) {\nreverse_proxy 127.0.0.1:8080 {\nheader_up -Forwarded\nlb_try_duration 5s");
  assertStringIncludes(text, "import /etc/cless/edge/*.caddy\n");
});

Deno.test("each setting changes its own lines, and no other", () => {
  assertEquals(difference({ email: "me@example.org" }), ["+ email me@example.org"]);
  assertEquals(difference({ acmeUrl: "https://ca.internal/dir", acmeRoot: "/etc/ca.pem" }), [
    "+ acme_ca https://ca.internal/dir",
    "+ acme_ca_root /etc/ca.pem",
  ]);
  assertEquals(difference({ admin: true }), []); // cless decides about its admin host
  assertEquals(difference({}, { bind: "127.0.0.1" }), ["+ default_bind 127.0.0.1"]);
  assertEquals(difference({ own: { certificate: "/c.pem", key: "/k.pem", names: ["example.org", "*.example.org"] } }), [
    "+ https://example.org, https://*.example.org {",
    "+ tls /c.pem /k.pem",
  ]);
});

Deno.test("without a socket there is no admin API of Caddy, and redirects name a port that is not the usual one", () => {
  const { socket: _socket, ...wiring } = WIRING;
  assertStringIncludes(caddyfileOf(SETTINGS, wiring), "\tadmin off\n");
  const text = caddyfileOf(SETTINGS, { ...WIRING, httpPort: 8000, httpsPort: 8443 });
  assertStringIncludes(text, "http://:8000 {\n\tredir https://{host}:8443{uri} 308\n}");
  assertStringIncludes(text, "\nhttps://:8443 {\n");
});

Deno.test("nothing that has a meaning of its own in the files gets into them", () => {
  for (const character of [" ", "\n", "\t", "{", "}", '"', "`", "'", "#", "%", "$", "\\", "\0"]) {
    const text = `a${character}b`;
    assertThrows(() => parsePlainPath(`/etc/${text}`), RangeError, "expected a path without spaces");
    assertThrows(() => parseEmail(`${text}@example.org`), RangeError, "expected an address of e-mail");
    assertThrows(() => parseAcmeUrl(`https://ca.internal/${text}`), RangeError, "expected a URL such as https://");
    assertThrows(() => parseDomain(`${text}.example.org`), RangeError, "expected a domain name such as example.org");
  }
});

Deno.test("what is no domain, no address of e-mail and no URL over HTTPS is not taken", () => {
  for (const text of ["", "localhost", "203.0.113.1", "example.org:443", "*.example.org"]) {
    assertThrows(() => parseDomain(text), RangeError);
  }
  for (const text of ["", "me", "me@localhost", "@example.org"]) assertThrows(() => parseEmail(text), RangeError);
  for (const text of ["", "ca.internal", "http://ca.internal/dir"]) assertThrows(() => parseAcmeUrl(text), RangeError);
  assertEquals(parseDomain("Example.ORG."), "example.org");
  assertEquals(parseEmail("me+x@example.org"), "me+x@example.org");
});
