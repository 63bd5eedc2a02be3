import { assert, assertEquals, assertMatch } from "@std/assert";
import { good, newAdmin, OWNER, problemOf } from "../kit.ts";

const TEXT = { "content-type": "text/plain" };

Deno.test("a secret is set, changed, listed without its value, and removed", async () => {
  const { ask, parts } = await newAdmin();
  const set = (name: string, body: string, headers: Record<string, string> = TEXT) =>
    ask("PUT", `/v1/secrets/${name}`, { body, headers });
  const first = await good(set("db-password", "hidden-1\nsecond line\n"), 201);
  assertEquals([first.name, first.version], ["db-password", 1]);
  assertEquals((await good(set("db-password", "hidden-2", { "content-type": "application/octet-stream" }))).version, 2);
  await good(set("empty", ""), 201);
  const list = await (await ask("GET", "/v1/secrets")).text();
  assert(!list.includes("hidden"), list);
  assertEquals(JSON.parse(list).map(({ name, version }: { name: string; version: number }) => [name, version]), [
    ["db-password", 2],
    ["empty", 1],
  ]);
  assertEquals(parts.secrets.list().length, 2);
  await good(ask("DELETE", "/v1/secrets/db-password"), 204);
  await problemOf(await ask("DELETE", "/v1/secrets/db-password"), 404, "not_found");
  await problemOf(await ask("GET", "/v1/secrets/empty"), 405, "method_not_allowed");
});

Deno.test("an invalid secret is refused, and the message does not quote it", async () => {
  const { ask } = await newAdmin();
  const bad: [name: string, body: string, type: string, status: number, code: string][] = [
    ["x", "hidden", "application/json", 415, "unsupported_type"],
    ["x", "hidden", "text/plain; charset=latin1", 415, "unsupported_type"],
    ["x", "hidden\0", "text/plain", 400, "invalid"],
    ["x", "hidden".repeat(20_000), "text/plain", 400, "invalid"],
    ["x", "hidden".repeat(200_000), "text/plain", 413, "too_large"],
    ["-x", "hidden", "text/plain", 400, "invalid"],
    ["a%20b", "hidden", "text/plain", 400, "invalid"],
    ["x".repeat(129), "hidden", "text/plain", 400, "invalid"],
  ];
  for (const [name, body, type, status, code] of bad) {
    const answer = await ask("PUT", `/v1/secrets/${name}`, { body, headers: { "content-type": type } });
    assert(!(await problemOf(answer, status, code)).includes("hidden"));
  }
  assertEquals(await good(ask("GET", "/v1/secrets")), []);
});

Deno.test("a token is made, shown once, used, and revoked", async () => {
  const { ask, time } = await newAdmin();
  const made = await good(
    ask("POST", "/v1/tokens", { body: { name: "night", scope: "deploy", expiresIn: "90d" } }),
    201,
  );
  assertMatch(made.token, /^cless_/);
  assertEquals([made.name, made.scope], ["night", "deploy"]);
  assert(Math.abs(Date.parse(made.expiresAt) - time.now - 90 * 86_400_000) < 1000);
  const list = await good(ask("GET", "/v1/tokens"));
  assertEquals(list.map(({ name }: { name: string }) => name), ["ci", "night", "reader"]);
  assert(!JSON.stringify(list).includes(made.token));
  await good(ask("PUT", "/v1/services/web", { body: { image: "web" }, token: made.token }), 201);
  assertEquals((await good(ask("GET", "/v1/services/web/history")))[0].by, "night");
  await problemOf(await ask("POST", "/v1/tokens", { body: { name: "night", scope: "read" } }), 409, "conflict");
  await good(ask("DELETE", "/v1/tokens/night"), 204);
  await problemOf(await ask("GET", "/v1/services", { token: made.token }), 401, "unauthorized");
  await problemOf(await ask("DELETE", "/v1/tokens/night"), 404, "not_found");
  assertEquals(
    "expiresAt" in await good(ask("POST", "/v1/tokens", { body: { name: "x", scope: "read" } }), 201),
    false,
  );
});

Deno.test("an expired token gives no access", async () => {
  const { ask, time } = await newAdmin();
  const { token } = await good(ask("POST", "/v1/tokens", { body: { name: "x", scope: "read", expiresIn: "1h" } }), 201);
  await good(ask("GET", "/v1/services", { token }));
  time.now += 3_600_000;
  await problemOf(await ask("GET", "/v1/services", { token }), 401, "unauthorized");
});

Deno.test("a token is valid for at most ten years", async () => {
  const { ask } = await newAdmin();
  const make = (expiresIn: string) => ask("POST", "/v1/tokens", { body: { name: "x", scope: "read", expiresIn } });
  await problemOf(await make("3654d"), 400, "invalid");
  await good(make("3653d"), 201);
});

