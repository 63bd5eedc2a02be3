import { assertEquals, assertRejects } from "@std/assert";
import { delay } from "../../../src/base/async.ts";
import { Sequence } from "../../../src/docker/network/addresses.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import { ImageNodes } from "../../../src/docker/swarm/image_nodes.ts";
import type { TaskEngine } from "../../../src/docker/swarm/task_engine.ts";
import type { NodePeers, PeerMessage } from "../../../src/docker/swarm/instance_messages.ts";
import { type ApiNode, type ApiTask, leavingOf, nodeOf } from "../../../src/docker/swarm/swarm_json.ts";
import { SwarmLauncher, type SwarmLauncherParts } from "../../../src/docker/swarm/swarm_launcher.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { EngineAway, type Launch, ServedByOther, VolumeAway } from "../../../src/pool/launcher.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";
import { volumeNodesOf } from "../../support/volume_nodes.ts";
import { OWNER, REVISION } from "../launcher_kit.ts";

const ID = `cless-${OWNER}-${REVISION.name}-s0`;
const OTHER_ID = `cless-${OWNER}-app-00002-s0`;
const WITH_VOLUME: Revision = { ...REVISION, volumes: [{ source: "data", path: "/data", readOnly: false }] };

/** A launcher on the first of two nodes. The cless of a node that is lost does not answer. */
class Rig {
  readonly clock = new FakeClock();
  readonly swarm = new FakeSwarm(this.clock, ["node1", "node2"]);
  readonly api = this.swarm.api("node1");
  readonly asked: string[] = [];
  /** Of which nodes the peers know that Swarm does not hear them. */
  unheard: string[] = [];
  readonly launcher: SwarmLauncher;

  constructor() {
    const peers: NodePeers = {
      live: ["node1", "node2"], // the registration of the lost one has not run out
      noteNodes: (nodes) => void (this.unheard = nodes.filter(({ isReady }) => !isReady).map(({ id }) => id)),
      ask: (nodeId: string, message: PeerMessage) => {
        this.asked.push(`${nodeId} ${JSON.stringify(message)}`);
        const isLost = this.swarm.nodes.some(({ id, isReady }) => id === nodeId && !isReady);
        return isLost ? new Promise(() => {}) : Promise.resolve({ ok: true });
      },
    };
    const containers = {
      all: () => Promise.resolve([]),
      findFrozen: () => Promise.resolve(),
      isStuck: () => false,
      remove: () => Promise.resolve(),
      outputs: { started() {}, forget() {}, retain: () => Promise.resolve() },
      volumeAccess: { check() {} },
    };
    const homes = new Homes("node1", peers);
    const machines = new Map(["node1", "node2"].map((id) => [id, { engine: id, has: new Set<string>() }]));
    const engine = { has: () => false, container: () => undefined, image: () => Promise.resolve({}) };
    const images = new ImageNodes("node1", engine as unknown as TaskEngine, peers);
    this.launcher = new SwarmLauncher(
      {
        ...{
          swarm: this.api,
          peers,
          containers,
          engine,
          homes,
          images,
          logins: { headerFor: () => Promise.resolve(undefined) },
          owner: OWNER,
          clock: this.clock,
          drainTimeoutMs: 0,
        },
        ...{
          volumes: volumeNodesOf(this.api, OWNER, "node1", machines),
          ports: new Sequence(61_000, 65_535),
          defaults: {},
        },
        slots: { home: { gone() {}, keep() {} } },
      } as unknown as SwarmLauncherParts,
    );
  }

  /** Runs an instance on the second node. */
  async runElsewhere(volume?: string): Promise<void> {
    const labels = {
      "cless.owner": OWNER,
      "cless.service": "app",
      "cless.revision": REVISION.name,
      "cless.image": REVISION.imageId,
    };
    await this.api.createService({
      Name: ID,
      Labels: { ...labels, ...(volume === undefined ? {} : { "cless.volumes": volume }) },
      TaskTemplate: { Placement: { Constraints: ["node.id==node2"] }, ContainerSpec: { Image: "app" } },
    });
    await this.clock.advance(0);
    this.swarm.changes.length = 0;
  }

  launch(revision: Revision, launch: Partial<Launch> = {}): Promise<{ origin: string }> {
    const launched = this.launcher.launch({ id: ID, revision, ...launch });
    launched.catch(() => {});
    return launched;
  }
}

