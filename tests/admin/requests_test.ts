import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { StoreUnavailable } from "../../src/control/store.ts";
import { foundService, good, newAdmin, OWNER, PEER, problemOf } from "./kit.ts";

const JSON_TYPE = { "content-type": "application/json" };

Deno.test("paths and names that do not exist are not found", async () => {
  const { ask } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web" } }), 201);
  const paths = [
    "/v1",
    "/v1/",
    "/v1/services/",
    "/v1/services/web/",
    "/v1/services//revisions",
    "/v1/services/web/nosuch",
    "/v1/services/web%2Frevisions",
    "/v1/services/%2f",
    "/v1/%73ervices",
    "/v1/services/nosuch",
    "/v1/services/nosuch/revisions",
    "/v1/services/web/revisions/web-00009",
    "/v1/services/%zz",
    "/v1/services/%00",
    "/v1/services/__proto__",
    "//",
    "/V1/services",
    "/toString",
  ];
  for (const path of paths) await problemOf(await ask("GET", path), 404, "not_found");
});

Deno.test("a method that a path does not have is refused, with those that it has", async () => {
  const { ask } = await newAdmin();
  const allowed: [path: string, allow: string][] = [
    ["/v1/services", "GET, HEAD"],
    ["/v1/services/web", "GET, HEAD, PUT, DELETE"],
    ["/v1/services/web/traffic", "PUT"],
    ["/v1/services/web/rollback", "POST"],
    ["/v1/instances", "GET, HEAD"],
    ["/healthz", "GET, HEAD"],
    ["/readyz", "GET, HEAD"],
    ["/", "GET, HEAD"],
  ];
  for (const [path, allow] of allowed) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"]) {
      if (allow.includes(method)) continue;
      const answer = await ask(method, path);
      assertEquals(answer.headers.get("allow"), allow, `${method} ${path}`);
      await problemOf(answer, 405, "method_not_allowed");
    }
  }
});

Deno.test("HEAD is answered as GET is, without a body", async () => {
  const { ask } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web" } }), 201);
  for (const path of ["/", "/v1/services", "/v1/services/web", "/v1/services/nosuch", "/healthz", "/readyz"]) {
    const [get, head] = [await ask("GET", path), await ask("HEAD", path)];
    assertEquals([head.status, [...head.headers]], [get.status, [...get.headers]], path);
    assertEquals(await head.text(), "");
    await get.body?.cancel();
  }
  assertEquals((await ask("HEAD", "/v1/services/web/traffic")).status, 405);
});

Deno.test("health needs no token", async () => {
  let ready = false;
  let asked = 0;
  const { ask } = await newAdmin({
    engine: {
      canHibernate: false,
      answers: () => (asked++, Promise.resolve(ready)),
    },
  });
  const answer = async (path: string) => {
    const response = await ask("GET", path, { token: undefined });
    return [response.status, await response.text()];
  };
  assertEquals([await answer("/healthz"), asked], [[200, "ok\n"], 0]);
  assertEquals(await answer("/readyz"), [503, "not ready\n"]);
  ready = true;
  assertEquals(await answer("/readyz?x"), [200, "ok\n"]);
});

Deno.test("while cless drains, it is healthy and not ready", async () => {
  const { ask } = await newAdmin({ activator: { draining: true } });
  assertEquals([(await ask("GET", "/healthz")).status, (await ask("GET", "/readyz")).status], [200, 503]);
});

Deno.test("a body that is not JSON is refused in one line that does not quote it", async () => {
  const { ask } = await newAdmin();
  const details: string[] = [];
  for (const body of ["{nope", "", " ", '{"image":', '{"secret-value" 1}', '{"a":"\u0001"}', "[1,]", "secret-value"]) {
    const answer = await ask("PUT", "/v1/services/web", { body });
    details.push(await problemOf(answer, 400, "invalid"));
  }
  for (const detail of details) {
    assert(detail.startsWith("the body: ") && !/\n|secret-value/.test(detail), detail);
  }
  assertEquals(details[0], "the body: is not JSON: expected property name or '}' at line 1 column 2");
  const nothing = await ask("PUT", "/v1/services/web", { headers: JSON_TYPE });
  assertEquals(await problemOf(nothing, 400, "invalid"), "the body: is missing, and must be JSON");
  const bytes = new Request("http://localhost/", { method: "POST", body: new Uint8Array([0x22, 0xff, 0x22]) });
  const latin = await ask("PUT", "/v1/services/web", { headers: JSON_TYPE, body: await bytes.text() + "\ud800" });
  await problemOf(latin, 400, "invalid");
});

Deno.test("a body that is nested very deeply is refused", async () => {
  const { ask } = await newAdmin();
  const depth = 400_000;
  for (const body of ["[".repeat(depth), "[".repeat(depth) + "]".repeat(depth), '{"env":'.repeat(100_000)]) {
    await problemOf(await ask("PUT", "/v1/services/web", { body }), 400, "invalid");
  }
});

