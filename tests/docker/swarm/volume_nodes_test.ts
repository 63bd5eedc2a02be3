import { assertEquals, assertRejects } from "@std/assert";
import type { VolumeNodes } from "../../../src/docker/swarm/volume_nodes.ts";
import { VolumeRecords } from "../../../src/docker/swarm/volume_records.ts";
import type { NodeRules } from "../../../src/model/node_rules.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { VolumeAway } from "../../../src/pool/launcher.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";
import { type FakeMachine, volumeNodesOf } from "../../support/volume_nodes.ts";
import { OWNER, REVISION } from "../launcher_kit.ts";

/** Three machines of a Swarm, each with a cless, as the cless on one of them sees them. */
class Rig {
  readonly swarm = new FakeSwarm(new FakeClock(), ["node1", "node2", "node3"]);
  readonly machines = new Map<string, FakeMachine>();
  /** Wall-clock time, ms since 1970. */
  nowMs = 1_000_000;

  constructor() {
    for (const n of [1, 2, 3]) this.machines.set(`node${n}`, { engine: `engine${n}`, has: new Set() });
  }

  /** The names of what the engine of a node has. */
  has(nodeId: string): Set<string> {
    return this.machines.get(nodeId)!.has;
  }

  /** The knowledge of a cless that has just been started. */
  newCless(nodeId = "node1"): VolumeNodes {
    return volumeNodesOf(this.swarm.api(nodeId), OWNER, nodeId, this.machines, () => this.nowMs);
  }

  /**
   * The node on which an instance would run, for a cless that has just been started. Swarm makes the volume there.
   *
   * @param best The node that is taken if none has the volume.
   */
  async start(sources: string, best = "node1", rules: NodeRules = {}, cless = this.newCless()): Promise<string> {
    const volumes = sources.split(" ").map((source) => ({ source, path: `/${source}`, readOnly: false }));
    const revision: Revision = { ...REVISION, service: "app", placement: rules, volumes };
    const node = await cless.nodeOf(revision, this.swarm.nodes, best);
    for (const { source } of volumes) this.has(node!).add(source);
    return node!;
  }

  /** A machine leaves the Swarm, and joins it again as another node. Swarm still lists the one that it was. */
  joinAgain(nodeId: string, next: string): void {
    const machine = this.machines.get(nodeId)!;
    const { hostname } = this.swarm.nodes.find(({ id }) => id === nodeId)!;
    this.swarm.setNode(nodeId, { isReady: false });
    this.machines.delete(nodeId);
    this.swarm.addNode(next, { hostname });
    this.machines.set(next, machine);
  }

  /** A machine is gone for good. */
  lose(nodeId: string): void {
    this.swarm.removeNode(nodeId);
    this.machines.delete(nodeId);
  }
}

async function lost(started: Promise<unknown>, message: string): Promise<boolean> {
  const { isLost } = await assertRejects(() => started, VolumeAway, message);
  return isLost;
}

Deno.test("the first start with a volume decides where it is, for all cless and for those that are started later", async () => {
  const rig = new Rig();
  assertEquals(await rig.start("data", "node2"), "node2");
  assertEquals(await rig.start("data", "node1"), "node2");
  assertEquals(await rig.start("data", "node3", {}, rig.newCless("node3")), "node2");
});

Deno.test("a volume that a machine has already is used there", async () => {
  const rig = new Rig();
  rig.has("node3").add("data");
  assertEquals(await rig.start("data", "node1"), "node3");
});

Deno.test("if two machines have a volume of a name, the operator names the right one", async () => {
  const rig = new Rig();
  for (const node of ["node2", "node3"]) rig.has(node).add("data");
  const message = "the machines host-node2 and host-node3 each have a volume data: name the right one";
  await assertRejects(() => rig.start("data"), Error, message);
  assertEquals(await rig.start("data", "node1", { node: "host-node3" }), "node3");
  assertEquals(await rig.start("data"), "node3");
});

Deno.test("a volume is not begun anew while a cless that may have it does not answer", async () => {
  const rig = new Rig();
  rig.machines.get("node2")!.isSilent = true;
  assertEquals(await lost(rig.start("data"), "the cless of host-node2 does not answer"), false);
  rig.machines.get("node2")!.isSilent = false;
  assertEquals(await rig.start("data"), "node1");
});