Deno.test("the instances of a lost node have ended, and nobody waits for the cless there", async () => {
  const rig = new Rig();
  await rig.runElsewhere();
  rig.swarm.setNode("node2", { isReady: false });
  const [instance] = await rig.launcher.list();
  assertEquals([instance?.id, instance?.state, rig.asked], [ID, "ended", []]);
  assertEquals(rig.unheard, ["node2"]);
});

Deno.test("an instance of a lost node is replaced elsewhere", async () => {
  const rig = new Rig();
  await rig.runElsewhere();
  rig.swarm.setNode("node2", { isReady: false });
  assertEquals(await rig.clock.until(rig.launch(REVISION)), { origin: "http://10.0.0.1:61000" });
  assertEquals(rig.swarm.tasks.map(({ nodeId }) => nodeId), ["node1"]);
});

Deno.test("an instance that was to start on a node that is lost meanwhile starts on another one", async () => {
  const rig = new Rig();
  rig.swarm.startMs = Infinity;
  rig.swarm.assign = "node2";
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(1000);
  rig.swarm.setNode("node2", { isReady: false });
  rig.swarm.startMs = 0;
  await rig.clock.advance(2000);
  assertEquals(await launched, { origin: "http://10.0.0.1:61001" });
});

Deno.test("an instance whose node does not take its task starts on another one, though Swarm hears from that node", async () => {
  const rig = new Rig();
  rig.swarm.startMs = Infinity;
  rig.swarm.assign = "node1";
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(4900);
  assertEquals(rig.swarm.changes, [`create service ${ID}`]);
  rig.swarm.startMs = 0;
  rig.swarm.assign = undefined;
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.2:61001" });
});

Deno.test("an instance that only one node can run waits for that node to take its task", async () => {
  for (const [elsewhere, revision] of [[false, WITH_VOLUME], [true, REVISION]] as const) {
    const rig = new Rig();
    rig.swarm.startMs = Infinity;
    rig.swarm.assign = "node1";
    if (elsewhere) rig.swarm.setNode("node2", { availability: "drain" });
    const launched = rig.launch({ ...revision, imageDigest: "app@sha256:1" });
    await rig.clock.advance(20_000);
    assertEquals(rig.swarm.changes.filter((change) => change.includes(ID)), [`create service ${ID}`]);
    rig.swarm.run(ID);
    assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
  }
});

Deno.test("a start waits while Swarm has not heard from all nodes, after a change of the leader", async () => {
  const rig = new Rig();
  for (const id of ["node1", "node2"]) rig.swarm.setNode(id, { isAwaited: true, availability: "drain" });
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(10_000);
  assertEquals(rig.swarm.tasks.map(({ error, nodeId }) => [error, nodeId]), [["no suitable node", undefined]]);
  rig.swarm.setNode("node2", { isAwaited: false });
  rig.swarm.setNode("node1", { isAwaited: false, availability: "active" });
  await rig.clock.advance(500); // Swarm looks again a little later
  rig.swarm.run(ID);
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
});

Deno.test("a start waits for room that an instance which is being ended still takes up", async () => {
  const rig = new Rig();
  const takeNone = (availability: "active" | "drain") => {
    for (const id of ["node1", "node2"]) rig.swarm.setNode(id, { availability });
  };
  takeNone("drain");
  rig.swarm.leaving = [{ nodeId: "node1", labels: { "cless.owner": OWNER } }];
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(10_000);
  rig.swarm.leaving = [];
  await rig.clock.advance(500); // Swarm looks again a little later
  takeNone("active");
  rig.swarm.run(ID);
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
});

Deno.test("a start does not wait for room on a node that is lost", async () => {
  const rig = new Rig();
  rig.swarm.setNode("node1", { availability: "drain" });
  rig.swarm.setNode("node2", { isReady: false });
  rig.swarm.leaving = [{ nodeId: "node2", labels: { "cless.owner": OWNER } }];
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(1200);
  await assertRejects(() => launched, Error, "no suitable node");
});

Deno.test("a start fails with Swarm's reason where no node will do", async () => {
  const rig = new Rig();
  for (const id of ["node1", "node2"]) rig.swarm.setNode(id, { availability: "drain" });
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(2000);
  await assertRejects(() => launched, Error, "Swarm finds no node for it: no suitable node");
  assertEquals(rig.swarm.tasks, []);
});

