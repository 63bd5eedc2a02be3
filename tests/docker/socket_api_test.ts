import { assertEquals, assertRejects } from "@std/assert";
import { type EngineApi, EVENT_ACTIONS } from "../../src/docker/engine_api.ts";
import { createBody, type Placement } from "../../src/docker/container_spec.ts";
import { EngineError, type FailureKind } from "../../src/docker/engine_error.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { collectGarbage } from "../support/garbage.ts";
import { noNet, noRead, noWrite } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { ID, REVISION } from "./launcher_kit.ts";

const CREATE = "POST /containers/create?name=one";
const START = `POST /containers/${ID}/start`;
const TIME = "2026-01-02T03:04:05.000000006Z";

/** A test with an engine that does what the test says, behind a socket. */
function socketTest(name: string, fn: (engine: FakeEngine, api: SocketApi) => Promise<void>, timeoutMs?: number): void {
  Deno.test({ name, ignore: noNet || noRead || noWrite }, async () => {
    await using engine = await FakeEngine.start();
    using api = new SocketApi(engine.path, { timeoutMs });
    await fn(engine, api);
  });
}

const PLACEMENT: Placement = {
  id: "one",
  owner: "a1",
  network: "cless-a1",
  address: "10.9.0.2",
  hostPort: undefined,
  origin: "http://10.9.0.2:8080",
};

/** Asserts that a call fails in a certain way, and returns the message. */
async function fails(kind: FailureKind, call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call, EngineError);
  assertEquals(error.kind, kind, error.message);
  return error.message;
}

/** What the engine has been seen to answer, by what was asked: its status, its words, and what that means. */
const ANSWERS: Record<string, [status: number, message: string, kind: FailureKind][]> = {
  [CREATE]: [
    [404, `No such image: sha256:${ID}`, "no_such_image"],
    [404, "network nonet not found", "no_such_network"],
    [409, 'Conflict. The container name "/one" is already in use by container "13ae".', "conflict"],
    [400, 'invalid mount config for type "bind": bind source path does not exist: /nowhere', "refused"],
    [500, "something broke", "refused"],
  ],
  [START]: [
    [404, `No such container: ${ID}`, "gone"],
    [404, "network nonet not found", "no_such_network"],
    [403, "Address already in use", "address_taken"],
    [500, "driver failed: Bind for 127.0.0.1:28999 failed: port is already allocated", "address_taken"],
    [500, "driver failed: listen tcp4 127.0.0.1:28998: bind: address already in use", "address_taken"],
    [400, 'exec: "/no-such": no such file or directory', "refused"],
  ],
  "POST /containers/one/pause": [
    [404, "No such container: one", "gone"],
    [409, `Container ${ID} is already paused`, "already"],
    [409, `Container ${ID} is not running`, "refused"],
  ],
  "POST /containers/one/unpause": [
    [500, `Container ${ID} is not paused`, "already"],
    [500, "Cannot unpause container one: connection error: desc = transport: Error while dialing: no", "away"],
    [500, "Cannot unpause container one: it is a stone", "refused"],
  ],
  "POST /containers/one/stop?t=10": [[404, "No such container: one", "gone"], [500, "cannot stop", "refused"]],
  "DELETE /containers/one?force=true&v=true": [
    [404, "No such container: one", "gone"],
    [409, `removal of container one is already in progress`, "already"],
    [500, "device busy", "refused"],
  ],
  "POST /networks/create": [
    [403, "Pool overlaps with other one on this address space", "subnet_taken"],
    [409, "network with name n already exists", "conflict"],
  ],
  "DELETE /networks/n": [
    [404, "network n not found", "no_such_network"],
    [403, "error while removing network: network n id f2a7 has active endpoints", "in_use"],
  ],
  "GET /images/me/app%3A1/json": [[404, "No such image: me/app:1", "no_such_image"], [500, "busy", "refused"]],
  "DELETE /images/me/app%3A1": [
    [404, "No such image: me/app:1", "no_such_image"],
    [409, "conflict: unable to delete d906 (cannot be forced) - image is being used by running container 7", "in_use"],
    [409, "conflict: unable to delete d906 (must be forced) - image is referenced in multiple repositories", "tagged"],
  ],
};

const CALLS: Record<string, (api: EngineApi) => Promise<unknown>> = {
  [CREATE]: (api) => api.run(REVISION, PLACEMENT),
  [START]: (api) => api.run(REVISION, PLACEMENT),
  "POST /containers/one/pause": (api) => api.pause("one"),
  "POST /containers/one/unpause": (api) => api.unpause("one"),
  "POST /containers/one/stop?t=10": (api) => api.stop("one", 10),
  "DELETE /containers/one?force=true&v=true": (api) => api.remove("one"),
  "POST /networks/create": (api) =>
    api.createNetwork({ name: "n", subnet: "10.9.0.0/24", gateway: "10.9.0.1", labels: {} }),
  "DELETE /networks/n": (api) => api.removeNetwork("n"),
  "GET /images/me/app%3A1/json": (api) => api.image("me/app:1"),
  "DELETE /images/me/app%3A1": (api) => api.removeImage("me/app:1"),
};

