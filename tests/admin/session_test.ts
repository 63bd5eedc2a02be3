import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Admin, type AskOptions, good, newAdmin, OWNER, problemOf } from "./kit.ts";

const HOST = "admin.example.org";
const PAGE = { host: HOST, origin: `https://${HOST}` };

/** Signs a browser in. */
async function signIn({ ask }: Admin, headers: Readonly<Record<string, string>> = PAGE, token = OWNER) {
  const answer = await ask("POST", "/v1/session", { token: undefined, body: { token }, headers });
  const line = answer.headers.get("set-cookie") ?? "";
  const [cookie = ""] = line.split(";");
  const { csrf, ...holder } = await good(Promise.resolve(answer));
  return { cookie, csrf: csrf as string, holder, line };
}

/** An API at `admin.example.org`. */
function newSite(): Promise<Admin> {
  return newAdmin({
    config: { domain: "example.org", publicUrl: undefined, admin: { hostname: "127.0.0.1", port: 1323 } },
  });
}

/** Asks as a browser does that has signed in. */
function askAs(
  { ask }: Admin,
  cookie: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: unknown,
): Promise<Response> {
  const origin: Record<string, string> = method === "GET" || method === "HEAD" ? {} : { origin: PAGE.origin };
  const options: AskOptions = { token: undefined, headers: { host: HOST, cookie, ...origin, ...headers }, body };
  return ask(method, path, options);
}

Deno.test("a browser signs in with a token, and its cookie does what the token does", async () => {
  const admin = await newSite();
  const { cookie, csrf, holder, line } = await signIn(admin);
  assertEquals(holder, { name: "admin", scope: "admin" });
  assertMatch(
    line,
    /^__Host-cless-admin=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
  );
  assertEquals(await good(askAs(admin, cookie, "GET", "/v1/session")), { name: "admin", scope: "admin", csrf });
  assertEquals(await good(askAs(admin, cookie, "GET", "/v1/services")), []);
  await good(askAs(admin, cookie, "PUT", "/v1/services/web", { "cless-csrf": csrf }, { image: "web" }), 201);
  const history = await good(askAs(admin, cookie, "GET", "/v1/services/web/history"));
  assertEquals(history.map(({ by }: { by: string }) => by), ["admin"]);
});

Deno.test("over plain HTTP the cookie has no attribute that would make a browser refuse it", async () => {
  const admin = await newAdmin();
  const { line } = await signIn(admin, { host: "localhost:1323", origin: "http://localhost:1323" });
  assertMatch(line, /^cless-admin=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/);
});

