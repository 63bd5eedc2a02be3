import { assert, assertEquals, assertRejects } from "@std/assert";
import { ExecError } from "../../../src/control/exec/process.ts";
import { ContainerGone, EngineAway, type Launch, NotNow, ServedByOther } from "../../../src/pool/launcher.ts";
import { settle } from "../../support/fake_clock.ts";
import { noRun } from "../../support/permissions.ts";
import { OWNER } from "../../support/sharing_cless.ts";
import { SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

const FIRST = `cless-${OWNER}-${SHARED.name}-s0`;
const SECOND = `cless-${OWNER}-${SHARED.name}-s1`;

/** A test with so many cless on one Swarm, each on its own node. */
function clusterTest(name: string, count: number, fn: (cluster: SwarmCluster) => Promise<void>): void {
  Deno.test({ name, ignore: noRun }, async () => {
    await using cluster = await SwarmCluster.start(count);
    await fn(cluster);
  });
}

clusterTest(
  "an instance is a service with a name of its own, and its origin is its node's port",
  1,
  async (cluster) => {
    const [one] = cluster.all;
    const { launcher } = one!.engine;
    const { origin } = await cluster.clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
    const [task] = cluster.swarm.tasks;
    assertEquals([task!.name, task!.labels["cless.owner"]], [FIRST, OWNER]);
    assertEquals(origin, `http://10.0.0.1:${task!.publishedPort}`);
    assertEquals((await launcher.list()).map(({ id, isOurs, origin, state }) => [id, state, origin, isOurs]), [
      [FIRST, "running", origin, true],
    ]);
  },
);

clusterTest("an instance of another node is reached at that node", 2, async (cluster) => {
  const [one, two] = cluster.all;
  cluster.swarm.setNode("node1", { availability: "drain" });
  const { origin } = await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision: SHARED }));
  assert(origin.startsWith("http://10.0.0.2:"), origin);
  assertEquals([one!.engine.launcher.sharing.isOurs(FIRST), two!.engine.launcher.sharing.isOurs(FIRST)], [false, true]);
});

clusterTest("of two that start an instance at once, one makes the service, and both use it", 2, async (cluster) => {
  const ids = await Promise.all(cluster.all.map((cless) => cless.serve()));
  assertEquals(ids, [FIRST, FIRST]);
  assertEquals(cluster.swarm.changes, [`create service ${FIRST}`]);
  assertEquals(cluster.all.map(({ states }) => states), [{ [FIRST]: "ready" }, { [FIRST]: "ready" }]);
});

clusterTest(
  "an instance that one starts is adopted by the others, and counts in the limit of each",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    assertEquals(await one!.serve(), FIRST);
    await cluster.clock.advance(100);
    assertEquals(two!.states, { [FIRST]: "ready" });
    assertEquals(await two!.serve(), FIRST);
    assertEquals(cluster.swarm.changes.length, 1);
  },
);

clusterTest("an instance that starts is looked at by each cless, and nobody lists all for it", 3, async (cluster) => {
  const { clock, swarm } = cluster;
  await clock.advance(100);
  swarm.lists = 0;
  const ids = cluster.all.map((_, number) => FIRST.replace(/0$/, String(number)));
  const started = await Promise.all(
    cluster.all.map(({ engine }, at) => {
      return clock.until(engine.launcher.launch({ id: ids[at]!, revision: { ...SHARED, maxInstances: 3 } }));
    }),
  );
  await clock.advance(100);
  assertEquals(new Set(started.map(({ origin }) => new URL(origin).hostname)).size, 3);
  // Each has adopted what the others have started, on whichever node.
  const others = ids.map((own) => ids.filter((id) => id !== own));
  assertEquals([cluster.all.map(({ states }) => Object.keys(states).sort()), swarm.lists], [others, 0]);
  assertEquals(await cluster.all[2]!.serve(), FIRST);
});

