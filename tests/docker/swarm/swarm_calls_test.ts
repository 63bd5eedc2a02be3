import { assert, assertEquals, assertRejects } from "@std/assert";
import { EngineError, type FailureKind } from "../../../src/docker/engine_error.ts";
import { SocketClient } from "../../../src/docker/socket_client.ts";
import { SwarmCalls } from "../../../src/docker/swarm/swarm_calls.ts";
import { FakeEngine } from "../../support/fake_engine.ts";
import { noNet, noRead, noWrite } from "../../support/permissions.ts";

/** A test with an engine that does what the test says, behind a socket. */
function swarmTest(name: string, fn: (engine: FakeEngine, swarm: SwarmCalls) => Promise<void>): void {
  Deno.test({ name, ignore: noNet || noRead || noWrite }, async () => {
    await using engine = await FakeEngine.start();
    using client = new SocketClient(engine.path);
    await fn(engine, new SwarmCalls(client));
  });
}

function filters(value: unknown): string {
  return encodeURIComponent(JSON.stringify(value));
}

const NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few " +
  "managers are online. Make sure more than half of the managers are online.";

swarmTest("each refusal of a Swarm has its kind", async (engine, swarm) => {
  const config = { id: "c1", name: "one", version: 7, data: new Uint8Array([1]) };
  const cases: [request: string, status: number, message: string, kind: FailureKind, () => Promise<unknown>][] = [
    [
      "POST /services/create",
      409,
      "rpc error: code = AlreadyExists desc = name conflicts with an existing object: " +
      "service one already exists",
      "conflict",
      () => swarm.createService({}),
    ],
    ["POST /services/create", 503, NO_LEADER, "away", () => swarm.createService({})],
    [
      "POST /services/create",
      503,
      "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
      "away",
      () => swarm.createService({}),
    ],
    [
      "POST /services/create",
      500,
      "rpc error: code = Unknown desc = raft: failed to process the request: node lost leader status",
      "away",
      () => swarm.createService({}),
    ],
    [
      "POST /services/create",
      500,
      "rpc error: code = Unknown desc = raft: raft message is too large and can't be sent",
      "refused",
      () => swarm.createService({}),
    ],
    [
      "GET /nodes",
      503,
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.",
      "away",
      () => swarm.nodes(),
    ],
    [
      "POST /configs/create",
      409,
      "rpc error: code = AlreadyExists desc = config one already exists",
      "conflict",
      () => swarm.createConfig("one", {}, config.data),
    ],
    [
      "POST /configs/c1/update?version=7",
      500,
      "rpc error: code = Unknown desc = update out of sequence",
      "stale",
      () => swarm.setConfigLabels(config, {}),
    ],
    ["POST /configs/c1/update?version=7", 404, "config c1 not found", "gone", () => swarm.setConfigLabels(config, {})],
    ["GET /configs/one", 404, "config one not found", "gone", () => swarm.config("one")],
    ["POST /services/create", 400, "invalid mount", "refused", () => swarm.createService({})],
  ];
  for (const [request, status, message, kind, call] of cases) {
    engine.on(request, status, { message });
    const error = await assertRejects(call, EngineError);
    assertEquals([error.kind, error.message], [kind, message]);
  }
});

swarmTest("a login goes with the service as a header, and is in no error", async (engine, swarm) => {
  engine.on("POST /services/create", 201, { ID: "s1" });
  await swarm.createService({ Name: "one" });
  assertEquals(await swarm.createService({ Name: "one" }, { registryAuth: "eyJ9" }), "s1");
  assertEquals(engine.headers.map((headers) => headers.get("x-registry-auth")), [null, "eyJ9"]);
  assertEquals(engine.headers.map((headers) => headers.get("content-type")), Array(2).fill("application/json"));
  for (const answer of ["lost", () => ({ status: 400, body: { message: "invalid" } })] as const) {
    engine.on("POST /services/create", answer);
    const error = await assertRejects(() => swarm.createService({}, { registryAuth: "eyJ9" }), EngineError);
    assert(!Deno.inspect(error).includes("eyJ9"), Deno.inspect(error));
  }
});

