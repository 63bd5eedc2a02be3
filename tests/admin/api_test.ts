import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { adminApi } from "../../src/admin/api.ts";
import { Instance } from "../../src/serving/instance.ts";
import { Service } from "../../src/serving/service.ts";
import { ServiceMap } from "../../src/serving/service_map.ts";
import { newKit, newRevision } from "../support/kit.ts";

const TOKEN = "0123456789abcdef".repeat(4);
const OPEN = ["/healthz", "/readyz"];
const ROUTES = ["/", "/v1/services", "/v1/instances"];
const UNKNOWN = [
  "/v1",
  "/v1/services/",
  "/v1/services/golang",
  "//",
  "/v1/%73ervices",
  "/openapi.json",
  "/toString",
  "/x",
];

/** The API of a cless without services, and what a test may put into it. */
function newApi(ready: () => Promise<boolean> = () => Promise.resolve(true)) {
  const kit = newKit();
  const services = new ServiceMap();
  const urlOf = (service: string) => `http://${service}.localhost:8080`;
  const handle = adminApi({ token: TOKEN, services, fleet: kit.fleet, ready, urlOf });
  const ask = (path: string, init: RequestInit = {}, token: string | undefined = TOKEN) => {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    return handle(new Request(`http://127.0.0.1:1323${path}`, { ...init, headers }));
  };
  const addService = (name: string, convention = true) => {
    const pool = kit.newPool(newRevision(undefined, name));
    const service = new Service(name, pool, { convention, clock: kit.clock, retire: () => {} });
    services.put(service);
    return { pool, service };
  };
  return { ...kit, ask, addService, services, without: (path: string, init?: RequestInit) => ask(path, init, "") };
}

/** Checks that an answer is a problem, and returns its detail. */
async function problemOf(answer: Response, status: number, code: string): Promise<string> {
  const { headers } = answer;
  assertEquals([answer.status, headers.get("cless-error")], [status, code]);
  assertEquals(headers.get("content-type"), "application/problem+json");
  const { detail, ...rest } = await answer.json();
  const title = { 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed" }[status];
  assertEquals(rest, { type: "about:blank", title, status, code });
  return detail;
}

Deno.test("without the token every route is closed, also those that there are not", async () => {
  const { ask, without } = newApi();
  for (const path of [...ROUTES, ...UNKNOWN, "/v1/services?token=" + TOKEN]) {
    for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
      for (const answer of [await without(path, { method }), await ask(path, { method }, TOKEN.replace("0", "1"))]) {
        assertEquals(answer.headers.get("www-authenticate"), 'Bearer realm="cless"');
        const detail = await problemOf(answer, 401, "unauthorized");
        if (path !== "/") assertEquals(detail, "The token is missing or wrong");
      }
    }
  }
});

Deno.test("without the token, the root says in one line what the address is for", async () => {
  const { without } = newApi();
  const detail = await problemOf(await without("/"), 401, "unauthorized");
  assertMatch(
    detail,
    /^This is the admin API of cless; send the token from the data-dir as `Authorization: Bearer TOKEN`$/,
  );
  const page = await without("/", { headers: { accept: "text/html,*/*;q=0.8" } });
  assertEquals([page.status, page.headers.get("content-type")], [401, "text/html; charset=utf-8"]);
  assertStringIncludes(await page.text(), "This is the admin API of cless");
});

Deno.test("the root names the resources", async () => {
  const answer = await newApi().ask("/");
  assertEquals(answer.status, 200);
  const { purpose, ...resources } = await answer.json();
  assert(purpose.startsWith("This is the admin API of cless"));
  assertEquals(resources, { services: "/v1/services", instances: "/v1/instances" });
});

Deno.test("where nothing has been used, the lists are empty", async () => {
  const { ask } = newApi();
  for (const path of ["/v1/services", "/v1/instances", "/v1/services?x=1"]) {
    const answer = await ask(path);
    assertEquals([answer.status, answer.headers.get("content-type")], [200, "application/json"]);
    assertEquals(await answer.json(), []);
  }
});