clusterTest(
  "of two instances that two cless start at once, one too many, the first one serves both",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    const serving = one!.serve();
    const launched = two!.engine.launcher.launch({ id: SECOND, revision: SHARED });
    const { container } = await cluster.clock.until(assertRejects(() => launched, ServedByOther));
    assertEquals(await serving, FIRST);
    assertEquals([container.id, cluster.swarm.tasks.map(({ name }) => name)], [FIRST, [FIRST]]);
  },
);

clusterTest(
  "an instance that another cless has started serves where there may be no more, unless it ends",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    two!.usePool(SHARED);
    assertEquals(await two!.serve(), FIRST);
    const launch = (known: Required<Launch>["known"]) =>
      cluster.clock.until(one!.engine.launcher.launch({ id: SECOND, revision: SHARED, known }));
    const { container } = await assertRejects(() => launch(() => undefined), ServedByOther);
    assertEquals([container.id, cluster.swarm.tasks.length], [FIRST, 1]);
    const { origin = "" } = container;
    await launch((id) => id === FIRST ? { isEnding: true, origin } : undefined);
    assertEquals(cluster.swarm.tasks.map(({ name }) => name), [FIRST, SECOND]);
  },
);

clusterTest(
  "a later instance of a name serves once the earlier one is gone here, and not before",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    two!.usePool(SHARED);
    assertEquals(await two!.serve(), FIRST);
    let isGone = false;
    const earlier = { isEnding: true, origin: "http://10.0.0.9:1" };
    const launched = one!.engine.launcher.launch({
      ...{ id: SECOND, revision: SHARED },
      known: (id) => id === FIRST && !isGone ? earlier : undefined,
    });
    const served = assertRejects(() => launched, ServedByOther);
    let isServed = false;
    served.then(() => isServed = true);
    await cluster.clock.advance(1000);
    assertEquals([isServed, cluster.swarm.tasks.length], [false, 1]);
    isGone = true;
    await cluster.clock.until(served);
  },
);

clusterTest(
  "an instance that does not answer one cless, though it does others, does not serve it",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    const { launcher } = one!.engine;
    two!.usePool(SHARED);
    assertEquals(await two!.serve(), FIRST);
    await cluster.clock.until(launcher.launch({ id: SECOND, revision: SHARED, isSilent: () => true }));
    assertEquals(cluster.swarm.tasks.map(({ name }) => name), [FIRST, SECOND]);
  },
);

clusterTest("an instance that its home still starts serves once it runs", 2, async (cluster) => {
  const [one, two] = cluster.all;
  cluster.swarm.setNode("node1", { availability: "drain" });
  two!.usePool(SHARED);
  let isDeaf = true;
  two!.deaf.has = () => isDeaf;
  const serving = two!.serve();
  await cluster.clock.advance(500);
  assertEquals(two!.states, { [FIRST]: "starting" });
  const launched = one!.engine.launcher.launch({ id: SECOND, revision: SHARED });
  const { container } = await cluster.clock.until(assertRejects(() => launched, ServedByOther));
  assertEquals([container.id, cluster.swarm.tasks.length], [FIRST, 1]);
  isDeaf = false;
  await cluster.clock.until(serving);
});

clusterTest("a service that has ended makes room for another one of its name", 1, async (cluster) => {
  const [one] = cluster.all;
  const { launcher } = one!.engine;
  await cluster.clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
  cluster.swarm.end(FIRST, 1);
  await cluster.clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
  assertEquals(cluster.swarm.changes, [
    `create service ${FIRST}`,
    `remove service ${FIRST}`,
    `create service ${FIRST}`,
  ]);
});

clusterTest(
  "a service that seems to run here, though its container is gone, makes room for another one",
  1,
  async (cluster) => {
    const [one] = cluster.all;
    const { launcher } = one!.engine;
    await cluster.clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
    one!.node.containers.clear(); // the engine was killed, and Swarm has not noticed
    assertEquals((await launcher.list()).map(({ id, state }) => [id, state]), [[FIRST, "ended"]]);
    await cluster.clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
    assertEquals(one!.node.states, { [FIRST]: "running" });
  },
);