Deno.test("an invalid token is refused when it is made", async () => {
  const { ask } = await newAdmin();
  const bad: [body: unknown, detail: string][] = [
    [{ scope: "read" }, "name: is missing"],
    [{ name: "a b", scope: "read" }, "name: is not a valid name of a token"],
    [{ name: "admin", scope: "read" }, "name: is that of the owner's token"],
    [{ name: "config", scope: "read" }, "name: stands in the history for the file of --config"],
    [{ name: "x", scope: "root" }, "scope: must be one of read, deploy, admin"],
    [{ name: "x", scope: "read", expiresIn: "soon" }, "expiresIn: must be a length of time"],
    [{ name: "x", scope: "read", expiresIn: "99999999d" }, "expiresIn: must be a length of time"],
    [{ name: "x", scope: "read", expires: "1d" }, "expires: unknown field; did you mean `expiresIn`?"],
  ];
  for (const [body, detail] of bad) {
    const told = await problemOf(await ask("POST", "/v1/tokens", { body }), 400, "invalid");
    assert(told.startsWith(detail), told);
  }
});

Deno.test("only the owner can rotate the owner's token", async () => {
  const { ask, tokens } = await newAdmin();
  await problemOf(await ask("POST", "/v1/tokens/rotate", { token: tokens.deploy }), 403, "forbidden");
  assertEquals(await good(ask("POST", "/v1/tokens/rotate", { token: OWNER })), { token: "cless_new" });
  assertEquals(await good(ask("GET", "/v1/services", { token: "cless_new" })), []);
  await problemOf(await ask("GET", "/v1/services", { token: OWNER }), 401, "unauthorized");
});

Deno.test("history says what was changed, when and by whom, newest first and in pages, also for removed services", async () => {
  const { ask, tokens } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", env: { KEY: "hidden-value" } } }), 201);
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:2" }, token: tokens.deploy }));
  await good(ask("POST", "/v1/services/web/rollback"));
  await good(ask("DELETE", "/v1/services/web"), 204);
  const all = await (await ask("GET", "/v1/services/web/history")).text();
  assert(!all.includes("hidden-value"), all);
  const entries: { action: string; by: string; at: string; before: unknown; after: unknown }[] = JSON.parse(all);
  assertEquals(entries.map(({ action, by }) => [action, by]), [
    ["delete", "admin"],
    ["rollback", "admin"],
    ["deploy", "ci"],
    ["deploy", "admin"],
  ]);
  assertEquals([entries[0]!.after, entries[3]!.before], [null, null]);
  const pages: string[][] = [];
  let next: string | undefined = "/v1/services/web/history?limit=3";
  while (next !== undefined) {
    const answer: Response = await ask("GET", next);
    pages.push((await answer.json()).map(({ action }: { action: string }) => action));
    next = /^<([^>]*)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
  }
  assertEquals(pages, [["delete", "rollback", "deploy"], ["deploy"]]);
  const ofAll = await good(ask("GET", "/v1/history?limit=1000", { token: tokens.read }));
  assertEquals(ofAll, entries);
  assertEquals(ofAll[0].service, "web");
  await good(ask("PUT", "/v1/services/shop", { body: { image: "shop:1" } }), 201);
  const services = await good(ask("GET", "/v1/history"));
  assertEquals(services.map(({ service }: { service: string }) => service), ["shop", "web", "web", "web", "web"]);
  await problemOf(await ask("GET", "/v1/services/nosuch/history"), 404, "not_found");
  await problemOf(await ask("GET", "/v1/services/web/history?before=yesterday"), 400, "invalid");
});

Deno.test("a backup has the bytes of the files", async () => {
  const { ask } = await newAdmin();
  const { files } = await good(ask("GET", "/v1/backup"));
  assertEquals(files, [{ name: "cless.sqlite", base64: "AQID" }]);
});

Deno.test("a secret that a revision uses is removed only by force", async () => {
  const { ask } = await newAdmin();
  await good(ask("PUT", "/v1/secrets/key", { body: "value", headers: { "content-type": "text/plain" } }), 201);
  await good(ask("PUT", "/v1/services/web", { body: { image: "web", secretEnv: { KEY: "key" } } }), 201);
  const detail = await problemOf(await ask("DELETE", "/v1/secrets/key"), 409, "conflict");
  assertEquals(detail, "The secret key is in use by web-00001, which could not start any more");
  await good(ask("DELETE", "/v1/secrets/key?force=true"), 204);
});

Deno.test("a service with sign-in says which addresses its provider must know", async () => {
  const { ask } = await newAdmin();
  await good(ask("PUT", "/v1/secrets/idp", { body: "value", headers: { "content-type": "text/plain" } }), 201);
  const oidc = { issuer: "https://idp.example.org", clientId: "cless", clientSecret: "secret:idp" };
  const web = await good(ask("PUT", "/v1/services/web", { body: { image: "web", access: { oidc } } }), 201);
  assertEquals(web.oidcCallbacks, ["http://web.localhost:8080/callback"]);
  const open = await good(ask("PUT", "/v1/services/web", { body: { image: "web", access: {} } }));
  assertEquals(open.oidcCallbacks, undefined);
});