Deno.test("a volume is not begun anew while a machine that may have it is down, or has no cless", async () => {
  const rig = new Rig();
  rig.machines.delete("node2"); // its cless is stopped for an update, say
  rig.machines.delete("node3");
  rig.swarm.setNode("node3", { isReady: false, changedAt: rig.nowMs });
  const message =
    "whether host-node2 (on which no cless runs) and host-node3 (which is down) have the volume data is " +
    "not known: start them, or name the machine that has it, or is to get it: cless deploy app --node MACHINE";
  assertEquals(await lost(rig.start("data"), message), false);
  rig.nowMs += REVISION.startTimeoutMs + 1;
  assertEquals(await lost(rig.start("data"), message), true);
  assertEquals(await rig.start("data", "node1", { node: "host-node1" }), "node1");
  assertEquals(await rig.start("data", "node1"), "node1");

  rig.has("node1").add("other"); // what is found is used
  assertEquals(await rig.start("other", "node1"), "node1");
  rig.swarm.removeNode("node3");
  const remaining = "whether host-node2 (on which no cless runs) has the volume more is not known: start it, or";
  assertEquals(await lost(rig.start("more"), remaining), false);
  rig.machines.set("node2", { engine: "engine2", has: new Set(["more"]) });
  assertEquals(await rig.start("more"), "node2");
});

Deno.test("a node that is down since its machine has joined again does not keep volumes from being made", async () => {
  const rig = new Rig();
  const { address, hostname } = rig.swarm.nodes[1]!;
  rig.machines.delete("node2");
  rig.swarm.setNode("node2", { isReady: false });
  await lost(rig.start("data"), "whether host-node2 (which is down) has the volume data is not known");
  rig.swarm.addNode("node4", { address, hostname });
  rig.machines.set("node4", { engine: "engine2", has: new Set() });
  assertEquals(await rig.start("data"), "node1");
});

Deno.test("of two that start first with a volume at once, both use it on one machine", async () => {
  const rig = new Rig();
  const [one, two] = [rig.newCless("node1"), rig.newCless("node2")];
  const [first, second] = await Promise.all([rig.start("data", "node1", {}, one), rig.start("data", "node2", {}, two)]);
  assertEquals(first, second);
});

Deno.test("while the machine of a volume is down, it is away, and after a time somebody has to do something", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  rig.swarm.setNode("node2", { isReady: false, changedAt: rig.nowMs });
  const message =
    "the volume data is on the machine host-node2 (node2), which is down since 1970-01-01T00:16:40Z: start it";
  assertEquals(await lost(rig.start("data"), message), false);
  rig.nowMs += REVISION.startTimeoutMs + 1;
  assertEquals(await lost(rig.start("data"), message), true);
  rig.swarm.setNode("node2", { isReady: true });
  assertEquals(await rig.start("data"), "node2");
});

Deno.test("a volume whose machine was removed from the Swarm is lost, and is not begun anew elsewhere", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  rig.lose("node2");
  const message =
    "the volume data is on the machine host-node2 (node2), which is not in the Swarm: let it join again, or";
  assertEquals(await lost(rig.start("data"), message), true);
  rig.has("node3").add("data"); // restored from a backup, or an old copy: nobody but the operator knows
  assertEquals(await lost(rig.start("data"), message), true);
  assertEquals(await rig.start("data", "node1", { node: "host-node3" }), "node3");
  assertEquals(await rig.start("data"), "node3");
});

Deno.test("the operator cannot name a machine without the volume, unless no machine has it", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  const named = () => rig.start("data", "node1", { node: "host-node3" });
  const message =
    "the volume data is on host-node2, and placement names host-node3, which does not have it: docker volume " +
    "create data on host-node3";
  await assertRejects(named, Error, message);
  rig.swarm.setNode("node2", { isReady: false });
  rig.machines.get("node2")!.isSilent = true;
  await assertRejects(named, Error, message);
  rig.swarm.setNode("node2", { isReady: true });
  rig.machines.get("node2")!.isSilent = false;
  rig.has("node2").delete("data"); // its first start there has failed, say
  assertEquals(await named(), "node3");
});