Deno.test("services are listed by name, each with its revision and its traffic", async () => {
  const { ask, addService } = newApi();
  const { service } = addService("python");
  addService("golang", false);
  const answer = await (await ask("/v1/services")).json();
  assertEquals(answer.map(({ name, convention }: { name: string; convention: boolean }) => [name, convention]), [
    ["golang", false],
    ["python", true],
  ]);
  assertEquals(answer[1], {
    name: "python",
    url: "http://python.localhost:8080",
    domains: [],
    latestRevision: "python-0123456789ab",
    traffic: [{ revision: "latest", percent: 100 }],
    convention: true,
    createdAt: service.createdAt.toISOString(),
    updatedAt: service.updatedAt.toISOString(),
  });
});

Deno.test("the latest revision of a service is the one that was published last", async () => {
  const { ask, addService, newPool } = newApi();
  const { service } = addService("golang");
  service.roll(newPool(newRevision("sha256:fedcba9876543210", "golang")));
  const [shown] = await (await ask("/v1/services")).json();
  assertEquals(shown.latestRevision, "golang-fedcba987654");
});

Deno.test("an instance is shown as it is, from its start to its use", async () => {
  const { ask, addService, clock, fleet } = newApi();
  const { pool } = addService("golang");
  const instance = new Instance("cless-golang-1", pool.revision, clock);
  fleet.add(instance, pool);
  const show = async () => (await (await ask("/v1/instances")).json())[0];
  const start = {
    id: "cless-golang-1",
    service: "golang",
    revision: "golang-0123456789ab",
    state: "starting",
    address: "",
    inFlight: 0,
    startedAt: instance.startedAt.toISOString(),
  };
  assertEquals(await show(), start);
  instance.origin = "http://172.31.240.2:8080";
  instance.become("ready");
  instance.coldStartMs = 231;
  const lease = instance.claim();
  const ready = { ...start, state: "ready", address: "172.31.240.2:8080", inFlight: 1, coldStartMs: 231 };
  assertEquals(await show(), ready);
  lease.release();
  assertEquals(await show(), { ...ready, inFlight: 0, lastUsedAt: instance.lastUsedAt!.toISOString() });
  fleet.delete(instance);
  assertEquals(await show(), undefined);
});

Deno.test("what there is not is not found", async () => {
  const { ask } = newApi();
  for (const path of UNKNOWN) {
    for (const method of ["GET", "PUT"]) {
      assertEquals(await problemOf(await ask(path, { method }), 404, "not_found"), "There is no such resource");
    }
  }
});

Deno.test("a method that changes something is refused with those that are possible", async () => {
  const { ask } = newApi();
  for (const path of [...ROUTES, ...OPEN]) {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"]) {
      const answer = await ask(path, { method });
      assertEquals(answer.headers.get("allow"), "GET, HEAD");
      await problemOf(answer, 405, "method_not_allowed");
    }
  }
});

Deno.test("HEAD is answered as GET is", async () => {
  const { ask, without } = newApi();
  for (const path of [...ROUTES, ...OPEN]) {
    const [get, head] = [await ask(path), await ask(path, { method: "HEAD" })];
    assertEquals([head.status, [...head.headers]], [get.status, [...get.headers]]);
  }
  assertEquals((await without("/v1/services", { method: "HEAD" })).status, 401);
});

Deno.test("health is told to everybody", async () => {
  let ready = false;
  let asked = 0;
  const { without } = newApi(() => (asked++, Promise.resolve(ready)));
  const answer = async (path: string) => {
    const response = await without(path);
    return [response.status, await response.text()];
  };
  assertEquals(await answer("/healthz"), [200, "ok\n"]);
  assertEquals(asked, 0);
  assertEquals(await answer("/readyz"), [503, "not ready\n"]);
  ready = true;
  assertEquals(await answer("/readyz?x"), [200, "ok\n"]);
});
