import { assertEquals, assertRejects } from "@std/assert";
import type { PeerMessage } from "../../../src/docker/swarm/instance_messages.ts";
import { NotNow } from "../../../src/pool/launcher.ts";
import { settle } from "../../support/fake_clock.ts";
import { noRun } from "../../support/permissions.ts";
import { OWNER } from "../../support/sharing_cless.ts";
import { type FakeSharingCless, SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

const ID = `cless-${OWNER}-${SHARED.name}-s0`;

/** Three cless that share an instance which has just served a request. */
interface Scene {
  readonly cluster: SwarmCluster;
  /** The one on the instance's node. */
  readonly home: FakeSharingCless;
  readonly other: FakeSharingCless;
  /** One that answers no question until {@linkcode Scene.answer} is called. */
  readonly slow: FakeSharingCless;
  answer(): void;
}

function sceneTest(name: string, fn: (scene: Scene) => Promise<void>): void {
  Deno.test({ name, ignore: noRun }, async () => {
    await using cluster = await SwarmCluster.start(3);
    await cluster.all[0]!.serve();
    await cluster.clock.advance(100);
    const home = cluster.all.find(({ engine }) => engine.launcher.sharing.isOurs(ID))!;
    const [other, slow] = cluster.all.filter((cless) => cless !== home) as [FakeSharingCless, FakeSharingCless];
    const answered = Promise.withResolvers<void>();
    cluster.before = (to, message) => isQuestion(message) && to === slow.nodeId ? answered.promise : undefined;
    await fn({ cluster, home, other, slow, answer: answered.resolve });
    answered.resolve();
    await settle();
  });
}

function isQuestion(message: PeerMessage): boolean {
  return "yield" in message;
}

/** Ends a cless as a process ends that others share instances with. */
async function end({ clock, dead, all }: SwarmCluster, cless: FakeSharingCless): Promise<void> {
  await clock.until(cless.engine.launcher.handOver());
  dead.add(cless.nodeId);
  for (const left of all) {
    if (left === cless) continue;
    left.reconciler.refresh();
    left.pool.look();
  }
  await settle();
}

const READY = { [ID]: "ready" };

sceneTest(
  "a request at the home breaks off a pause to which not all have agreed, and waits for nobody",
  async (scene) => {
    const { answer, cluster, home, other, slow } = scene;
    await cluster.clock.advance(10_000);
    assertEquals([home.states, other.states, slow.states], [{ [ID]: "paused" }, { [ID]: "paused" }, READY]);
    const before = cluster.clock.now();
    const lease = home.pool.hold(new AbortController().signal);
    await settle();
    assertEquals([home.states, other.states, cluster.clock.now()], [READY, READY, before]);
    answer(); // it agrees too late, and is told so
    await settle();
    assertEquals([slow.states, home.node.calls], [READY, []]);
    (await lease).lease.release();
  },
);

sceneTest("nobody is asked again before all have answered", async ({ answer, cluster, home, other }) => {
  const { sharing } = home.engine.launcher;
  const paused = sharing.pause(ID, 0);
  paused.catch(() => {});
  await settle();
  await sharing.resume(ID);
  await assertRejects(() => paused, NotNow, "used again");
  cluster.takeSaid();
  await assertRejects(() => sharing.pause(ID, 0), NotNow, "not all other cless have answered");
  assertEquals(cluster.takeSaid(), []);
  answer();
  await settle();
  await cluster.clock.until(sharing.pause(ID, 0));
  assertEquals([home.node.states, other.states], [{ [ID]: "paused" }, { [ID]: "paused" }]);
});

sceneTest("a cless that ends while it agrees a pause leaves the instance running, for all", async (scene) => {
  const { answer, cluster, home, other, slow } = scene;
  await cluster.clock.advance(10_000);
  assertEquals([home.states, slow.states], [{ [ID]: "paused" }, READY]);
  await end(cluster, home);
  answer();
  await settle();
  assertEquals([home.node.states, home.node.calls], [{ [ID]: "running" }, []]);
  assertEquals([other.states, slow.states], [READY, READY]);
  // It was idle: the others end it, and its slot is free.
  await cluster.clock.advance(75_000);
  assertEquals([other.states, slow.states, cluster.swarm.tasks], [{}, {}, []]);
  for (const { engine } of [other, slow]) assertEquals(engine.newId(SHARED, () => false), ID);
});

sceneTest(
  "a cless that ends while its engine pauses an instance resumes it",
  async ({ answer, cluster, home, other }) => {
    const paused = Promise.withResolvers<void>();
    home.node.before = (call) => call.startsWith("pause") ? paused.promise : undefined;
    answer();
    await cluster.clock.advance(10_000);
    assertEquals(home.node.calls, [`pause ${ID}`]);
    const ended = end(cluster, home);
    await settle();
    paused.resolve();
    await ended;
    assertEquals([home.node.states, other.states], [{ [ID]: "running" }, READY]);
  },
);

sceneTest("a cless that ends wakes what sleeps on its node, and pauses nothing any more", async (scene) => {
  const { answer, cluster, home, other } = scene;
  answer();
  await cluster.clock.advance(10_200);
  assertEquals(home.node.states, { [ID]: "paused" });
  await cluster.clock.until(home.engine.launcher.handOver());
  assertEquals([home.node.states, home.states, other.states], [{ [ID]: "running" }, READY, READY]);
  await cluster.clock.advance(120_000); // some containers may take long to stop
  assertEquals([home.node.states, cluster.swarm.tasks.length], [{ [ID]: "running" }, 1]);
});

sceneTest("a cless that ends while it asks whether an instance may end leaves it to the others", async (scene) => {
  const { answer, cluster, home, other, slow } = scene;
  const mayEnd = home.engine.launcher.sharing.mayEnd(ID, 0);
  mayEnd.catch(() => {});
  await settle();
  assertEquals([other.states, slow.states], [{ [ID]: "paused" }, READY]);
  await end(cluster, home);
  await assertRejects(() => mayEnd, NotNow);
  answer();
  await settle();
  assertEquals([other.states, slow.states, cluster.swarm.tasks.length], [READY, READY, 1]);
});

sceneTest(
  "a cless that ends while another one agrees a pause with it keeps nothing from being paused",
  async (scene) => {
    const { answer, cluster, home, other, slow } = scene;
    await cluster.clock.advance(10_000);
    assertEquals([home.states, other.states], [{ [ID]: "paused" }, { [ID]: "paused" }]);
    await end(cluster, slow);
    answer();
    await cluster.clock.advance(15_000);
    assertEquals([home.node.states, home.states, other.states], [
      { [ID]: "paused" },
      { [ID]: "paused" },
      { [ID]: "paused" },
    ]);
    assertEquals(await other.serve(), ID);
  },
);

sceneTest(
  "a cless that is taken over waits for its pauses, and breaks off those that are not agreed",
  async (scene) => {
    const { answer, cluster, home, other } = scene;
    await cluster.clock.advance(10_000);
    await home.engine.launcher.endPauses();
    await settle();
    assertEquals([home.states, other.states, home.node.calls], [READY, READY, []]);
    answer();
    const paused = Promise.withResolvers<void>();
    home.node.before = (call) => call.startsWith("pause") ? paused.promise : undefined;
    await cluster.clock.advance(20_000);
    assertEquals(home.node.calls, [`pause ${ID}`]);
    let isDone = false;
    const done = home.engine.launcher.endPauses().then(() => isDone = true);
    await settle();
    assertEquals(isDone, false);
    paused.resolve();
    await done;
    assertEquals(home.node.states, { [ID]: "running" });
  },
);
