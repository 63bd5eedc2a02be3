import { assertEquals, assertRejects } from "@std/assert";
import { EngineError } from "../../../src/docker/engine_error.ts";
import type { Ask, EngineCaller } from "../../../src/docker/socket_client.ts";
import { RemoteEngine, SharedEngine } from "../../../src/docker/swarm/remote_engine.ts";
import { SwarmCalls } from "../../../src/docker/swarm/swarm_calls.ts";

const NO_SIGNAL = new AbortController().signal;

/** An engine that notes what it is asked. */
class NotingEngine implements EngineCaller {
  readonly asked: [what: string, body: unknown][] = [];
  readonly logins: (string | undefined)[] = [];
  answer: () => string = () => "{}";

  async ask(method: string, path: string, { body, registryAuth }: Ask = {}): Promise<string> {
    this.asked.push([`${method} ${path}`, body]);
    this.logins.push(registryAuth);
    await Promise.resolve();
    return this.answer();
  }

  open(path: string): Promise<ReadableStream<Uint8Array>> {
    this.asked.push([`open ${path}`, undefined]);
    return Promise.resolve(new ReadableStream({ type: "bytes", start: (controller) => controller.close() }));
  }
}

/** A worker's engine, which reaches a manager's by nothing but JSON. */
function pair(): { manager: NotingEngine; worker: RemoteEngine; shared: SharedEngine } {
  const manager = new NotingEngine();
  const shared = new SharedEngine(manager);
  const worker = new RemoteEngine({
    ask: async (request) =>
      JSON.parse(JSON.stringify(await shared.ask(JSON.parse(JSON.stringify(request)), NO_SIGNAL))),
    open: (request) => shared.open(request, NO_SIGNAL),
  });
  return { manager, worker, shared };
}

Deno.test("all that cless needs from a Swarm passes", async () => {
  const { manager, worker } = pair();
  const swarm = new SwarmCalls(worker);
  const id = "4qm0sa1hnk3xkcg4kj9s9xyzq";
  manager.answer = () => "[]";
  await swarm.nodes();
  await swarm.tasks({ owner: "0a1b2c3d" });
  await swarm.configs("cless.kind=node");
  manager.answer = () => '{"ID":"1","Version":{"Index":1},"Spec":{"Name":"n"}}';
  await swarm.tasks({ service: "cless-web-00001-s0" }).catch(() => {}); // its list is no list here
  await swarm.createService({ Name: "n" });
  await swarm.createConfig("n", {}, new Uint8Array([1]));
  await swarm.config("cless-0a1b2c3d-node-1");
  await swarm.setConfigLabels({ id, name: "n", version: 12, data: new Uint8Array([1]) }, {});
  await swarm.removeConfig(id);
  await swarm.removeService("n");
  await swarm.events("0", NO_SIGNAL);
  await Array.fromAsync(swarm.logs("cless-web-00001-s0", { follow: true, tail: 10 }));
  assertEquals(manager.asked.map(([what]) => what.replace(/(\?filters=|&filters=|logs\?).*/, "$1…")), [
    "GET /nodes",
    "GET /services?filters=…",
    "GET /configs?filters=…",
    "GET /services/cless-web-00001-s0",
    "GET /tasks?filters=…",
    "POST /services/create",
    "POST /configs/create",
    "GET /configs/cless-0a1b2c3d-node-1",
    `POST /configs/${id}/update?version=12`,
    `DELETE /configs/${id}`,
    "DELETE /services/n",
    "open /events?since=0&filters=…",
    "open /services/cless-web-00001-s0/logs?…",
  ]);
  assertEquals(manager.asked[5]?.[1], { Name: "n" });
});

Deno.test("nothing else of a manager's engine is for other machines", async () => {
  const { manager, worker } = pair();
  for (
    const [method, path] of [
      ["GET", "/containers/json"],
      ["POST", "/containers/create"],
      ["GET", "/info"],
      ["POST", "/swarm/leave"],
      ["POST", "/swarm/update?version=1"],
      ["GET", "/swarm/unlockkey"],
      ["POST", "/nodes/1/update?version=1"],
      ["DELETE", "/nodes/1"],
      ["GET", "/secrets"],
      ["GET", "/services/../containers/json"],
      ["GET", "/services/1/logs?stdout=1"],
      ["DELETE", "/services/1/../../containers/1"],
      ["POST", "/services/1%2f..%2f..%2fcontainers/update?version=1"],
      ["PUT", "/services/1"],
      ["GET", "//nodes"],
      ["GET", "/nodes\nX: y"],
    ]
  ) {
    const error = await assertRejects(() => worker.ask(method!, path!), EngineError, "is not allowed");
    assertEquals(error.kind, "refused");
  }
  for (
    const path of [
      "/events",
      "/events?since=0",
      `/events?filters=${encodeURIComponent('{"scope":["local"]}')}`,
      `/events?filters=${encodeURIComponent('{"scope":["swarm","local"]}')}`,
      "/events?filters=x",
      "/containers/1/logs?follow=1",
      "/containers/1/attach",
      "/services/1/logs",
      "/services/../containers/1/logs?follow=1",
    ]
  ) await assertRejects(() => worker.open(path), EngineError, "is not allowed");
  assertEquals(manager.asked, []);
});

Deno.test("a login passes with a service that is created, and with nothing else", async () => {
  const { manager, worker } = pair();
  manager.answer = () => '{"ID":"1"}';
  const swarm = new SwarmCalls(worker);
  await swarm.createService({ Name: "n" });
  await swarm.createService({ Name: "n" }, { registryAuth: "eyJhIjoxfQ==" });
  assertEquals(manager.logins, [undefined, "eyJhIjoxfQ=="]);
  const asks: [method: string, path: string, registryAuth: string][] = [
    ["POST", "/configs/create", "eyJ9"],
    ["POST", "/services/1/update?version=1", "eyJ9"],
    ["GET", "/nodes", "eyJ9"],
    ["POST", "/services/create", "eyJ9\r\nX: y"],
    ["POST", "/services/create", ""],
  ];
  for (const [method, path, registryAuth] of asks) {
    const error = await assertRejects(() => worker.ask(method, path, { registryAuth }), EngineError, "is not allowed");
    assertEquals([error.kind, error.message.includes("eyJ9")], ["refused", false]);
  }
  assertEquals(manager.logins.length, 2);
});

Deno.test("why the engine refuses arrives as it was, and its kind", async () => {
  const { manager, worker } = pair();
  manager.answer = () => {
    throw new EngineError("stale", "update out of sequence");
  };
  const error = await assertRejects(() => worker.ask("GET", "/nodes"), EngineError, "update out of sequence");
  assertEquals(error.kind, "stale");
});

Deno.test("a manager that does not answer is away, and a call that was broken off has its own reason", async () => {
  const worker = new RemoteEngine({
    ask: () => Promise.reject(new Error("the cless at 10.0.0.1:1324 does not answer")),
    open: () => Promise.reject(new Error("it does not answer")),
  });
  const error = await assertRejects(() => worker.ask("GET", "/nodes"), EngineError, "does not answer");
  assertEquals(error.kind, "away");
  assertEquals((await assertRejects(() => worker.open("/events"), EngineError)).kind, "away");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => worker.ask("GET", "/nodes", { signal }), Error, "enough");
});
