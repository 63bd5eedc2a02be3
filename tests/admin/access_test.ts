import { assert, assertEquals } from "@std/assert";
import { mayUseProxy } from "../../src/admin/access.ts";
import { parseHostname } from "../../src/model/host.ts";
import { requestHead } from "../support/request_head.ts";
import { newAdmin, OWNER, problemOf } from "./kit.ts";

const ROUTES = ["/", "/v1/services", "/v1/instances", "/v1/services/web", "/v1/tokens", "/openapi.json", "/nosuch"];
const MISSING = "The token is missing or wrong";

Deno.test("without a token every path is refused, also those that do not exist", async () => {
  const { ask } = await newAdmin();
  for (const path of [...ROUTES, "/v1/services?token=" + OWNER]) {
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await ask(method, path, { token: undefined });
      assertEquals(answer.headers.get("www-authenticate"), 'Bearer realm="cless"');
      const detail = await problemOf(answer, 401, "unauthorized");
      if (path !== "/") assertEquals(detail, MISSING);
    }
  }
});

Deno.test("only a bearer token gives access", async () => {
  const { ask } = await newAdmin();
  const wrong = [
    "",
    "Bearer",
    "Bearer ",
    OWNER,
    `Bearer${OWNER}`,
    `Basic ${OWNER}`,
    `Bearer ${OWNER} ${OWNER}`,
    `Bearer x, Bearer ${OWNER}`,
    `Bearer "${OWNER}"`,
  ];
  for (const authorization of wrong) {
    const answer = await ask("GET", "/v1/services", { token: undefined, headers: { authorization } });
    assertEquals(await problemOf(answer, 401, "unauthorized"), MISSING, authorization);
  }
  for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer  "]) {
    const authorization = `${scheme} ${OWNER}`;
    const answer = await ask("GET", "/v1/services", { token: undefined, headers: { authorization } });
    assertEquals([answer.status, await answer.json()], [200, []]);
  }
});

Deno.test("without a token, the root says in one line what the address is for, in JSON", async () => {
  const { ask } = await newAdmin();
  const answer = await ask("GET", "/", { token: undefined });
  const purpose = "This is the admin API of cless; send the token from the data-dir as `Authorization: Bearer TOKEN`";
  assertEquals(await problemOf(answer, 401, "unauthorized"), purpose);
  const { purpose: told, ...resources } = await (await ask("GET", "/")).json();
  assertEquals([told, resources.services], [purpose, "/v1/services"]);
});

Deno.test("after too many wrong tokens further ones from the same address are refused for a while, and nothing else is", async () => {
  const { ask, kit } = await newAdmin();
  const wrong = { token: "wrong", peer: "10.0.0.1" };
  for (let time = 0; time < 10; time++) await problemOf(await ask("GET", "/v1/services", wrong), 401, "unauthorized");
  const answer = await ask("GET", "/v1/services", wrong);
  assertEquals(answer.headers.get("retry-after"), "60");
  assertEquals(
    await problemOf(answer, 429, "too_many_attempts"),
    "Too many wrong tokens came from this address; try again in 60 s, or with the right one",
  );
  assertEquals((await ask("GET", "/v1/services", { ...wrong, token: OWNER })).status, 200);
  assertEquals((await ask("GET", "/v1/services", { peer: "10.0.0.2" })).status, 200);
  await kit.clock.advance(60_000);
  await problemOf(await ask("GET", "/v1/services", wrong), 401, "unauthorized");
});

Deno.test("requests without a token do not count as wrong tokens", async () => {
  const { ask } = await newAdmin();
  for (let time = 0; time < 30; time++) assertEquals((await ask("GET", "/", { token: undefined })).status, 401);
  assertEquals((await ask("GET", "/")).status, 200);
});

Deno.test("a token allows what its scope does", async () => {
  const { ask, tokens } = await newAdmin();
  const body = { image: "web" };
  const status = async (token: string, method: string, path: string) => {
    const answer = await ask(method, path, { token, ...(method === "PUT" ? { body } : {}) });
    const { code, detail } = answer.status === 204 ? {} as Record<string, string> : await answer.json();
    if (answer.status === 403) assert(code === "forbidden" && detail!.includes("needs"), detail);
    return answer.status;
  };
  assertEquals(await status(tokens.read, "PUT", "/v1/services/web"), 403);
  assertEquals(await status(tokens.deploy, "PUT", "/v1/services/web"), 201);
  for (const path of ["/v1/services", "/v1/services/web", "/v1/instances", "/v1/services/web/revisions"]) {
    assertEquals(await status(tokens.read, "GET", path), 200, path);
  }
  for (const path of ["rollback", "wake", "sleep"]) {
    assertEquals(await status(tokens.read, "POST", `/v1/services/web/${path}`), 403, path);
  }
  for (const path of ["/v1/tokens", "/v1/backup"]) {
    assertEquals(await status(tokens.deploy, "GET", path), 403, path);
    assertEquals(await status(OWNER, "GET", path), 200, path);
  }
  assertEquals(await status(tokens.read, "DELETE", "/v1/services/web"), 403);
  assertEquals(await status(tokens.deploy, "DELETE", "/v1/services/web"), 204);
});