Deno.test("all wrong fields of a body are named, and the detail is about the first", async () => {
  const { ask } = await newAdmin();
  const body = { image: "web", port: 0, env: { A: 1 }, prot: 80 };
  const { detail, errors } = await (await ask("PUT", "/v1/services/web", { body })).json();
  assertEquals(errors, [
    { field: "prot", reason: "unknown field; did you mean `port`?" },
    { field: "port", reason: "must be a whole number from 1 to 65535" },
    { field: "env.A", reason: "must be a text, and is a number; put it in quotes" },
  ]);
  assertEquals(detail, `prot: ${errors[0].reason}`);
  const unknown = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`x${at}`, at]));
  const many = await (await ask("PUT", "/v1/services/web", { body: { image: "web", ...unknown } })).json();
  assertEquals(many.errors.length, 20);
});

Deno.test("a body of another type than JSON is refused", async () => {
  const { ask } = await newAdmin();
  const status = async (type: string) => {
    const headers = { "content-type": type };
    const answer = await ask("PUT", "/v1/services/web", { body: '{"image":"web"}', headers });
    if (answer.status === 415) await problemOf(answer, 415, "unsupported_type");
    else await answer.body?.cancel();
    return answer.status;
  };
  for (
    const type of ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "multipart/form-data"]
  ) {
    assertEquals(await status(type), 415, type);
  }
  assertEquals(await status("application/json; charset=latin1"), 415);
  assertEquals(await status("application/json"), 201);
  assertEquals(await status('Application/JSON ; Charset="UTF-8"'), 200);
});

Deno.test("a body above 1 MiB is refused, and if its length is given, before it is read", async () => {
  const { handle, ask } = await newAdmin();
  const large = `{"image":"${"a".repeat(1024 * 1024)}"}`;
  await problemOf(await ask("PUT", "/v1/services/web", { body: large }), 413, "too_large");
  await problemOf(
    await ask("PUT", "/v1/services/web", { body: "{}", headers: { ...JSON_TYPE, "content-length": "1048577" } }),
    413,
    "too_large",
  );
  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new Uint8Array(64 * 1024));
    },
    cancel: () => void (cancelled = true),
  });
  const headers = { authorization: `Bearer ${"0123456789abcdef".repeat(4)}`, ...JSON_TYPE };
  const answer = await handle(
    new Request("http://localhost/v1/services/web", { method: "PUT", headers, body: endless }),
    "127.0.0.1",
  );
  await problemOf(answer, 413, "too_large");
  assert(cancelled && pulled < 30, String(pulled));
});

Deno.test("a body is read to its end, however it is cut into pieces", async () => {
  const { handle } = await newAdmin();
  const pieces = ['{"image"', "", ':"web"', "}", ""].map((piece) => new TextEncoder().encode(piece));
  const headers = { authorization: `Bearer ${OWNER}`, ...JSON_TYPE };
  const init = { method: "PUT", headers, body: ReadableStream.from(pieces) };
  await good(handle(new Request("http://localhost/v1/services/web", init), PEER), 201);
});

Deno.test("a body of exactly 1 MiB is taken, whether its length is given or not", async () => {
  const { ask } = await newAdmin();
  const body = '{"image":"web"}'.padEnd(1024 * 1024);
  await good(ask("PUT", "/v1/services/web", { body }), 201);
  await good(ask("PUT", "/v1/services/web", { body, headers: { ...JSON_TYPE, "content-length": "1048576" } }));
});

Deno.test("a parameter that is unknown, given twice or wrong is refused, and the message says what is right", async () => {
  const { ask } = await newAdmin();
  const details: [path: string, detail: string][] = [
    ["/v1/services?limt=1", "limt: unknown parameter; did you mean `limit`?"],
    ["/v1/services?limit=1&limit=2", "limit: is given twice"],
    ["/v1/services?limit=0", "limit: must be a whole number from 1 to 1000"],
    ["/v1/services?limit=1.5", "limit: must be a whole number from 1 to 1000"],
    ["/v1/services?limit=", "limit: must be a whole number from 1 to 1000"],
    ["/v1/services?convention=yes", "convention: must be one of true, false"],
    ["/v1/services?cursor=%20", "cursor: must be as the link to the next page has it"],
    ["/v1/services?__proto__=1", "__proto__: unknown parameter; did you mean `cursor`?"],
    ["/v1/services/web?x=1", "x: unknown parameter; there are none here"],
  ];
  for (const [path, detail] of details) {
    const told = await problemOf(await ask("GET", path), 400, "invalid");
    if (!path.includes("__proto__")) assertEquals(told, detail);
  }
  const put = await ask("PUT", "/v1/services/web?wiat=false", { body: { image: "web" } });
  assertEquals(await problemOf(put, 400, "invalid"), "wiat: unknown parameter; did you mean `wait`?");
  await problemOf(await ask("PUT", "/v1/services/web?wait=0", { body: { image: "web" } }), 400, "invalid");
});

