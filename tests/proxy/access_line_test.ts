import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { type Access, accessLine } from "../../src/proxy/access_line.ts";
import { CODE_POINT } from "../support/code_point.ts";

const ENDED_AT = Date.UTC(2026, 0, 2, 3, 4, 5, 67);

const ACCESS: Access = {
  client: "192.0.2.1",
  host: "app.example.org",
  method: "GET",
  target: "/cart?token=secret",
  protocol: "HTTP/1.1",
  status: 200,
  bytes: 12,
  headersMs: 251.04,
  totalMs: 260.36,
  service: "app",
  revision: "app-00001",
  instance: "one",
  start: { how: "cold", ms: 249.96 },
  user: "alice",
  error: undefined,
  headers: [["host", "app.example.org"], ["user-agent", "curl/8"], ["referer", "https://example.org/?key=secret#x"]],
};

/** A request of which nothing is known but what every request has. */
const BARE: Access = {
  ...ACCESS,
  ...{ bytes: undefined, service: undefined, revision: undefined, instance: undefined, start: undefined },
  ...{ user: undefined, headers: [], status: 404, error: "unknown_host" },
};

function json(access: Partial<Access> = {}, withQuery = false) {
  return JSON.parse(accessLine({ ...ACCESS, ...access }, ENDED_AT, { format: "json", withQuery }));
}

function combined(access: Partial<Access> = {}, withQuery = false): string {
  return accessLine({ ...ACCESS, ...access }, ENDED_AT, { format: "combined", withQuery });
}

Deno.test("a JSON line says who asked for what, what came of it and how long it took", () => {
  assertEquals(
    accessLine(ACCESS, ENDED_AT, { format: "json", withQuery: false }),
    '{"time":"2026-01-02T03:04:05.067Z","client":"192.0.2.1","host":"app.example.org","method":"GET",' +
      '"target":"/cart","protocol":"HTTP/1.1","status":200,"bytes":12,"headersMs":251,"totalMs":260.4,' +
      '"service":"app","revision":"app-00001","instance":"one","start":"cold","startMs":250,"user":"alice",' +
      '"referer":"https://example.org/","userAgent":"curl/8"}\n',
  );
});

Deno.test("a JSON line leaves out what is not known", () => {
  assertEquals(Object.keys(json(BARE)), [
    ...["time", "client", "host", "method", "target", "protocol", "status", "headersMs", "totalMs", "error"],
  ]);
});

Deno.test("a combined line has the fields of the format in their order", () => {
  assertEquals(
    combined(),
    '192.0.2.1 - alice [02/Jan/2026:03:04:05 +0000] "GET /cart HTTP/1.1" 200 12 "https://example.org/" "curl/8"\n',
  );
  assertEquals(combined(BARE), '192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /cart HTTP/1.1" 404 - "-" "-"\n');
});

Deno.test("queries are written only if they are wanted, those of the page before included", () => {
  assertEquals([json().target, json().referer], ["/cart", "https://example.org/"]);
  const { referer, target } = json({}, true);
  assertEquals([target, referer], ["/cart?token=secret", "https://example.org/?key=secret#x"]);
  assert(!combined().includes("secret"));
  assertMatch(
    combined({}, true),
    /"GET \/cart\?token=secret HTTP\/1\.1" 200 12 "https:\/\/example\.org\/\?key=secret#x"/,
  );
});

Deno.test("no quote, backslash, control or foreign character can end a field of a combined line", () => {
  const headers: Access["headers"] = [["user-agent", 'a" 200 1 "b\\\r\n\x1b[2J\x9bx\u00e9']];
  const line = combined({ headers, user: 'a b"\n', target: '/x" 500 "' });
  assertEquals(
    line,
    '192.0.2.1 - a\\x20b\\x22\\x0A [02/Jan/2026:03:04:05 +0000] "GET /x\\x22 500 \\x22 HTTP/1.1" 200 12 "-" ' +
      '"a\\x22 200 1 \\x22b\\x5C\\x0D\\x0A\\x1B[2J\\x9Bx\\xE9"\n',
  );
  assertMatch(combined({ user: "\u20ac" }), / - \\xE2\\x82\\xAC \[/);
});

Deno.test("whatever a client sends, its request is one printable line, and a JSON line gives it back", () => {
  const text = fc.string({ unit: CODE_POINT });
  fc.assert(fc.property(text, text, text, text, (client, target, agent, user) => {
    const access = { client, target, user, headers: [["user-agent", agent]] as Access["headers"] };
    for (const format of ["json", "combined"] as const) {
      const line = accessLine({ ...ACCESS, ...access }, ENDED_AT, { format, withQuery: true });
      assert(line.endsWith("\n"));
      assert(!/[\p{Cc}\u2028\u2029]/u.test(line.slice(0, -1)), JSON.stringify(line));
    }
    const line = json(access, true);
    assertEquals([line.client, line.target, line.userAgent, line.user], [client, target, agent, user]);
  }));
});