clusterTest("an app of another cless that had ended when it was joined is started anew", 1, async (cluster) => {
  const [one] = cluster.all;
  const { launcher } = one!.engine;
  cluster.swarm.startMs = Infinity;
  const labels = { "cless.owner": OWNER, "cless.service": "app", "cless.revision": SHARED.name, "cless.image": "1" };
  await cluster.swarm.api("node1").createService({
    ...{ Name: FIRST, Labels: labels, TaskTemplate: { ContainerSpec: { Image: "app" } } },
  });
  const launched = launcher.launch({ id: FIRST, revision: SHARED });
  await cluster.clock.advance(100);
  cluster.swarm.startMs = 0;
  cluster.swarm.end(FIRST, 0);
  await cluster.clock.until(launched);
  assertEquals(one!.node.states, { [FIRST]: "running" });
});

clusterTest("a service of somebody else with the same name is not touched", 1, async (cluster) => {
  const body = { Name: FIRST, TaskTemplate: { ContainerSpec: { Image: "theirs" } } };
  await cluster.swarm.api("node1").createService(body);
  const { launcher } = cluster.all[0]!.engine;
  await assertRejects(() => launcher.launch({ id: FIRST, revision: SHARED }), Error, "is taken by a service of Swarm");
  assertEquals(cluster.swarm.tasks.length, 1);
});

clusterTest("a start that Swarm refuses fails with Swarm's reason, and leaves no service", 1, async (cluster) => {
  const { launcher } = cluster.all[0]!.engine;
  cluster.swarm.refusal = { state: "rejected", error: "mount denied" };
  const launched = launcher.launch({ id: FIRST, revision: SHARED });
  launched.catch(() => {});
  await cluster.clock.advance(1000);
  await assertRejects(() => launched, Error, "mount denied");
  assertEquals([cluster.swarm.tasks, launcher.isLaunching(FIRST)], [[], false]);
});

clusterTest("a start for which no node has room fails a second later", 1, async (cluster) => {
  const { launcher } = cluster.all[0]!.engine;
  const revision = { ...SHARED, placement: { labels: { disk: "fast" } } };
  const launched = launcher.launch({ id: FIRST, revision });
  launched.catch(() => {});
  await cluster.clock.advance(1100);
  await assertRejects(() => launched, Error, "no suitable node");
  assertEquals(cluster.swarm.tasks, []);
});

clusterTest("a start that takes too long ends, and leaves no service", 1, async (cluster) => {
  const { launcher } = cluster.all[0]!.engine;
  cluster.swarm.startMs = Infinity;
  const launched = launcher.launch({ id: FIRST, revision: SHARED });
  launched.catch(() => {});
  await cluster.clock.advance(32_000);
  await assertRejects(() => launched, Error, "did not start the container in time");
  assertEquals(cluster.swarm.tasks, []);
});

clusterTest("without a leader the engine is away, and a request is held until there is one", 1, async (cluster) => {
  const [one] = cluster.all;
  cluster.swarm.isAway = true;
  await assertRejects(() => one!.engine.launcher.launch({ id: FIRST, revision: SHARED }), EngineAway);
  const served = one!.serve();
  await cluster.clock.advance(15_000);
  cluster.swarm.isAway = false;
  assertEquals(await served, FIRST);
});

clusterTest("an image that only one node has runs there, and one that no node has is refused", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const { imageDigest: _, ...local } = SHARED;
  two!.node.images.add(local.imageId);
  const { origin } = await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision: local }));
  assert(origin.startsWith("http://10.0.0.2:"), origin);
  const none = { ...local, imageId: "sha256:none" };
  await assertRejects(
    () => one!.engine.launcher.launch({ id: SECOND, revision: none }),
    Error,
    "was deployed without a registry",
  );
});

