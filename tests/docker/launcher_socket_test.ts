import { assertEquals, assertRejects } from "@std/assert";
import { DockerCommand } from "../../src/docker/command.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { ImageSource } from "../../src/docker/images/image_source.ts";
import { Freezer } from "../../src/docker/freezer/freezer.ts";
import { Hibernator } from "../../src/docker/freezer/hibernator.ts";
import { DockerLauncher } from "../../src/docker/launcher.ts";
import { systemClock } from "../../src/base/clock.ts";
import { ContainerOutputs } from "../../src/docker/logs/outputs.ts";
import { Addresses } from "../../src/docker/network/addresses.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { ContainerGone, EngineAway } from "../../src/pool/launcher.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet, noRead, noWrite } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { ID, NETWORK, OWNER, REVISION } from "./launcher_kit.ts";

const CREATE = "POST /containers/create?name=one";
const START = `POST /containers/${ID}/start`;
const REMOVE = "DELETE /containers/one?force=true&v=true";
const MAKE_NETWORK = "POST /networks/create";
const LIST = `GET /containers/json?all=true&filters=${encodeURIComponent(`{"label":["cless.owner=${OWNER}"]}`)}`;
const LAUNCH = { id: "one", revision: { ...REVISION, env: { KEY: "secret-secret" } } };
const ORIGIN = "http://10.9.0.2:8080";

/** A test with an engine that makes and starts the container `one`, and with no docker command. */
function launchTest(name: string, fn: (engine: FakeEngine, launcher: DockerLauncher) => Promise<void>): void {
  Deno.test({ name, ignore: noNet || noRead || noWrite }, async () => {
    await using engine = await FakeEngine.start();
    engine.on("GET /version", 200, { Version: "26.1.5" });
    engine.on("GET /networks", 200, [{ Name: NETWORK, IPAM: { Config: [{ Subnet: "10.9.0.0/24" }] } }]);
    engine.on(CREATE, 201, { Id: ID, Warnings: [] });
    engine.on(START, 204);
    engine.on(REMOVE, 204);
    using api = new SocketApi(engine.path);
    const network = new OwnNetwork(api, { owner: OWNER, path: "/data" });
    const images = new ImageSource(api, new DockerCommand("/nowhere/docker"));
    const portRange = { first: 20_000, last: 29_999 };
    const addresses = new Addresses(network, { portRange, upstream: "direct" });
    const [outputs, freezer] = [new ContainerOutputs(api, systemClock), new Freezer(undefined, false, systemClock)];
    const hibernator = new Hibernator(freezer, undefined, systemClock);
    await fn(engine, new DockerLauncher(api, images, addresses, outputs, freezer, hibernator));
  });
}

/** What the engine was asked for containers; a request that was sent twice in a row, as the platform may, counts once. */
function asked(engine: FakeEngine): string[] {
  return engine.requests.filter((request) => request.includes("/containers/"))
    .filter((request, n, all) => request !== all[n - 1]);
}

/** The addresses that containers were made with. */
function addresses(engine: FakeEngine): string[] {
  return engine.bodies.map((body) => (body as { Labels: Record<string, string> }).Labels["cless.address"]!);
}

launchTest("a container is made, paused, resumed, stopped and removed without a command", async (engine, launcher) => {
  assertEquals(await launcher.launch(LAUNCH), { origin: ORIGIN });
  engine.on("POST /containers/one/pause", 204);
  engine.on("POST /containers/one/unpause", 500, { message: "Container 0123 is not paused" });
  await launcher.pause("one");
  await launcher.resume("one");
  engine.on("POST /containers/one/stop?t=10", 304);
  engine.on("DELETE /containers/two?force=true&v=true", 404, { message: "No such container: two" });
  launcher.outputs.close();
  await launcher.stop("one");
  await launcher.remove("two");
  assertEquals(asked(engine).slice(0, 2), [CREATE, START]);
  await assertRejects(() => launcher.resume("two"), ContainerGone, "not found");
});

launchTest("an address in use is passed over, also when only the start tells", async (engine, launcher) => {
  engine.on(START, 403, { message: "Address already in use" });
  await assertRejects(() => launcher.launch(LAUNCH), EngineError, "Address already in use");
  const tried = addresses(engine);
  assertEquals([tried.length, new Set(tried).size], [8, 8]);
  assertEquals(engine.requests.filter((request) => request === REMOVE).length, 7);
});

launchTest("a network that somebody has removed is made again", async (engine, launcher) => {
  await launcher.prepare();
  engine.on("GET /networks", 200, []);
  engine.on(MAKE_NETWORK, 201, { Id: ID });
  engine.on(START, 404, { message: `network ${NETWORK} not found` });
  await assertRejects(() => launcher.launch(LAUNCH), EngineError);
  assertEquals(engine.requests.filter((request) => request === MAKE_NETWORK).length, 7);
});