Deno.test("an instance with a volume on a lost node counts as running: it is neither replaced nor removed", async () => {
  const rig = new Rig();
  await rig.runElsewhere("data");
  rig.swarm.setNode("node2", { isReady: false });
  assertEquals(await rig.launcher.list(), []);
  const launched = rig.launch({ ...WITH_VOLUME, placement: { node: "host-node1" } });
  await assertRejects(() => rig.clock.until(launched), VolumeAway, "may still run with the volume");
  await rig.launcher.remove(ID);
  assertEquals(rig.swarm.changes.filter((change) => change.includes("service")), []);

  rig.swarm.setNode("node2", { isReady: true });
  assertEquals((await rig.launcher.list()).map(({ id, state }) => [id, state]), [[ID, "running"]]);
});

Deno.test("an instance with a volume is replaced once its node was removed from the Swarm", async () => {
  const rig = new Rig();
  await rig.runElsewhere("data");
  rig.swarm.removeNode("node2");
  assertEquals((await rig.launcher.list()).map(({ state }) => state), ["ended"]);
  assertEquals(await rig.clock.until(rig.launch(WITH_VOLUME)), { origin: "http://10.0.0.1:61000" });
});

Deno.test("a volume is free only once the container that had it has ended, though its service is gone", async () => {
  const rig = new Rig();
  rig.swarm.leaving = [{ nodeId: "node2", labels: { "cless.volumes": "other\ndata" } }];
  let isDone = false;
  const launched = rig.launch(WITH_VOLUME).finally(() => isDone = true);
  await rig.clock.advance(5000);
  assertEquals([isDone, rig.swarm.tasks], [false, []]);
  rig.swarm.leaving = [{ nodeId: "node3", labels: { "cless.volumes": "data" } }]; // a node that is gone for good
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
});

Deno.test("an instance of the same revision that has the volume serves, under whichever name", async () => {
  const rig = new Rig();
  await rig.runElsewhere("data");
  const id = ID.replace("-s0", "-s2");
  const served = await assertRejects(() => rig.clock.until(rig.launch(WITH_VOLUME, { id })), ServedByOther);
  const { origin, state } = served.container;
  assertEquals([served.container.id, state, origin], [
    ID,
    "running",
    `http://10.0.0.2:${rig.swarm.tasks[0]!.publishedPort}`,
  ]);
  assertEquals(rig.asked.slice(-1), [`node2 {"resume":"${ID}","from":"node1"}`]); // it may sleep
  assertEquals(rig.swarm.tasks.map(({ name }) => name), [ID]);
});

Deno.test("an instance that this process is ending keeps its volume until it is gone", async () => {
  const rig = new Rig();
  await rig.runElsewhere("data");
  const id = ID.replace("-s0", "-s1");
  const launched = rig.launch(WITH_VOLUME, {
    id,
    known: (id) => id === ID ? { isEnding: true, origin: "" } : undefined,
  });
  await rig.clock.advance(5000);
  assertEquals(rig.swarm.tasks.map(({ name }) => name), [ID]);
  await rig.api.removeService(ID);
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
  assertEquals(rig.swarm.tasks.map(({ name }) => name), [id]);
});

Deno.test("tasks without a service are leaving until they have ended", () => {
  const task = (desired: string, state: string): ApiTask => ({
    ...{ ID: `${desired} ${state}`, Version: { Index: 1 }, ServiceID: "1", NodeID: "node1", DesiredState: desired },
    ...{ Status: { State: state }, Spec: { ContainerSpec: { Labels: { task: `${desired} ${state}` } } } },
  });
  const tasks = [
    ...[task("running", "running"), task("remove", "running"), task("remove", "shutdown"), task("remove", "orphaned")],
    ...[task("remove", "starting"), task("shutdown", "shutdown")],
  ];
  assertEquals(leavingOf(tasks), [
    { nodeId: "node1", labels: { task: "remove running" } },
    { nodeId: "node1", labels: { task: "remove orphaned" } },
    { nodeId: "node1", labels: { task: "remove starting" } },
  ]);
});

for (const [state, isReady] of Object.entries({ ready: true, unknown: true, down: false, disconnected: false })) {
  Deno.test(`a node is ${isReady ? "not lost" : "lost"} while its state is ${state}`, () => {
    const node: ApiNode = {
      ...{ ID: "node1", Description: undefined, ManagerStatus: undefined },
      ...{ Spec: { Role: "worker" }, Status: { State: state, Addr: "10.0.0.1" } },
    } as unknown as ApiNode;
    assertEquals(nodeOf(node).isReady, isReady);
  });
}