clusterTest("an image that all nodes have runs on any of them", 2, async (cluster) => {
  const { imageDigest: _, ...local } = SHARED;
  for (const { node } of cluster.all) node.images.add(local.imageId);
  const { launcher } = cluster.all[0]!.engine;
  const revision = { ...local, maxInstances: 2 };
  for (const id of [FIRST, SECOND]) await cluster.clock.until(launcher.launch({ id, revision }));
  assertEquals(cluster.swarm.tasks.map(({ nodeId }) => nodeId), ["node1", "node2"]);
});

clusterTest("a volume is made on a node where its service may run", 2, async (cluster) => {
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  const revision = { ...SHARED, volumes, placement: { node: "host-node2" } };
  const { origin } = await cluster.clock.until(cluster.all[0]!.engine.launcher.launch({ id: FIRST, revision }));
  assertEquals(new URL(origin).hostname, "10.0.0.2");
});

clusterTest("a volume binds all instances to the node that had it first", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const revision = { ...SHARED, volumes: [{ source: "data", path: "/data", readOnly: false }] };
  const first = await cluster.clock.until(two!.engine.launcher.launch({ id: FIRST, revision }));
  await cluster.clock.until(two!.engine.launcher.stop(FIRST));
  const second = await cluster.clock.until(one!.engine.launcher.launch({ id: SECOND, revision }));
  assertEquals([first, second].map(({ origin }) => new URL(origin).hostname), ["10.0.0.2", "10.0.0.2"]);
});

for (const [slow, what] of [["logs", "read the last lines of"], ["remove", "remove the container of"]]) {
  clusterTest(
    `an instance that starts anew while its home still has to ${what} the one before stays`,
    2,
    async (cluster) => {
      const [one, two] = cluster.all;
      const revision = { ...SHARED, volumes: [{ source: "data", path: "/data", readOnly: false }] };
      await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision }));
      const goesOn = Promise.withResolvers<void>();
      const isSlow = Promise.withResolvers<void>();
      one!.node.before = (call) => {
        if (!call.startsWith(slow!)) return;
        isSlow.resolve();
        return goesOn.promise;
      };
      const stopped = one!.engine.launcher.stop(FIRST);
      await cluster.clock.until(isSlow.promise);
      await cluster.clock.until(two!.engine.launcher.launch({ id: FIRST, revision }));
      goesOn.resolve();
      await cluster.clock.until(stopped);
      one!.engine.launcher.forget(FIRST);
      await cluster.clock.advance(100);
      assertEquals(cluster.swarm.tasks.map(({ name, state }) => [name, state]), [[FIRST, "running"]]);
      assertEquals(one!.node.states, { [FIRST]: "running" });
      assert(one!.engine.launcher.sharing.isOurs(FIRST));
    },
  );
}

clusterTest("two services with one volume never run at the same time", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  const mine = { ...SHARED, service: "mine", name: "mine-00001", volumes };
  const yours = { ...SHARED, service: "yours", name: "yours-00001", volumes };
  const launches = [
    one!.engine.launcher.launch({ id: "cless-mine-00001-s0", revision: mine }),
    two!.engine.launcher.launch({ id: "cless-yours-00001-s0", revision: yours }),
  ];
  await cluster.clock.until(Promise.any(launches));
  await cluster.clock.advance(1000);
  const [{ name } = { name: "" }, ...others] = cluster.swarm.tasks;
  assertEquals(others, []);
  const home = cluster.all.find(({ engine }) => engine.launcher.sharing.isOurs(name))!;
  await cluster.clock.until(home.engine.launcher.stop(name));
  await cluster.clock.until(Promise.all(launches));
  assertEquals(cluster.swarm.tasks.map((task) => task.name === name), [false]);
});

clusterTest(
  "an instance is paused by its home once no other cless uses it, and everybody knows",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    await one!.serve();
    await cluster.clock.advance(100);
    await cluster.clock.advance(10_000);
    assertEquals([one!.states, two!.states], [{ [FIRST]: "paused" }, { [FIRST]: "paused" }]);
    const calls = cluster.all.map(({ node }) => node.calls.length);
    assertEquals(calls.toSorted(), [0, 1]);
  },
);