Deno.test("the message of an unexpected error is not shown", async () => {
  const { ask } = await newAdmin({
    fleet: {
      instances: () => {
        throw new TypeError("secret detail");
      },
    },
  });
  const detail = await problemOf(await ask("GET", "/v1/instances"), 500, "internal");
  assertEquals(detail, "cless has failed to handle the request");
});

Deno.test("while the store does not work, the error says what to do", async () => {
  const { ask, store } = await newAdmin();
  store.failure = new StoreUnavailable("the disk is full: make room and try again");
  const answer = await ask("PUT", "/v1/services/web", { body: { image: "web" } });
  assertStringIncludes(await problemOf(answer, 503, "store_unavailable"), "make room");
  await good(ask("PUT", "/v1/services/web", { body: { image: "web" } }), 201);
});

Deno.test("only programs on this machine may ask which hostnames are served", async () => {
  const { ask, handle } = await newAdmin({
    hosts: {
      urlOf: () => "",
      kindOf: (hostname) => hostname === "shop.example.org" ? "declared" : undefined,
    },
  });
  const status = async (domain: string, options: { peer?: string; headers?: Record<string, string> } = {}) => {
    const answer = await ask("GET", `/v1/ask?domain=${domain}`, { token: undefined, ...options });
    if (answer.status !== 200) await problemOf(answer, answer.status, answer.status === 404 ? "not_found" : "invalid");
    else await answer.body?.cancel();
    return answer.status;
  };
  for (const peer of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
    assertEquals(await status("shop.example.org", { peer }), 200, peer);
  }
  assertEquals(await status("SHOP.example.org."), 200);
  for (const domain of ["other.example.org", "10.0.0.1", "-", "shop.example.org:80", "%00", ""]) {
    assertEquals(await status(domain), 404, domain);
  }
  assertEquals(await status("shop.example.org", { peer: "10.0.0.1" }), 404);
  for (const name of ["forwarded", "x-forwarded-for"]) {
    assertEquals(await status("shop.example.org", { headers: { [name]: "10.0.0.1" } }), 404, name);
  }
  const request = () => new Request("http://admin.localhost/v1/ask?domain=shop.example.org");
  await problemOf(await handle(request(), "127.0.0.1", "proxy"), 404, "not_found");
  assertEquals(await (await handle(request(), "127.0.0.1")).text(), "yes\n");
  assertEquals(await status("a&x=1"), 400);
  await problemOf(await ask("GET", "/v1/ask", { token: undefined }), 400, "invalid");
  await problemOf(await ask("POST", "/v1/ask?domain=x"), 405, "method_not_allowed");
});

Deno.test("who asks for a name gets the reason of a refusal, and all of it is listed", async () => {
  const { ask, store, tokens } = await newAdmin({
    hosts: {
      urlOf: () => "",
      kindOf: (name) => name.startsWith("random") ? undefined : "convention",
    },
  });
  const mayHave = (name: string) => ask("GET", `/v1/ask?domain=${name}`, { token: undefined });
  const refusal = async (name: string) => await problemOf(await mayHave(name), 404, "not_found");
  for (let at = 0; at < 30; at++) assertEquals(await (await mayHave(`app-${at}.example.org`)).text(), "yes\n");
  const list = () => good(ask("GET", "/v1/certificate-names", { token: tokens.read }));
  assertEquals(await list(), {
    domains: [{ domain: "example.org", newNames: 30, limit: 40, resetsAt: "1970-01-08T00:16:40.000Z" }],
    refused: [],
  });
  assertStringIncludes(await refusal("one-more.example.org"), "example.org has had 30 new names in 7 days");
  assertStringIncludes(await refusal("random.example.org"), "and not NAME.DOMAIN of a service");
  assertEquals((await list()).refused.map(({ name, at }: { name: string; at: string }) => [name, at]), [
    ["random.example.org", "1970-01-01T00:16:40.000Z"],
    ["one-more.example.org", "1970-01-01T00:16:40.000Z"],
  ]);
  store.failure = new StoreUnavailable("the disk is full: make room and try again");
  await problemOf(await mayHave("www.example.com"), 503, "store_unavailable");
  assertEquals((await mayHave("app-7.example.org")).status, 200);
});

Deno.test("a service that is not declared is shown, and cannot be changed before it is declared", async () => {
  const { ask, found } = await newAdmin();
  found.push(foundService("golang"));
  const shown = await good(ask("GET", "/v1/services/golang"));
  assertEquals([shown.convention, "etag" in shown], [true, false]);
  await problemOf(await ask("DELETE", "/v1/services/golang"), 409, "conflict");
  await problemOf(await ask("POST", "/v1/services/golang/rollback"), 409, "conflict");
  const made = await good(ask("PUT", "/v1/services/golang", { body: { image: "golang-docker" } }), 201);
  assertEquals([made.convention, made.etag], [undefined, "1"]);
});