Deno.test("an instance of a cless that is gone, for which there was no node, keeps no other one from starting", async () => {
  const rig = new Rig();
  rig.swarm.setNode("node2", { availability: "drain" });
  await rig.runElsewhere(); // it would have to run there
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" }, { id: ID.replace("-s0", "-s1") });
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61000" });
  assertEquals(rig.swarm.tasks.map(({ name }) => name), [ID.replace("-s0", "-s1")]);
});

Deno.test("an instance that somebody removes before it runs starts again", async () => {
  const rig = new Rig();
  rig.swarm.startMs = Infinity;
  const launched = rig.launch({ ...REVISION, imageDigest: "app@sha256:1" });
  await rig.clock.advance(1000);
  rig.swarm.startMs = 0;
  await rig.api.removeService(ID);
  assertEquals(await rig.clock.until(launched), { origin: "http://10.0.0.1:61001" });
});

Deno.test("a failed start on another node removes no instance of its name but its own", async () => {
  const rig = new Rig();
  rig.swarm.setNode("node1", { availability: "drain" });
  await rig.clock.until(rig.launch({ ...REVISION, imageDigest: "app@sha256:1" }));
  await rig.api.removeService(ID);
  await rig.runElsewhere(); // by the cless there
  await rig.launcher.remove(ID);
  assertEquals(rig.swarm.tasks.length, 1);
  const own = new Rig();
  own.swarm.setNode("node1", { availability: "drain" });
  await own.clock.until(own.launch({ ...REVISION, imageDigest: "app@sha256:1" }));
  await own.launcher.remove(ID);
  assertEquals(own.swarm.tasks, []);
});

/** Creates a service of another revision with the same volume, as another cless does. */
async function createOther(rig: Rig): Promise<string> {
  const labels = { "cless.owner": OWNER, "cless.revision": "app-00002", "cless.volumes": "data" };
  return await rig.swarm.api("node2").createService({
    Name: OTHER_ID,
    Labels: labels,
    TaskTemplate: { ContainerSpec: { Image: "app" } },
  });
}

for (const isFirst of [true, false]) {
  const what = `a service that is created ${isFirst ? "before" : "after"} another one with the same volume`;
  Deno.test(`${what} ${isFirst ? "stays" : "goes"}, though Swarm changes both`, async () => {
    const rig = new Rig();
    const { createService } = rig.api;
    const { removeService } = rig.api;
    const checked = Promise.withResolvers<void>();
    rig.api.removeService = (service) => removeService(service).finally(checked.resolve);
    rig.api.createService = async (body) => {
      rig.api.createService = createService;
      const first = isFirst ? await createService(body) : await createOther(rig);
      rig.clock.stall(3);
      const second = isFirst ? await createOther(rig) : await createService(body);
      await delay(rig.clock, 3); // Swarm changes the first one meanwhile, and the second one later
      return isFirst ? first : second;
    };
    const launched = rig.launch(WITH_VOLUME);
    await rig.clock.until(Promise.race([checked.promise, launched]));
    assertEquals(rig.swarm.tasks.some(({ name }) => name === ID), isFirst);
  });
}

Deno.test("a service whose order among those with its volume cannot be seen is removed", async () => {
  const rig = new Rig();
  const { createService } = rig.api;
  rig.api.createService = async (body) => {
    const id = await createService(body);
    const { tasks } = rig.api;
    rig.api.tasks = () => {
      rig.api.tasks = tasks;
      return Promise.reject(new EngineError("away", "The swarm does not have a leader"));
    };
    return id;
  };
  await assertRejects(() => rig.clock.until(rig.launch(WITH_VOLUME)), EngineAway);
  assertEquals(rig.swarm.tasks, []);
});

Deno.test("a service that was not removed before another one of its volume goes at the next start", async () => {
  const rig = new Rig();
  await createOther(rig);
  await rig.clock.advance(1);
  await rig.runElsewhere("data");
  const { removeService } = rig.api;
  const removed = Promise.withResolvers<void>();
  rig.api.removeService = (service) => removeService(service).finally(removed.resolve);
  rig.launch(WITH_VOLUME);
  await rig.clock.until(removed.promise);
  assertEquals(rig.swarm.tasks.map(({ name }) => name), [OTHER_ID]);
});