clusterTest("idle times count from the last request of any cless", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  for (let n = 0; n < 20; n++) {
    await cluster.clock.advance(5000);
    const other = one!.engine.launcher.sharing.isOurs(FIRST) ? two! : one!;
    assertEquals(await other.serve(), FIRST);
  }
  assertEquals(cluster.all.flatMap(({ node }) => node.calls), []);
  await cluster.clock.advance(10_999); // who has been refused asks again after at least a second
  assertEquals(one!.states, { [FIRST]: "paused" });
});

clusterTest("a request to another cless resumes a paused instance by its home", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(10_200);
  const other = one!.engine.launcher.sharing.isOurs(FIRST) ? two! : one!;
  const home = other === one ? two! : one!;
  cluster.takeSaid();
  assertEquals(await other.serve(), FIRST);
  assertEquals(home.node.calls, [`pause ${FIRST}`, `unpause ${FIRST}`]);
  assertEquals([home.states, other.states], [{ [FIRST]: "ready" }, { [FIRST]: "ready" }]);
  assertEquals(cluster.takeSaid(), [`${other.nodeId} to ${home.nodeId}: resume`]);
});

clusterTest("a request that its home gets resumes an instance for all", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(10_200);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  await home.serve();
  assertEquals([one!.states, two!.states], [{ [FIRST]: "ready" }, { [FIRST]: "ready" }]);
});

clusterTest("a request that comes while an instance is being paused gets it running", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const other = one!.engine.launcher.sharing.isOurs(FIRST) ? two! : one!;
  const home = other === one ? two! : one!;
  const frozen = Promise.withResolvers<void>();
  home.node.before = (call) => call.startsWith("pause") ? frozen.promise : undefined;
  await cluster.clock.advance(10_000);
  assertEquals(home.node.calls, [`pause ${FIRST}`]);
  const served = other.serve();
  await cluster.clock.advance(10);
  frozen.resolve();
  assertEquals(await served, FIRST);
  await cluster.clock.advance(100);
  assertEquals(home.node.states, { [FIRST]: "running" });
  assertEquals([home.states, other.states], [{ [FIRST]: "ready" }, { [FIRST]: "ready" }]);
});

clusterTest("a request for a paused instance whose end is being agreed resumes it", 3, async (cluster) => {
  await cluster.all[0]!.serve();
  await cluster.clock.advance(10_200);
  const home = cluster.all.find(({ engine }) => engine.launcher.sharing.isOurs(FIRST))!;
  const [asking, slow] = cluster.all.filter((cless) => cless !== home);
  assertEquals(home.node.states, { [FIRST]: "paused" });
  const answered = Promise.withResolvers<void>();
  cluster.before = (to, message) => "yield" in message && to === slow!.nodeId ? answered.promise : undefined;
  await cluster.clock.advance(50_000);
  assertEquals(await asking!.serve(), FIRST);
  assertEquals(home.node.states, { [FIRST]: "running" });
  answered.resolve();
  await cluster.clock.advance(5000);
  assertEquals([home.node.states, cluster.swarm.tasks.length], [{ [FIRST]: "running" }, 1]);
  assertEquals(cluster.all.map(({ states }) => states[FIRST]), ["ready", "ready", "ready"]);
});

clusterTest("nothing is paused or ended while a cless that lives does not answer", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  const other = home === one ? two! : one!;
  cluster.cut.add(other.nodeId);
  await assertRejects(() => home.engine.launcher.pause(FIRST, 0), NotNow);
  await cluster.clock.advance(100_000);
  assertEquals([home.node.calls, home.states], [[], { [FIRST]: "ready" }]);
  cluster.cut.clear();
  cluster.dead.add(other.nodeId); // its registration has run out
  await cluster.clock.advance(66_000);
  assertEquals(home.node.states, {});
});