socketTest("each refusal of the engine has its message and its kind", async (engine, api) => {
  for (const [request, answers] of Object.entries(ANSWERS)) {
    if (request === START) engine.on(CREATE, 201, { Id: ID });
    for (const [status, message, kind] of answers) {
      engine.on(request, status, { message: `${message}\n` });
      assertEquals(await fails(kind, () => CALLS[request]!(api)), message, request);
    }
  }
});

socketTest("stopping a container that has ended succeeds", async (engine, api) => {
  engine.on("POST /containers/one/stop?t=1", 304);
  await api.stop("one", 1);
});

socketTest("a container is made with all that belongs to it, and started", async (engine, api) => {
  engine.on(CREATE, 201, { Id: ID, Warnings: [] });
  engine.on(START, 204);
  const revision = { ...REVISION, env: { KEY: 'a "word"\n' } };
  await api.run(revision, PLACEMENT);
  assertEquals([engine.requests, engine.bodies], [[CREATE, START], [createBody(revision, PLACEMENT)]]);
});

socketTest("an answer that says nothing of use is a failure that names the request", async (engine, api) => {
  engine.on(CREATE, 201, {});
  const unnamed = "the engine does not name the container that it has made";
  assertEquals(await fails("refused", () => api.run(REVISION, PLACEMENT)), unnamed);
  engine.on(CREATE, 201, "no JSON");
  const noJson = "the engine's answer to /containers/create is not JSON";
  assertEquals(await fails("refused", () => api.run(REVISION, PLACEMENT)), noJson);
  engine.on("POST /containers/one/pause", 500, "no JSON");
  assertEquals(await fails("refused", () => api.pause("one")), "the engine answered 500");
  engine.on("GET /images/app/json", 200, {});
  assertEquals(await fails("refused", () => api.image("app")), "the engine does not say what app is");
});

socketTest("one request after the other goes over one connection", async (engine, api) => {
  engine.on("POST /containers/one/pause", 204);
  for (let n = 0; n < 5; n++) await api.pause("one");
  assertEquals([engine.requests.length, engine.connections], [5, 1]);
});

socketTest("a request that makes something is sent once, also if its connection ends", async (engine, api) => {
  engine.on("POST /containers/one/pause", 204);
  await api.pause("one"); // there is a connection that could be used again
  engine.on(CREATE, "lost");
  await fails("away", () => api.run(REVISION, PLACEMENT));
  assertEquals(engine.requests, ["POST /containers/one/pause", CREATE]);
});

socketTest(
  "no name server is asked for the way to the socket, and no proxy setting changes it",
  async (engine, api) => {
    engine.on("GET /version", 200, { Version: "26.1.5" });
    const before = Deno.env.get("NO_PROXY");
    Deno.env.set("NO_PROXY", "*,engine,localhost,127.0.0.0/8");
    try {
      assertEquals(await api.version(), "26.1.5");
    } finally {
      if (before === undefined) Deno.env.delete("NO_PROXY");
      else Deno.env.set("NO_PROXY", before);
    }
    assertEquals([...engine.hosts].filter((host) => !/^[\d.]+$/.test(host)), []);
  },
);

socketTest("a request to an engine that hangs fails in time", async (engine, api) => {
  engine.on("POST /containers/one/stop?t=1", "never");
  const message = "the engine did not answer /containers/one/stop in time";
  assertEquals(await fails("late", () => api.stop("one", 1)), message);
  engine.on("GET /version", "never");
  await fails("late", () => api.version({ timeoutMs: 1 }));
}, 200);

socketTest("a signal ends a request with its own reason", async (engine, api) => {
  engine.on("GET /images/app/json", "never");
  const controller = new AbortController();
  const asking = api.image("app", { signal: controller.signal });
  controller.abort(new RangeError("broken off"));
  await assertRejects(() => asking, RangeError, "broken off");
  await assertRejects(() => api.image("app", { signal: controller.signal }), RangeError, "broken off");
});

socketTest(
  "an engine that has gone is away for all who ask, and is asked again when it is back",
  async (engine, api) => {
    engine.on("POST /containers/one/pause", 204);
    await api.pause("one");
    await engine.stop();
    const message = `the engine does not answer at ${engine.path}: No such file or directory`;
    const messages = await Promise.all(Array.from({ length: 20 }, () => fails("away", () => api.pause("one"))));
    assertEquals(new Set(messages), new Set([message]));
    await engine.restart();
    await api.pause("one");
  },
);

socketTest(
  "requests succeed after the engine was restarted, though it closed the idle connections",
  async (engine, api) => {
    engine.on("POST /containers/one/pause", 204);
    for (let n = 0; n < 20; n++) {
      await Promise.all([api.pause("one"), api.pause("one"), api.pause("one")]);
      await engine.stop();
      await engine.restart();
    }
  },
);

/** A piece of a log, with its head, as the engine writes it; for texts of less than 128 bytes. */
function frame(stream: 1 | 2, text: string): string {
  return String.fromCharCode(stream, 0, 0, 0, 0, 0, 0, text.length) + text;
}