Deno.test("a machine that joins the Swarm again is found by its engine, and its former node runs nothing", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  rig.has("node3").add("data"); // another one of the same name
  rig.joinAgain("node2", "node4");
  const cless = rig.newCless();
  assertEquals((await cless.nodes()).map(({ id }) => id), ["node1", "node2", "node3", "node4"]);
  assertEquals(await rig.start("data", "node1", {}, cless), "node4");
  assertEquals((await cless.nodes()).map(({ id }) => id), ["node1", "node3", "node4"]);
  rig.joinAgain("node4", "node5");
  const later = rig.newCless("node3");
  assertEquals(await rig.start("data", "node1", { node: "host-node2" }, later), "node5");
  assertEquals((await later.nodes()).map(({ id }) => id), ["node1", "node3", "node5"]);
});

Deno.test("a machine that joins the Swarm again without the volume does not get an empty one", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  rig.joinAgain("node2", "node4");
  rig.has("node4").clear();
  assertEquals(await lost(rig.start("data"), "the machine host-node2 has joined again without the volume data"), true);
  rig.has("node4").add("data");
  assertEquals(await rig.start("data"), "node4");
});

Deno.test("a machine that takes no instances, or that placement does not admit, is told as what it is", async () => {
  const rig = new Rig();
  await rig.start("data", "node2");
  const message = "on the machine host-node2, which placement does not admit";
  await assertRejects(() => rig.start("data", "node1", { labels: { disk: "fast" } }), Error, message);
  rig.swarm.setNode("node2", { availability: "drain" });
  const drained =
    "(node2), which takes no instances while it is drained: docker node update --availability active host-node2";
  assertEquals(await lost(rig.start("data"), drained), true);
});

Deno.test("the volumes of a service are on one machine", async () => {
  const rig = new Rig();
  assertEquals(await rig.start("data logs", "node2"), "node2");
  assertEquals(await rig.start("more data", "node1"), "node2");
  rig.has("node3").add("old");
  const message = "its volumes are on different machines: data on host-node2, old on host-node3";
  await assertRejects(() => rig.start("data old"), Error, message);
});

Deno.test("a folder is used where the cless of that machine allows it, and only while it does", async () => {
  const rig = new Rig();
  await assertRejects(() => rig.start("/srv/data"), Error, "on host-node1, it is not there; make it first");
  rig.has("node2").add("/srv/data");
  assertEquals(await rig.start("/srv/data", "node1"), "node2");
  rig.has("node2").clear();
  const message = "on the machine host-node2, the volume /srv/data is not there; make it first";
  await assertRejects(() => rig.start("/srv/data"), Error, message);
  rig.has("node3").add("/srv/data");
  await assertRejects(() => rig.start("/srv/data"), Error, message);
  assertEquals(await rig.start("/srv/data", "node1", { node: "host-node3" }), "node3");
  rig.machines.delete("node3"); // its cless has ended
  await assertRejects(() => rig.start("/srv/data"), Error, "since no cless runs there");
});

Deno.test("a volume from before the Swarm is used where it is, and is not begun anew if no machine has it", async () => {
  const rig = new Rig();
  const unknown = { nodeId: "", hostname: "", engineId: "", former: [] };
  await new VolumeRecords(rig.swarm.api("node1"), OWNER).write("data", unknown);
  const message = "the volume data was in use before, and no machine of the Swarm has it: let the one that has it join";
  assertEquals(await lost(rig.start("data"), message), true);
  await assertRejects(() => rig.start("data", "node1", { node: "host-node3" }), Error, "which does not have it");
  rig.has("node2").add("data");
  assertEquals(await rig.start("data"), "node2");
  rig.has("node2").delete("data");
  assertEquals(await rig.start("data"), "node2");
});

Deno.test("operators see where the volumes are, and what is wrong", async () => {
  const rig = new Rig();
  const cless = rig.newCless();
  const volumes = ["data", "other"].map((source) => ({ source, path: "/data", readOnly: false }));
  assertEquals(await cless.seen("app", volumes), []);
  await rig.start("data", "node2");
  assertEquals(await cless.seen("app", volumes), [{ source: "data", node: "host-node2" }]);
  rig.lose("node2");
  assertEquals(await cless.seen("app", volumes), [{
    ...{ source: "data", node: "host-node2" },
    problem:
      "the volume data is on the machine host-node2 (node2), which is not in the Swarm: let it join again, or bring " +
      "its data to another machine, and name that one: cless deploy app --node MACHINE",
  }]);
});