clusterTest("an idle instance is ended by its home alone, and its name is free again for all", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  await cluster.clock.advance(60_000);
  await cluster.clock.advance(1000);
  assertEquals([one!.states, two!.states, cluster.swarm.tasks], [{}, {}, []]);
  assertEquals(cluster.swarm.changes, [`create service ${FIRST}`, `remove service ${FIRST}`]);
  assertEquals(await two!.serve(), FIRST);
});

clusterTest("an instance of a node without a cless is ended by the first one that lives", 3, async (cluster) => {
  const [one, two, three] = cluster.all;
  for (const id of ["node1", "node2"]) cluster.swarm.setNode(id, { availability: "drain" });
  await three!.serve();
  await cluster.clock.advance(100);
  assertEquals(two!.states, { [FIRST]: "ready" });
  cluster.dead.add("node3");
  assertEquals([one, two].map((cless) => cless!.engine.launcher.sharing.isOurs(FIRST)), [true, false]);
  for (const { pool } of [one!, two!]) pool.look();
  await cluster.clock.advance(61_000);
  assertEquals([one!.states, two!.states, cluster.swarm.tasks], [{}, {}, []]);
});

clusterTest("who retires its pool only lets go of what others decide about", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  const other = home === one ? two! : one!;
  await cluster.clock.until(other.pool.retire(1000));
  assertEquals([other.states, home.states, cluster.swarm.tasks.length], [{}, { [FIRST]: "ready" }, 1]);
  await cluster.clock.until(home.pool.retire(1000));
  await cluster.clock.until(home.executor.settled());
  assertEquals(cluster.swarm.tasks, []);
});

clusterTest("a home that ends an instance waits for the requests of the others", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  const other = home === one ? two! : one!;
  const lease = other.pool.claim()!;
  const retired = home.pool.retire(30_000);
  await cluster.clock.advance(20_000);
  assertEquals([cluster.swarm.tasks.length, other.states], [1, { [FIRST]: "draining" }]);
  lease.release();
  await cluster.clock.until(retired);
  await cluster.clock.until(home.executor.settled());
  assertEquals(cluster.swarm.tasks, []);
  assertEquals(await other.serve(), FIRST);
});

clusterTest("an app that ends by itself has ended for all, and its service is removed", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  home.node.end(FIRST, 3);
  await cluster.clock.advance(1000);
  assertEquals([one!.states, two!.states, cluster.swarm.tasks], [{}, {}, []]);
});

clusterTest(
  "an instance of a lost node has ended, and the first cless that lives removes its service",
  3,
  async (cluster) => {
    const [one, two, three] = cluster.all;
    for (const id of ["node1", "node2"]) cluster.swarm.setNode(id, { availability: "drain" });
    await three!.serve();
    await cluster.clock.advance(100);
    cluster.dead.add("node3");
    for (const id of ["node1", "node2"]) cluster.swarm.setNode(id, { availability: "active" });
    cluster.swarm.setNode("node3", { isReady: false });
    await cluster.clock.advance(1000);
    assertEquals([one!.states, two!.states, cluster.swarm.tasks], [{}, {}, []]);
    assertEquals(await two!.serve(), FIRST);
    assertEquals(cluster.swarm.tasks.map(({ nodeId }) => nodeId !== "node3"), [true]);
  },
);

clusterTest("who cannot use an instance that another cless decides about takes another name", 2, async (cluster) => {
  const [one, two] = cluster.all;
  cluster.swarm.setNode("node2", { availability: "drain" });
  const id = await one!.serve();
  await cluster.clock.advance(100);
  await cluster.clock.until(two!.engine.launcher.stop(id));
  assertEquals([cluster.swarm.tasks.length, two!.engine.newId(SHARED, () => false)], [1, SECOND]);
  await cluster.clock.until(one!.engine.launcher.stop(id));
  await settle();
  assertEquals(two!.engine.newId(SHARED, () => false), FIRST);
});

