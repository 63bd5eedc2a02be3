import { assertEquals, assertRejects } from "@std/assert";
import { Sequence } from "../../../src/docker/network/addresses.ts";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import { ImageNodes } from "../../../src/docker/swarm/image_nodes.ts";
import type { TaskEngine } from "../../../src/docker/swarm/task_engine.ts";
import type { NodePeers } from "../../../src/docker/swarm/instance_messages.ts";
import { SwarmLauncher, type SwarmLauncherParts } from "../../../src/docker/swarm/swarm_launcher.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";
import { volumeNodesOf } from "../../support/volume_nodes.ts";
import { OWNER, REVISION } from "../launcher_kit.ts";

/** A launcher on the only node of a Swarm. */
class Rig {
  readonly clock = new FakeClock();
  readonly swarm = new FakeSwarm(this.clock);
  readonly ports = new Sequence(61_000, 61_004);
  readonly launcher: SwarmLauncher;

  constructor() {
    const swarm = this.swarm.api("node1");
    const peers: NodePeers = {
      live: ["node1"],
      ask: () => Promise.reject(new Error("there is no other cless")),
      noteNodes() {},
    };
    // Of what is done with containers that run, a start needs no more than this.
    const containers = { outputs: { started() {} }, volumeAccess: { check() {} } };
    const engine = { image: () => Promise.resolve({}) };
    this.launcher = new SwarmLauncher(
      {
        ...{ swarm, peers, containers, engine, ports: this.ports, owner: OWNER, clock: this.clock },
        ...{
          homes: new Homes("node1", peers),
          volumes: volumeNodesOf(swarm, OWNER, "node1"),
          images: new ImageNodes("node1", engine as unknown as TaskEngine, peers),
          logins: { headerFor: () => Promise.resolve(undefined) },
          drainTimeoutMs: 0,
          defaults: {},
        },
      } as unknown as SwarmLauncherParts,
    );
  }

  /** Starts an instance in a slot. */
  async launch(slot: number): Promise<string> {
    const revision: Revision = { ...REVISION, maxInstances: 10 };
    const launched = this.launcher.launch({ id: `cless-${revision.name}-s${slot}`, revision });
    launched.catch(() => {});
    await this.clock.advance(1000);
    return (await launched).origin;
  }
}

Deno.test("each instance gets the next port of the range, and one comes again after all others", async () => {
  const rig = new Rig();
  const origins = [];
  for (let slot = 0; slot < 5; slot++) origins.push(await rig.launch(slot));
  assertEquals(origins, [0, 1, 2, 3, 4].map((port) => `http://10.0.0.1:6100${port}`));
  await rig.swarm.api("node1").removeService(`cless-${REVISION.name}-s0`);
  assertEquals(await rig.launch(5), "http://10.0.0.1:61000");
});

Deno.test("an instance whose port another task has gets another one", async () => {
  const rig = new Rig();
  assertEquals(await rig.launch(0), "http://10.0.0.1:61000");
  rig.ports.skipTo(61_000);
  assertEquals(await rig.launch(1), "http://10.0.0.1:61001");
});

for (
  const error of [
    "starting container failed: driver failed programming external connectivity on endpoint app.1.abc: " +
    "Bind for 0.0.0.0:61000 failed: port is already allocated",
    "starting container failed: driver failed programming external connectivity on endpoint app.1.abc: " +
    "Error starting userland proxy: listen tcp4 0.0.0.0:61000: bind: address already in use",
  ]
) {
  Deno.test(`an instance whose port the node has for another program gets another one: ${error.slice(-26)}`, async () => {
    const rig = new Rig();
    rig.swarm.refusal = { state: "failed", error, exitCode: 128 };
    const launched = rig.launch(0);
    while (rig.swarm.tasks[0]?.state !== "failed") await Promise.resolve();
    rig.swarm.refusal = undefined;
    assertEquals(await launched, "http://10.0.0.1:61001");
  });
}

Deno.test("where every port is taken, the start fails with the reason, and leaves nothing behind", async () => {
  const rig = new Rig();
  for (let slot = 0; slot < 5; slot++) await rig.launch(slot);
  await assertRejects(() => rig.launch(5), Error, "host-mode port already in use");
  assertEquals(rig.swarm.tasks.length, 5);
});

Deno.test("a successor goes on with the next port", () => {
  const rig = new Rig();
  rig.launcher.continueFrom({ address: undefined, port: 61_003 });
  assertEquals(rig.launcher.position, { address: undefined, port: 61_003 });
});