swarmTest("what is gone already is removed without an error", async (engine, swarm) => {
  engine.on("DELETE /services/one", 404, { message: "service one not found" });
  engine.on("DELETE /configs/one", 404, { message: "config one not found" });
  await swarm.removeService("one");
  await swarm.removeConfig("one");
  engine.on("GET /services/one", 404, { message: "service one not found" });
  assertEquals(await swarm.tasks({ service: "one" }), []);
  engine.on("GET /services/one", 200, SERVICE);
  engine.on(`GET /tasks?filters=${filters({ service: ["s1"] })}`, 404, { message: "service s1 not found" });
  assertEquals(await swarm.tasks({ service: "one" }), []); // removed just now
});

swarmTest("the instances of one revision are asked by its label", async (engine, swarm) => {
  const wanted = filters({ label: ["cless.owner=a1", "cless.revision=app-00001"] });
  engine.on(`GET /services?filters=${wanted}`, 200, [SERVICE]);
  engine.on(`GET /tasks?filters=${wanted}`, 200, []);
  const tasks = await swarm.tasks({ owner: "a1", revision: "app-00001" });
  assertEquals(tasks.map(({ name }) => name), ["one"]);
});

const SERVICE = {
  ...{ ID: "s1", Version: { Index: 13 }, CreatedAt: "2026-11-30T05:51:52.84Z" },
  Spec: { Name: "one", Labels: { "cless.owner": "a1" } },
};
const NOTHING = {
  ...{ nodeId: undefined, publishedPort: undefined, error: undefined, exitCode: undefined },
  startedAt: undefined,
};
const TASK = {
  serviceId: "s1",
  name: "one",
  order: "2026-11-30T05:51:52.840000000 s1",
  labels: { "cless.owner": "a1" },
};

swarmTest("an instance is a service with the newest of its tasks", async (engine, swarm) => {
  const services = `GET /services?filters=${filters({ label: ["cless.owner=a1"] })}`;
  const tasks = `GET /tasks?filters=${filters({ label: ["cless.owner=a1"] })}`;
  engine.on(services, 200, [SERVICE]);
  engine.on(tasks, 200, []);
  assertEquals(await swarm.tasks({ owner: "a1" }), [
    { ...TASK, ...NOTHING, state: "new" },
  ]);
  engine.on(tasks, 200, [
    { ID: "t1", Version: { Index: 14 }, ServiceID: "s1", Status: { State: "rejected", Err: "no" } },
    {
      ...{ ID: "t2", Version: { Index: 17 }, ServiceID: "s1", NodeID: "n1" },
      Status: {
        ...{ State: "running", Timestamp: "2026-11-30T05:51:53.849Z", Message: "started" },
        ContainerStatus: { ExitCode: 0 },
        PortStatus: { Ports: [{ PublishedPort: 32_768 }, { PublishedPort: 32_768 }] },
      },
    },
  ]);
  assertEquals(await swarm.tasks({ owner: "a1" }), [{
    ...TASK,
    ...NOTHING,
    ...{ state: "running", nodeId: "n1", publishedPort: 32_768 },
    startedAt: Date.parse("2026-11-30T05:51:53.849Z"),
  }]);
});

swarmTest("a task says why it has ended, or waits", async (engine, swarm) => {
  const tasks = `GET /tasks?filters=${filters({ service: ["s1"] })}`;
  engine.on("GET /services/one", 200, SERVICE);
  const statuses = [
    { State: "pending", Message: "pending task scheduling", Err: "no suitable node" },
    { State: "starting", Message: "starting" },
    { State: "failed", Message: "started", Err: "task: non-zero exit (3)", ContainerStatus: { ExitCode: 3 } },
    { State: "rejected", Message: "preparing", Err: "No such image: x", ContainerStatus: { ExitCode: 0 } },
    { State: "complete", Message: "finished", ContainerStatus: { ExitCode: 0 } },
  ];
  const read = [];
  for (const Status of statuses) {
    engine.on(tasks, 200, [{ ID: "t1", Version: { Index: 14 }, ServiceID: "s1", Status }]);
    const [task] = await swarm.tasks({ service: "one" });
    read.push([task!.state, task!.error, task!.exitCode]);
  }
  assertEquals(read, [
    ["pending", "no suitable node", undefined],
    ["starting", undefined, undefined],
    ["failed", "task: non-zero exit (3)", 3],
    ["rejected", "No such image: x", undefined],
    ["complete", "finished", 0],
  ]);
});