Deno.test("the cookie is for HTTPS where a trusted proxy says so, also for a client that tells no origin", async () => {
  const { handle } = await newSite();
  const request = () =>
    new Request(`http://${HOST}/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json", host: HOST },
      body: JSON.stringify({ token: OWNER }),
    });
  for (const [secure, name] of [[true, "__Host-cless-admin"], [false, "cless-admin"]] as const) {
    const answer = await handle(request(), "192.0.2.1", "proxy", secure);
    assert(answer.headers.get("set-cookie")?.startsWith(`${name}=`), String(secure));
    assertEquals(answer.headers.get("set-cookie")?.endsWith("; Secure"), secure);
    await answer.body?.cancel();
  }
});

Deno.test("a session has the scope of its token", async () => {
  const admin = await newSite();
  const { cookie, csrf, holder } = await signIn(admin, PAGE, admin.tokens.read);
  assertEquals(holder, { name: "reader", scope: "read" });
  assertEquals(await good(askAs(admin, cookie, "GET", "/v1/services")), []);
  const change = await askAs(admin, cookie, "PUT", "/v1/services/web", { "cless-csrf": csrf }, { image: "web" });
  assertEquals(await problemOf(change, 403, "forbidden"), "The token reader allows read, and this needs deploy");
  await problemOf(await askAs(admin, cookie, "GET", "/v1/tokens"), 403, "forbidden");
});

Deno.test("changes need the session's own CSRF token, and reading does not", async () => {
  const admin = await newSite();
  const { cookie, csrf } = await signIn(admin);
  const others = await signIn(admin, PAGE, admin.tokens.deploy);
  const wrong: Record<string, string>[] = [{}, { "cless-csrf": "" }, { "cless-csrf": others.csrf }, {
    "cless-csrf": `${csrf}x`,
  }];
  for (const headers of wrong) {
    for (const [method, path] of [["PUT", "/v1/services/web"], ["POST", "/v1/services/web/wake"]] as const) {
      const body = method === "PUT" ? { image: "web" } : undefined;
      const detail = await problemOf(await askAs(admin, cookie, method, path, headers, body), 403, "forbidden");
      assertEquals(detail, "With a session, this needs the header cless-csrf, as GET /v1/session tells it");
    }
    await problemOf(await askAs(admin, cookie, "DELETE", "/v1/session", headers), 403, "forbidden");
  }
  assertEquals((await askAs(admin, cookie, "HEAD", "/v1/services")).status, 200);
  assertEquals(await good(admin.ask("GET", "/v1/services")), []);
});

Deno.test("what pages of other hosts, ports and schemes ask for is refused, though the browser sends the cookie", async () => {
  const admin = await newSite();
  const { cookie, csrf } = await signIn(admin);
  const refused: Record<string, string>[] = [
    { origin: `http://${HOST}` }, // this page may come from somebody on the network
    { origin: "https://shop.example.org" },
    { origin: `https://${HOST}:8443` },
    { origin: "null" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
  ];
  for (const headers of refused) {
    const got = await askAs(admin, cookie, "GET", "/v1/services", headers);
    await problemOf(got, 403, "forbidden");
    const put = await askAs(admin, cookie, "PUT", "/v1/services/web", { "cless-csrf": csrf, ...headers }, {
      image: "web",
    });
    await problemOf(put, 403, "forbidden");
  }
  for (const site of ["same-origin", "none"]) {
    assertEquals(await good(askAs(admin, cookie, "GET", "/v1/services", { "sec-fetch-site": site })), []);
  }
});

Deno.test("a session opens no WebSocket for a page that is not named", async () => {
  const admin = await newSite();
  const { cookie } = await signIn(admin);
  const upgrade = { connection: "upgrade", upgrade: "websocket" };
  await problemOf(await askAs(admin, cookie, "GET", "/v1/services", upgrade), 403, "forbidden");
  assertEquals(
    (await askAs(admin, cookie, "GET", "/v1/services", { ...upgrade, origin: PAGE.origin })).status,
    200,
  );
});

Deno.test("a cookie that a neighbouring host has set neither counts over HTTPS nor hides the right one", async () => {
  const admin = await newSite();
  const { cookie } = await signIn(admin);
  // An app below the same domain can set this cookie, with a session of its own that was begun over HTTP.
  const planted = await signIn(admin, { host: HOST, origin: `http://${HOST}` }, admin.tokens.deploy);
  assertEquals(planted.cookie.startsWith("cless-admin="), true);
  const secret = planted.cookie.slice(planted.cookie.indexOf("=") + 1);
  await problemOf(await askAs(admin, `__Host-cless-admin=${secret}`, "GET", "/v1/session"), 401, "unauthorized");
  const line = `cless-admin=x; __Host-cless-admin=y; cless-administrator=z; ${cookie}; other=1`;
  assertEquals((await good(askAs(admin, line, "GET", "/v1/session"))).name, "admin");
  const flood = `${"cless-admin=x; ".repeat(100)}${cookie}`;
  await problemOf(await askAs(admin, flood, "GET", "/v1/session"), 401, "unauthorized");
});

Deno.test("signing out ends the session itself, and takes the cookie away", async () => {
  const admin = await newSite();
  const { cookie, csrf } = await signIn(admin);
  const answer = await askAs(admin, cookie, "DELETE", "/v1/session", { "cless-csrf": csrf });
  assertEquals(answer.status, 204);
  assertEquals(
    answer.headers.get("set-cookie"),
    "__Host-cless-admin=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict; Secure",
  );
  for (const [method, path] of [["GET", "/v1/session"], ["GET", "/v1/services"], ["DELETE", "/v1/session"]] as const) {
    await problemOf(await askAs(admin, cookie, method, path, { "cless-csrf": csrf }), 401, "unauthorized");
  }
});

Deno.test("signing in again ends the session before", async () => {
  const admin = await newSite();
  const first = await signIn(admin);
  const second = await signIn(admin, { ...PAGE, cookie: first.cookie }, admin.tokens.read);
  await problemOf(await askAs(admin, first.cookie, "GET", "/v1/session"), 401, "unauthorized");
  assertEquals((await good(askAs(admin, second.cookie, "GET", "/v1/session"))).name, "reader");
});

Deno.test("replacing the token ends the sessions that have begun with it", async () => {
  const admin = await newSite();
  const { cookie, csrf } = await signIn(admin);
  await good(askAs(admin, cookie, "POST", "/v1/tokens/rotate", { "cless-csrf": csrf }));
  await problemOf(await askAs(admin, cookie, "GET", "/v1/services"), 401, "unauthorized");
});

Deno.test("wrong tokens count as they do elsewhere, and a session that has ended does not", async () => {
  const admin = await newSite();
  const attempt = (token: string) =>
    admin.ask("POST", "/v1/session", { token: undefined, body: { token }, headers: PAGE });
  for (let time = 0; time < 30; time++) {
    await problemOf(await askAs(admin, "__Host-cless-admin=old", "GET", "/v1/services"), 401, "unauthorized");
  }
  for (let time = 0; time < 10; time++) {
    assertEquals(await problemOf(await attempt("wrong"), 401, "unauthorized"), "This token is not valid");
  }
  const locked = await attempt("wrong");
  assertEquals(locked.headers.get("retry-after"), "60");
  await problemOf(locked, 429, "too_many_attempts");
  await problemOf(await admin.ask("GET", "/v1/services", { token: "wrong" }), 429, "too_many_attempts");
  assertEquals((await attempt(OWNER)).status, 200);
});

Deno.test("another page cannot sign a browser in", async () => {
  const { ask } = await newSite();
  for (const origin of ["https://shop.example.org", "null", "https://evil.example"]) {
    const headers = { host: HOST, origin };
    const answer = await ask("POST", "/v1/session", { token: undefined, body: { token: OWNER }, headers });
    assertEquals(answer.headers.get("set-cookie"), null);
    await problemOf(answer, 403, "forbidden");
  }
});

Deno.test("a sign-in has a small body with the token alone", async () => {
  const { ask } = await newSite();
  const details = async (body: unknown, status: number, code: string, headers = {}) =>
    await problemOf(
      await ask("POST", "/v1/session", { token: undefined, body, headers: { ...PAGE, ...headers } }),
      status,
      code,
    );
  assertEquals(await details({}, 400, "invalid"), "token: must be a text");
  assertEquals(await details({ token: 1 }, 400, "invalid"), "token: must be a text");
  assertEquals(
    await details({ token: "a", user: "b" }, 400, "invalid"),
    "user: unknown field; the only one is `token`",
  );
  assertEquals(await details("[]", 400, "invalid"), "the body: must be an object");
  assertEquals(await details({ token: "x".repeat(5000) }, 413, "too_large"), "The body must be at most 4 KiB");
  await details(`token=${OWNER}`, 415, "unsupported_type", { "content-type": "application/x-www-form-urlencoded" });
  const answer = await ask("PUT", "/v1/session", { token: undefined, body: {}, headers: PAGE });
  assertEquals(answer.headers.get("allow"), "GET, HEAD, POST, DELETE");
  await problemOf(answer, 405, "method_not_allowed");
});

Deno.test("a bearer token counts before a cookie, and needs no CSRF token", async () => {
  const admin = await newSite();
  const { cookie } = await signIn(admin, PAGE, admin.tokens.read);
  const answer = await admin.ask("PUT", "/v1/services/web", { body: { image: "web" }, headers: { cookie } });
  assertEquals(answer.status, 201);
  await problemOf(await admin.ask("GET", "/v1/services", { token: "wrong", headers: { cookie } }), 401, "unauthorized");
});
