import { assertEquals } from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { adminApi, type LoadRoutes } from "../../src/admin/api.ts";
import { makeRoutes } from "../../src/admin/routes.ts";
import { newAdmin, OWNER, PEER } from "./kit.ts";

/** An API whose routes are loaded by a function of the test, and how often that was called. */
async function newLoading(load: LoadRoutes) {
  const { parts } = await newAdmin();
  const loads = { count: 0 };
  const handle = adminApi({
    ...parts,
    hosts: {
      urlOf: () => "",
      kindOf: (name) => name === "web.localhost" ? "declared" : undefined,
    },
  }, () => {
    loads.count++;
    return load();
  });
  const get = (path: string) =>
    handle(new Request(`http://127.0.0.1${path}`, { headers: { authorization: `Bearer ${OWNER}` } }), PEER);
  return { get, loads };
}

/** The status of an answer; its body is not read. */
async function statusOf(answer: Promise<Response>): Promise<number> {
  const { body, status } = await answer;
  await body?.cancel();
  return status;
}

Deno.test("health, readiness and /v1/ask are answered without loading the routes", async () => {
  const { get, loads } = await newLoading(() => Promise.resolve(makeRoutes));
  for (const path of ["/healthz", "/readyz", "/v1/ask?domain=web.localhost"]) {
    assertEquals(await statusOf(get(path)), 200, path);
  }
  for (const path of ["/v1/ask", "/v1/ask?domain=x&domain=y", "/v1/ask?name=x", `/v1/ask?domain=${"x".repeat(254)}`]) {
    assertEquals(await statusOf(get(path)), 400, path);
  }
  assertEquals(loads.count, 0);
});

Deno.test("the routes are loaded once, also for simultaneous requests", async () => {
  const { get, loads } = await newLoading(() => Promise.resolve(makeRoutes));
  const statuses = await Promise.all(["/v1/services", "/v1/instances", "/"].map((path) => statusOf(get(path))));
  assertEquals([statuses, loads.count], [[200, 200, 200], 1]);
  assertEquals([await statusOf(get("/v1/services")), loads.count], [200, 1]);
});

Deno.test("if the routes cannot be loaded, the request fails with 500 and is logged, and the next one tries again", async () => {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [{ category: ["cless", "admin"], lowestLevel: "error", sinks: ["all"] }],
  });
  try {
    let works = false;
    const load: LoadRoutes = () =>
      works ? Promise.resolve(makeRoutes) : Promise.reject(new TypeError("no such module"));
    const { get, loads } = await newLoading(load);
    const answer = await get("/v1/services");
    const { code, detail } = await answer.json();
    assertEquals([answer.status, code, detail], [500, "internal", "cless has failed to handle the request"]);
    assertEquals(records.map(({ properties }) => properties.reason), ["no such module"]);
    works = true;
    assertEquals([await statusOf(get("/v1/services")), loads.count], [200, 2]);
  } finally {
    resetSync();
  }
});