const LOGS = "GET /containers/one/logs?stdout=true&stderr=true&timestamps=true";

socketTest("the lines of a log are told apart by stream, however they are cut into pieces", async (engine, api) => {
  const pieces = [
    frame(1, `${TIME} o`),
    frame(2, `${TIME} err\n`),
    frame(1, "ut\n"),
    frame(1, ""),
    frame(1, `${TIME} last`),
  ];
  engine.on(`${LOGS}&follow=false`, 200, pieces.join(""));
  assertEquals(await Array.fromAsync(api.logs("one")), [
    { stream: "stderr", time: TIME, text: "err" },
    { stream: "stdout", time: TIME, text: "out" },
    { stream: "stdout", time: TIME, text: "last" },
  ]);
});

socketTest("which lines of a log are read is up to the engine", async (engine, api) => {
  engine.on(`${LOGS}&follow=true&tail=5&since=1767323045.000000006`, 200, "");
  assertEquals(await Array.fromAsync(api.logs("one", { follow: true, tail: 5, since: TIME })), []);
  await fails("gone", () => Array.fromAsync(api.logs("one", { tail: 1 })));
  const over = AbortSignal.abort();
  const before = engine.requests.length;
  assertEquals(await Array.fromAsync(api.logs("one", { signal: over })), []);
  assertEquals(engine.requests.length, before);
});

socketTest("a stream of events ends with its signal, also after garbage has been collected", async (engine, api) => {
  const filters = encodeURIComponent(JSON.stringify({
    type: ["container", "image"],
    event: Object.values(EVENT_ACTIONS).flat(),
  }));
  engine.on(`GET /events?since=1&filters=${filters}`, "open");
  const controller = new AbortController();
  const reading = Array.fromAsync(await api.events("1", controller.signal));
  await collectGarbage();
  controller.abort();
  assertEquals(await reading, []);
});

socketTest(
  "a log that is followed ends with its signal, also after garbage has been collected",
  async (engine, api) => {
    engine.on(`${LOGS}&follow=true`, "open");
    const controller = new AbortController();
    const reading = Array.fromAsync(api.logs("one", { follow: true, signal: controller.signal }));
    await until(() => engine.requests.length > 0);
    await collectGarbage();
    controller.abort();
    assertEquals(await reading, []);
  },
);

socketTest(
  "of many containers at most four are measured at once, and one that has ended is left out",
  async (engine, api) => {
    const ids = Array.from({ length: 12 }, (_, n) => `c${n}`);
    const stats = { usage: 100, stats: { inactive_file: 30 } };
    for (const id of ids.slice(1)) {
      engine.on(`GET /containers/${id}/stats?stream=false&one-shot=true`, 200, { memory_stats: stats });
    }
    const { fetch } = globalThis;
    let [now, most] = [0, 0];
    globalThis.fetch = async (...args) => {
      most = Math.max(most, ++now);
      return await fetch(...args).finally(() => now--);
    };
    try {
      assertEquals(await api.usage(ids), new Map(ids.slice(1).map((id) => [id, { bytes: 70 }])));
      assertEquals(most, 4);
    } finally {
      globalThis.fetch = fetch;
    }
  },
);

socketTest("containers without a name or labels are listed all the same", async (engine, api) => {
  const filters = encodeURIComponent('{"label":["cless.owner=a1"]}');
  engine.on(`GET /containers/json?all=true&filters=${filters}`, 200, [
    { Id: ID, Names: [], State: "removing", Status: "Removal In Progress", Labels: {} },
  ]);
  assertEquals(await api.containers({ owner: "a1" }), [{
    id: ID,
    engineId: ID,
    owner: "",
    service: "",
    revision: "",
    imageId: "",
    state: "ended",
    upFor: undefined,
    address: "",
    origin: "",
  }]);
});

const MIB = 1024 ** 2;

socketTest(
  "usage is memory without reclaimable caches, and processor time; ended containers have none",
  async (engine, api) => {
    const stats = (id: string, memory_stats: unknown, cpu_stats?: unknown) =>
      engine.on(`GET /containers/${id}/stats?stream=false&one-shot=true`, 200, { memory_stats, cpu_stats });
    stats("one", { usage: 10 * MIB, stats: { total_inactive_file: 3 * MIB, inactive_file: MIB } });
    stats("two", { usage: 10 * MIB, stats: { inactive_file: MIB } });
    stats("three", { usage: 10 * MIB });
    stats("four", {}); // it has just ended
    stats("five", { usage: MIB, stats: { inactive_file: 2 * MIB } }, { cpu_usage: { total_usage: 5 } });
    const usage = await api.usage(["one", "two", "three", "four", "five", "gone"]);
    assertEquals(Object.fromEntries(usage), {
      one: { bytes: 7 * MIB },
      two: { bytes: 9 * MIB },
      three: { bytes: 10 * MIB },
      five: { bytes: 0, processorNs: 5 },
    });
  },
);
