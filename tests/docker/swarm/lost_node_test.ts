import { assertEquals } from "@std/assert";
import { Sequence } from "../../../src/docker/network/addresses.ts";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import type { Peers } from "../../../src/docker/swarm/peers.ts";
import { SwarmLauncher, type SwarmLauncherParts } from "../../../src/docker/swarm/swarm_launcher.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";
import { OWNER } from "../launcher_kit.ts";

Deno.test("the instances of a lost node have ended, and nobody waits for the cless there", async () => {
  const swarm = new FakeSwarm(new FakeClock(), ["node1", "node2"]);
  const asked: string[] = [];
  const peers: Peers = {
    live: ["node1", "node2"], // the registration of the lost one has not run out
    ask: (nodeId) => {
      asked.push(nodeId);
      return nodeId === "node2" ? new Promise(() => {}) : Promise.resolve({ ok: true });
    },
  };
  const containers = {
    all: () => Promise.resolve([]),
    findFrozen: () => Promise.resolve(),
    isStuck: () => false,
    outputs: { started() {} },
  };
  const launcher = new SwarmLauncher(
    {
      ...{ swarm: swarm.api("node1"), peers, containers, owner: OWNER, ports: new Sequence(61_000, 65_535) },
      ...{ homes: new Homes("node1", peers), clock: new FakeClock() },
    } as unknown as SwarmLauncherParts,
  );
  await swarm.api("node1").createService({
    Name: "cless-app-00001-s0",
    Labels: { "cless.owner": OWNER, "cless.service": "app", "cless.revision": "app-00001", "cless.image": "sha256:1" },
    TaskTemplate: { Placement: { Constraints: ["node.id==node2"] }, ContainerSpec: { Image: "app" } },
  });
  swarm.setNode("node2", { isReady: false });
  const [instance] = await launcher.list();
  assertEquals([instance?.id, instance?.state, asked], ["cless-app-00001-s0", "ended", []]);
});