launchTest(
  "an image that somebody has removed is looked for once more, and then built again",
  async (engine, launcher) => {
    engine.on(CREATE, 404, { message: `No such image: sha256:${ID}` });
    engine.on(`GET /images/golang%40sha256%3A${ID}/json`, 200, { Id: `sha256:${ID}`, RepoDigests: [] });
    const revision = { ...REVISION, imageDigest: `golang@sha256:${ID}` };
    await assertRejects(() => launcher.launch({ id: "one", revision }), EngineError, "No such image");
    assertEquals(engine.requests.filter((request) => request === CREATE).length, 2);
  },
);

launchTest(
  "an error of the engine has no secret in it, and is the pool's error of that kind",
  async (engine, launcher) => {
    engine.on(START, 400, { message: "exec: KEY=secret-secret: not found\n" });
    const { message } = await assertRejects(() => launcher.launch(LAUNCH), EngineError);
    assertEquals(message, "exec: KEY=***: not found");
    engine.on(START, 404, { message: `No such container: ${ID}` });
    await assertRejects(() => launcher.launch(LAUNCH), ContainerGone);
  },
);

launchTest("a name that another program's container has is left to it", async (engine, launcher) => {
  engine.on(CREATE, 409, { message: 'Conflict. The container name "/one" is already in use by container "x".' });
  engine.on(LIST, 200, [{ Id: ID, Names: ["/other"], State: "running", Status: "Up", Labels: {} }]);
  await assertRejects(() => launcher.launch(LAUNCH), EngineError, "is already in use");
  assertEquals(asked(engine), [CREATE, LIST]);
});

launchTest("an event tells of the start before the engine has answered", async (engine, launcher) => {
  engine.on(START, "never");
  const launched = launcher.launch(LAUNCH);
  await until(() => engine.requests.includes(START));
  launcher.started("one", ID);
  assertEquals(await launched, { origin: ORIGIN });
  await engine.stop();
  await launcher.settled();
  // It serves by now: without the answer it is not started once more, and above all not made anew.
  assertEquals(asked(engine), [CREATE, START]);
});

launchTest(
  "a container whose making was not answered is made again, in place of what that has left",
  async (engine, launcher) => {
    const taken = { message: 'Conflict. The container name "/one" is already in use by container "x".' };
    const own = { Id: ID, Names: ["/one"], State: "created", Status: "Created", Labels: {} };
    engine.on(LIST, 200, [own]);
    let tries = 0;
    engine.on(CREATE, () => {
      if (++tries === 1) return "lost";
      return tries === 2 ? { status: 409, body: taken } : { status: 201, body: { Id: ID } }; // the engine went on with it
    });
    assertEquals(await launcher.launch(LAUNCH), { origin: "http://10.9.0.4:8080" });
    assertEquals(asked(engine), [CREATE, REMOVE, CREATE, LIST, REMOVE, CREATE, START]);
  },
);

launchTest("a container whose start was not answered is made again", async (engine, launcher) => {
  engine.on(START, () => engine.requests.includes(REMOVE) ? { status: 204, body: "" } : "lost");
  assertEquals(await launcher.launch(LAUNCH), { origin: "http://10.9.0.3:8080" });
  assertEquals(asked(engine), [CREATE, START, REMOVE, CREATE, START]);
});

launchTest("an engine that loses every answer is away", async (engine, launcher) => {
  engine.on(START, "lost");
  await assertRejects(() => launcher.launch(LAUNCH), EngineAway);
  assertEquals(asked(engine), [CREATE, START, REMOVE, CREATE, START]);
});

launchTest("an engine that goes away during a start is reported as away", async (engine, launcher) => {
  engine.on("GET /version", "lost");
  engine.on(CREATE, "lost");
  await assertRejects(() => launcher.launch(LAUNCH), EngineAway);
  assertEquals([asked(engine), launcher.isLaunching("one")], [[CREATE], false]);
});

launchTest(
  "events of a container that is made again do not count as events of the instance",
  async (engine, launcher) => {
    const launching: boolean[] = [];
    engine.on(START, "lost");
    engine.on(REMOVE, () => {
      launcher.started("one", ID); // the engine tells of the start after all
      launching.push(launcher.isLaunching("one"));
      return { status: 204, body: "" };
    });
    await assertRejects(() => launcher.launch(LAUNCH), EngineAway);
    assertEquals(launching.length, 1);
  },
);

launchTest("an engine of which a part is away counts as away", async (engine, launcher) => {
  const message = "Cannot unpause container one: connection error: desc = transport: Error while dialing: unavailable";
  engine.on("POST /containers/one/unpause", 500, { message });
  await assertRejects(() => launcher.resume("one"), EngineAway);
  engine.on("POST /containers/one/unpause", 500, { message: "Cannot unpause container one: it is a stone" });
  await assertRejects(() => launcher.resume("one"), EngineError);
});

launchTest(
  "the ports that an image exposes are known, and none if the engine does not know the image",
  async (engine, launcher) => {
    const path = `GET /images/${encodeURIComponent(REVISION.imageId)}/json`;
    assertEquals(await launcher.exposedPorts(REVISION), []);
    const ports = { "3000/tcp": {}, "53/udp": {} };
    engine.on(path, 200, { Id: REVISION.imageId, Config: { ExposedPorts: ports } });
    assertEquals(await launcher.exposedPorts(REVISION), [3000]);
  },
);