clusterTest("the output of an instance is read on its node, and by a manager elsewhere", 2, async (cluster) => {
  await cluster.all[0]!.serve();
  await cluster.clock.advance(100);
  cluster.swarm.output.set(FIRST, [{ stream: "stdout", time: "2026-01-02T03:04:05.000000006Z", text: "hello" }]);
  const read = await Promise.all(cluster.all.map(({ engine }) => engine.launcher.output(FIRST, 10)));
  assertEquals(read, ["hello", "hello"]);
});

clusterTest("a start that fails is removed by whoever made it, wherever it was placed", 2, async (cluster) => {
  const [one] = cluster.all;
  cluster.swarm.setNode("node1", { availability: "drain" });
  for (const cless of cluster.all) {
    for (let port = 20_000; port < 21_000; port++) cless.deaf.add(`http://10.0.0.2:${port}`);
  }
  const held = one!.pool.hold(new AbortController().signal);
  held.catch(() => {});
  await cluster.clock.advance(31_000);
  await assertRejects(() => held);
  await cluster.clock.until(one!.executor.settled());
  assertEquals(cluster.swarm.tasks, []);
});

clusterTest("a container that its home is ending cannot be resumed any more", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  const other = home === one ? two! : one!;
  home.node.before = (call) => call.startsWith("stop") ? new Promise(() => {}) : undefined;
  home.pool.retire(1000);
  await cluster.clock.advance(2000);
  await assertRejects(() => other.engine.launcher.resume(FIRST), ContainerGone);
});

clusterTest("an operator's sleep ends the instances of all cless, whichever decides about them", 2, async (cluster) => {
  const [one, two] = cluster.all;
  await one!.serve();
  await cluster.clock.advance(100);
  const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
  const other = home === one ? two! : one!;
  const slept = Promise.all([other.sleepHere("app"), other.engine.launcher.sharing.sleepElsewhere("app")]);
  assertEquals(await cluster.clock.until(slept), [true, true]);
  await settle();
  assertEquals([one!.states, two!.states, cluster.swarm.tasks], [{}, {}, []]);
});

clusterTest("a new revision gets the volume of the old one, whichever cless decides about that", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const revision = { ...SHARED, volumes: [{ source: "data", path: "/data", readOnly: false }] };
  for (const cless of cluster.all) cless.usePool(revision);
  assertEquals(await two!.serve(), FIRST);
  await cluster.clock.advance(100);
  assertEquals([one!.engine.launcher.sharing.isOurs(FIRST), two!.engine.launcher.sharing.isOurs(FIRST)], [false, true]);
  await cluster.clock.until(one!.pool.suspend(1000)); // as a deploy does
  const next = { ...revision, name: "app-00002" };
  await cluster.clock.until(one!.engine.launcher.launch({ id: "cless-app-00002-s0", revision: next }));
  assertEquals(cluster.swarm.tasks.map(({ name, nodeId }) => [name, nodeId]), [["cless-app-00002-s0", "node2"]]);
});

clusterTest("who wants a volume does not end the instance of the same revision that has it", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const revision = { ...SHARED, volumes: [{ source: "data", path: "/data", readOnly: false }] };
  for (const cless of cluster.all) cless.usePool(revision);
  assertEquals(await two!.serve(), FIRST);
  const launched = one!.engine.launcher.launch({ id: SECOND, revision });
  launched.catch(() => {});
  await cluster.clock.advance(5000);
  assertEquals([cluster.swarm.tasks.map(({ name }) => name), two!.states], [[FIRST], { [FIRST]: "ready" }]);
  const { container } = await assertRejects(() => cluster.clock.until(launched), ServedByOther);
  assertEquals(container.id, FIRST);
});

clusterTest(
  "all cless give the instance that has a volume the same name, also once they let go of it",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    const { launcher } = one!.engine;
    const revision = { ...SHARED, volumes: [{ source: "data", path: "/data", readOnly: false }] };
    await cluster.clock.until(two!.engine.launcher.launch({ id: FIRST, revision }));
    await cluster.clock.advance(100);
    await cluster.clock.until(launcher.stop(FIRST)); // its home is another one
    assertEquals([launcher.newId(SHARED, () => false), launcher.newId(revision, () => false)], [SECOND, FIRST]);
  },
);