Deno.test("the API answers only to addresses and its own names", async () => {
  const { ask } = await newAdmin();
  const own = [
    "127.0.0.1:1323",
    "127.0.0.1",
    "[::1]:1323",
    "10.1.2.3",
    "localhost:1323",
    "LOCALHOST",
    "admin.localhost:8080",
    "localhost.",
    "admin.cless.cloud",
    "Admin.Cless.Cloud:80",
  ];
  for (const host of own) assertEquals((await ask("GET", "/v1/services", { headers: { host } })).status, 200, host);
  const foreign = [
    "evil.example",
    "evil.example:1323",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "cless.cloud",
    "xlocalhost",
    "xadmin.cless.cloud",
    "x127.0.0.1",
    "256.0.0.1",
    "[::x]",
    "",
    "a b",
  ];
  for (const host of foreign) {
    for (const path of ["/v1/services", "/v1/ask?domain=web.localhost", "/"]) {
      await problemOf(await ask("GET", path, { headers: { host } }), 403, "forbidden");
    }
    assertEquals((await ask("GET", "/healthz", { headers: { host } })).status, 200);
  }
});

Deno.test("requests from pages of other sites are refused, and no page may read an answer", async () => {
  const { ask } = await newAdmin();
  const status = async (host: string, origin: string) => {
    const answer = await ask("GET", "/v1/services", { headers: { host, origin } });
    assert(![...answer.headers.keys()].some((name) => name.startsWith("access-control-") || name === "set-cookie"));
    return answer.status;
  };
  assertEquals(await status("localhost:1323", "http://localhost:1323"), 200);
  assertEquals(await status("admin.cless.cloud", "https://admin.cless.cloud"), 200);
  assertEquals(await status("admin.cless.cloud:80", "http://admin.cless.cloud"), 200);
  const foreign = ["http://localhost:8080", "http://web.localhost:1323", "https://evil.example", "null", "", "file://"];
  for (const origin of foreign) assertEquals(await status("localhost:1323", origin), 403, origin);
  const preflight = await ask("OPTIONS", "/v1/services/web", {
    token: undefined,
    headers: { host: "localhost:1323", origin: "http://evil.example", "access-control-request-method": "PUT" },
  });
  await problemOf(preflight, 403, "forbidden");
});

Deno.test("while cless stops, it can be read and not changed", async () => {
  const stopping = new AbortController();
  const { ask } = await newAdmin({ stopping: stopping.signal });
  stopping.abort();
  for (const method of ["GET", "HEAD"]) assertEquals((await ask(method, "/v1/services")).status, 200, method);
  const answer = await ask("PUT", "/v1/services/web", { body: { image: "web" } });
  assertEquals([answer.status, answer.headers.get("cless-error")], [503, "draining"]);
});

/** A request to a hostname as the proxy knows it. */
function headOf(name: string, client: string, secure = false) {
  return requestHead({ hostname: parseHostname(name)!, client, secure });
}

const NONE = new Headers();
const CLOSED = { adminHttps: false, adminPublic: false, domain: "example.org", publicUrl: undefined };

Deno.test("through the proxy the API answers clients on this machine only, unless the settings open it", () => {
  for (const name of ["admin.example.org", "admin.localhost"]) {
    for (const client of ["127.0.0.1", "::1"]) assert(mayUseProxy(headOf(name, client), NONE, CLOSED), client);
    for (const client of ["192.0.2.1", "unknown"]) {
      assert(!mayUseProxy(headOf(name, client, true), NONE, CLOSED));
      assert(mayUseProxy(headOf(name, client), NONE, { ...CLOSED, adminPublic: true }));
    }
  }
  for (const name of ["admin.other.org", "example.org", "admin.app.example.org"]) {
    const open = { ...CLOSED, adminHttps: true, adminPublic: true };
    assert(!mayUseProxy(headOf(name, "127.0.0.1", true), NONE, open), name);
  }
});

Deno.test("who comes through a proxy on this machine is not on this machine, also if cless does not trust it", () => {
  const head = headOf("admin.example.org", "127.0.0.1");
  for (
    const [name, value, expected] of [
      ["x-forwarded-for", "203.0.113.9", false],
      ["x-forwarded-for", "203.0.113.9, 127.0.0.1", false],
      ["x-forwarded-for", "unknown", false],
      ["x-real-ip", "203.0.113.9", false],
      ["forwarded", "for=203.0.113.9", false],
      ["forwarded", "proto=https", false],
      ["x-forwarded-for", "127.0.0.1", true],
      ["x-forwarded-for", "::1, 127.0.0.1:80", true],
      ["x-real-ip", "127.0.0.1", true],
      ["forwarded", 'for=127.0.0.1, for="[::1]:80"', true],
      ["x-forwarded-proto", "http", true],
    ] as const
  ) assertEquals(mayUseProxy(head, new Headers([[name, value]]), CLOSED), expected, `${name}: ${value}`);
});

Deno.test("the API that is open over HTTPS answers strangers under the domain and over HTTPS, and only there", () => {
  const open = { ...CLOSED, adminHttps: true };
  assert(mayUseProxy(headOf("admin.example.org", "192.0.2.1", true), NONE, open));
  assert(!mayUseProxy(headOf("admin.example.org", "192.0.2.1"), NONE, open));
  assert(!mayUseProxy(headOf("admin.localhost", "192.0.2.1", true), NONE, open));
  assert(mayUseProxy(headOf("admin.localhost", "127.0.0.1"), NONE, open));
});