swarmTest(
  "a config is read with its data, and its labels are replaced at the version that was read",
  async (engine, swarm) => {
    const api = { ID: "c1", Version: { Index: 7 }, Spec: { Name: "one", Labels: { a: "b" }, Data: "aGFsbG8=" } };
    const config = { id: "c1", name: "one", version: 7, labels: { a: "b" }, data: new TextEncoder().encode("hallo") };
    engine.on(`GET /configs?filters=${filters({ label: ["a"] })}`, 200, [api]);
    engine.on("GET /configs/one", 200, api);
    engine.on("POST /configs/c1/update?version=7", 200, "");
    assertEquals([await swarm.configs("a"), await swarm.config("one")], [[config], config]);
    await swarm.setConfigLabels(config, { a: "c" });
    assertEquals(engine.bodies, [{ Name: "one", Labels: { a: "c" }, Data: "aGFsbG8=" }]);
  },
);

swarmTest("events of services, configs and nodes are heard, and no others", async (engine, swarm) => {
  const wanted = filters({ scope: ["swarm"], type: ["service", "config", "node"] });
  const lines = [
    {
      Type: "service",
      Action: "remove",
      Actor: { ID: "s1", Attributes: { name: "one" } },
      timeNano: 1796017930800193787,
    },
    { Type: "network", Action: "create", Actor: { ID: "x" } },
    { Type: "node", Action: "update", Actor: { ID: "n1", Attributes: { name: "alpha", "state.new": "down" } } },
  ];
  engine.on(`GET /events?since=5&filters=${wanted}`, 200, lines.map((line) => JSON.stringify(line)).join("\n"));
  const heard = await Array.fromAsync(await swarm.events("5", new AbortController().signal));
  assertEquals(heard, [
    {
      ...{ type: "service", action: "remove", id: "s1", name: "one", attributes: { name: "one" } },
      time: "1796017930.800193",
    },
    {
      ...{ type: "node", action: "update", id: "n1", name: "alpha", time: undefined },
      attributes: { name: "alpha", "state.new": "down" },
    },
  ]);
});

swarmTest("a machine says in which Swarm it is, and whether it is a manager or in none", async (engine, swarm) => {
  engine.on("GET /info", 200, {
    Swarm: { NodeID: "n1", NodeAddr: "10.0.0.1", ControlAvailable: true },
  });
  const info = { nodeId: "n1", nodeAddress: "10.0.0.1", isManager: true };
  assertEquals(await swarm.info(), info);
  engine.on("GET /info", 200, { Swarm: { NodeID: "", ControlAvailable: false } });
  assertEquals(await swarm.info(), { nodeId: "", nodeAddress: "", isManager: false });
});

swarmTest("a node has the address by which the others know it", async (engine, swarm) => {
  const node = {
    ID: "n1",
    Spec: { Role: "manager", Availability: "active", Labels: { room: "1" } },
    Description: {
      Hostname: "alpha",
      Resources: { NanoCPUs: 2e9, MemoryBytes: 1e9 },
      Engine: { EngineVersion: "26.1.5" },
    },
    Status: { State: "ready", Addr: "0.0.0.0" },
    ManagerStatus: { Leader: true, Addr: "10.0.0.1:2377" },
  };
  const worker = {
    ...{ ID: "n2", Spec: { Role: "worker", Availability: "drain" }, Status: { State: "down", Addr: "10.0.0.2" } },
  };
  engine.on("GET /nodes", 200, [node, worker]);
  assertEquals(await swarm.nodes(), [
    {
      ...{ id: "n1", hostname: "alpha", address: "10.0.0.1", role: "manager", isLeader: true, isReady: true },
      ...{ availability: "active", labels: { room: "1" }, engineVersion: "26.1.5", memoryBytes: 1e9, cpus: 2 },
    },
    {
      ...{ id: "n2", hostname: "", address: "10.0.0.2", role: "worker", isLeader: false, isReady: false },
      ...{ availability: "drain", labels: {}, engineVersion: "", memoryBytes: 0, cpus: 0 },
    },
  ]);
});