clusterTest(
  "a command in an instance of another machine is refused with the name of that machine",
  2,
  async (cluster) => {
    const [one] = cluster.all;
    cluster.swarm.setNode("node1", { availability: "drain" });
    await one!.serve();
    const { signal } = new AbortController();
    const run = () =>
      one!.engine.launcher.exec(FIRST, { command: ["ls"], terminal: undefined, user: undefined }, signal);
    const said =
      "the instance runs on host-node2: run the command there, such as with ssh -t host-node2 sudo cless exec app";
    await assertRejects(run, ExecError, said);
  },
);

clusterTest(
  "requests for a paused instance whose home does not answer are served by another one",
  2,
  async (cluster) => {
    const [one, two] = cluster.all;
    await one!.serve();
    await cluster.clock.advance(10_200);
    const home = one!.engine.launcher.sharing.isOurs(FIRST) ? one! : two!;
    const other = home === one ? two! : one!;
    assertEquals(other.states, { [FIRST]: "paused" });
    cluster.cut.add(home.nodeId);
    assertEquals(await other.serve(), SECOND);
  },
);

clusterTest("a machine whose cless does not answer may have the image that no other one has", 2, async (cluster) => {
  const [one] = cluster.all;
  const { imageDigest: _, ...local } = SHARED;
  cluster.cut.add("node2");
  const { origin } = await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision: local }));
  assert(origin.startsWith("http://10.0.0.2:"), origin);
});

clusterTest("what an instance has written is kept at its home, whoever removes it", 2, async (cluster) => {
  const [one, two] = cluster.all;
  const line = { stream: "stdout", time: "2026-01-02T03:04:05.000000001Z", text: "cannot start" } as const;
  cluster.swarm.output.set(FIRST, [line]);
  cluster.swarm.setNode("node1", { availability: "drain" });
  await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision: SHARED }));
  const outputs = cluster.all.map(({ engine }) => engine.launcher.outputs);
  const listed = () =>
    outputs.map((outputs) => outputs.list(SHARED.service).map(({ endedAt }) => endedAt !== undefined));
  assertEquals(listed(), [[], [false]]);
  assertEquals(await one!.engine.launcher.output(FIRST, 10), "cannot start");
  await cluster.clock.until(one!.engine.launcher.remove(FIRST)); // its start has failed
  await settle();
  assertEquals(listed(), [[], [true]]);
  assertEquals((await Array.fromAsync(outputs[1]!.read(FIRST))).map(({ text }) => text), ["cannot start"]);
  assertEquals(two!.states, {});
});

clusterTest("where no cless lives on the node of an instance, its output is at its home", 3, async (cluster) => {
  const [one, two] = cluster.all;
  const line = { stream: "stdout", time: "2026-01-02T03:04:05.000000001Z", text: "hello" } as const;
  cluster.swarm.output.set(FIRST, [line]);
  for (const node of ["node1", "node2"]) cluster.swarm.setNode(node, { availability: "drain" });
  await cluster.clock.until(one!.engine.launcher.launch({ id: FIRST, revision: SHARED }));
  await Promise.all(cluster.all.map(({ reconciler }) => reconciler.refresh()));
  const [first, second, third] = cluster.all.map(({ engine }) => engine.launcher.outputs);
  const listed = () => [first, second, third].map((outputs) => outputs!.list(SHARED.service).length);
  assertEquals(listed(), [0, 0, 1]);
  cluster.dead.add("node3");
  for (const cless of [one!, two!]) await cless.engine.launcher.list();
  assertEquals(listed().slice(0, 2), [1, 0]);
  assertEquals((await Array.fromAsync(first!.read(FIRST))).map(({ text }) => text), ["hello"]);
  cluster.dead.delete("node3");
  await one!.engine.launcher.list();
  assertEquals(listed(), [0, 0, 1]);
});
