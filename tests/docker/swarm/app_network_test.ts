import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppNetwork } from "../../../src/docker/swarm/app_network.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeNode } from "../../support/fake_node.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";
import { noRun } from "../../support/permissions.ts";
import { OWNER } from "../../support/sharing_cless.ts";
import { SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

const NAME = `cless-apps-${OWNER}`;
const TEMPLATE = `${NAME}-template`;
const FIRST = `cless-${OWNER}-${SHARED.name}-s0`;

/** The network of two nodes of a Swarm, as the cless of each has it. */
class Rig {
  readonly clock = new FakeClock();
  readonly swarm = new FakeSwarm(this.clock, ["node1", "node2"]);
  readonly nodes = ["node1", "node2"].map((id) => new FakeNode(this.swarm, id));
  readonly networks = this.nodes.map((node) =>
    new AppNetwork(node, this.swarm.api(node.nodeId), OWNER, this.clock)
  ) as [AppNetwork, AppNetwork];

  get templates(): string[][] {
    return this.nodes.map(({ templates }) => [...templates]);
  }
}

Deno.test("each node gets a template of the network, and the Swarm the network itself", async () => {
  const rig = new Rig();
  for (const network of rig.networks) await network.prepare();
  assertEquals(rig.templates, [[TEMPLATE], [TEMPLATE]]);
  assertEquals([...rig.swarm.networks], [[NAME, TEMPLATE]]);
  for (const network of rig.networks) await network.prepare(); // again after a restart
  assertEquals([...rig.swarm.networks], [[NAME, TEMPLATE]]);
});

Deno.test("the last cless removes the network, and each one the template of its node", async () => {
  const rig = new Rig();
  for (const network of rig.networks) await network.prepare();
  await rig.networks[0].remove(false);
  assertEquals(rig.templates, [[], [TEMPLATE]]);
  assertEquals([...rig.swarm.networks.keys()], [NAME]);
  await rig.networks[1].remove(true);
  assertEquals(rig.templates, [[], []]);
  assertEquals([...rig.swarm.networks.keys()], []);
  await rig.networks[1].remove(true); // somebody has removed it already
});

Deno.test("the last cless waits until its node has let go of the network, but not for ever", async () => {
  const rig = new Rig();
  await rig.networks[0].prepare();
  rig.nodes[0]!.isNetworkUsed = true;
  const removed = rig.networks[0].remove(true);
  await rig.clock.advance(2000);
  rig.nodes[0]!.isNetworkUsed = false;
  await rig.clock.until(removed);
  assertEquals(rig.templates, [[], []]);

  await rig.networks[0].prepare();
  rig.nodes[0]!.isNetworkUsed = true;
  const left = rig.networks[0].remove(true);
  await rig.clock.advance(10_000);
  await left;
  assertEquals(rig.templates, [[TEMPLATE], []]);
  assertEquals(rig.clock.timers, 0);
});

Deno.test("while others use instances on a node, its template stays, and its cless does not wait", async () => {
  const rig = new Rig();
  await rig.networks[0].prepare();
  rig.nodes[0]!.isNetworkUsed = true;
  await rig.networks[0].remove(false);
  assertEquals(rig.templates, [[TEMPLATE], []]);
});

/** A test with so many cless on one Swarm, each on its own node. */
function clusterTest(name: string, count: number, fn: (cluster: SwarmCluster) => Promise<void>): void {
  Deno.test({ name, ignore: noRun }, async () => {
    await using cluster = await SwarmCluster.start(count);
    await fn(cluster);
  });
}

clusterTest("instances are on the network of their owner", 1, async ({ all: [one], clock, swarm }) => {
  await clock.until(one!.engine.launcher.launch({ id: FIRST, revision: SHARED }));
  const { TaskTemplate } = swarm.body(FIRST) as { TaskTemplate: { Networks: unknown } };
  assertEquals(TaskTemplate.Networks, [{ Target: NAME }]);
});

clusterTest("a network that somebody has removed is made again by the next start", 1, async (cluster) => {
  const { all: [one], clock, swarm } = cluster;
  swarm.networks.clear();
  await clock.until(one!.engine.launcher.launch({ id: FIRST, revision: SHARED }));
  assertEquals([...swarm.networks.keys()], [NAME]);
});

clusterTest("where no cless is, no instance starts: after one try, others are placed elsewhere", 1, async (cluster) => {
  const { all: [one], clock, swarm } = cluster;
  cluster.dead.add("node2").add("node3");
  for (const id of ["node2", "node3"]) {
    swarm.addNode(id);
    swarm.unprepared.add(id);
  }
  swarm.preferred = "node2";
  const { launcher } = one!.engine;
  const { origin } = await clock.until(launcher.launch({ id: FIRST, revision: SHARED }));
  assert(origin.startsWith("http://10.0.0.1:"), origin);
  assertEquals(swarm.changes, [`create service ${FIRST}`, `remove service ${FIRST}`, `create service ${FIRST}`]);
  const second = FIRST.replace("-s0", "-s1");
  await clock.until(launcher.launch({ id: second, revision: SHARED }));
  assertEquals(swarm.changes.slice(3), [`create service ${second}`]);

  // Its cless has started.
  cluster.dead.delete("node2");
  swarm.unprepared.delete("node2");
  const third = FIRST.replace("-s0", "-s2");
  assert((await clock.until(launcher.launch({ id: third, revision: SHARED }))).origin.startsWith("http://10.0.0.2:"));
});

clusterTest("an instance that can only start where no cless is fails, and says why", 1, async (cluster) => {
  const { all: [one], clock, swarm } = cluster;
  cluster.dead.add("node2");
  swarm.addNode("node2");
  swarm.unprepared.add("node2");
  const revision = {
    ...SHARED,
    placement: { node: "host-node2" },
    volumes: [{ source: "data", path: "/d", readOnly: false }],
  };
  const { launcher } = one!.engine;
  const launched = () => clock.until(launcher.launch({ id: FIRST, revision }));
  await assertRejects(launched, Error, "the node node2 lacks the network of instances");
  assertEquals(swarm.tasks, []);
});
