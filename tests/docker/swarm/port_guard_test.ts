import { assertEquals, assertRejects } from "@std/assert";
import { EngineError } from "../../../src/docker/engine_error.ts";
import type { Admission } from "../../../src/docker/swarm/node_wall.ts";
import { PortGuard } from "../../../src/docker/swarm/port_guard.ts";
import type { SwarmNode } from "../../../src/docker/swarm/swarm_api.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const PORTS = { first: 20_000, last: 29_999 };

/** A guard of a node whose Swarm and firewall are made up. */
class Rig {
  readonly clock = new FakeClock();
  /** What was done with the rules: the nodes that were admitted, or a word. */
  readonly done: string[] = [];
  addresses: (string | undefined)[] = ["10.0.0.2", "10.0.0.1"];
  hasQuorum = true;
  refuses = false;
  readonly guard = new PortGuard(
    {
      admit: ({ nodes, ports }: Admission) => {
        assertEquals(ports[0], PORTS);
        if (this.refuses) return Promise.reject(new Error("no"));
        this.done.push([...nodes, ...ports.slice(1).map(({ first, last }) => `${first}:${last}`)].join(" "));
        return Promise.resolve();
      },
      repair: () => Promise.resolve(void this.done.push("repair")),
      remove: () => Promise.resolve(void this.done.push("remove")),
    },
    {
      nodes: () =>
        this.hasQuorum
          ? Promise.resolve(this.addresses.map((address = "") => ({ address }) as SwarmNode))
          : Promise.reject(new EngineError("away", "The swarm does not have a leader")),
    },
    PORTS,
    this.clock,
  );

  /** What was done since it was asked last. */
  async since(): Promise<string[]> {
    await this.clock.advance(0);
    return this.done.splice(0);
  }
}

Deno.test("the nodes of the Swarm are admitted from the start on, and as they come and go", async () => {
  const rig = new Rig();
  await rig.guard.start();
  assertEquals(await rig.since(), ["10.0.0.1 10.0.0.2"]);
  rig.addresses = ["10.0.0.2", "10.0.0.3", undefined]; // one that Swarm does not know yet
  rig.guard.changed();
  assertEquals(await rig.since(), ["repair", "10.0.0.2 10.0.0.3"]);
  await rig.guard.stop();
  assertEquals(await rig.since(), ["remove"]);
  assertEquals(rig.clock.timers, 0);
});

Deno.test("the rules are not touched when nodes change in another way", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  rig.addresses.reverse();
  rig.guard.changed();
  assertEquals(await rig.since(), ["repair"]);
  await rig.guard.stop();
});

Deno.test("changes that come while the rules are changed are one more change", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  for (const last of [3, 4, 5]) {
    rig.addresses = [`10.0.0.${last}`];
    rig.guard.changed();
  }
  assertEquals(await rig.since(), ["repair", "10.0.0.5"]);
  await rig.guard.stop();
});

Deno.test("nodes that cannot be listed stay admitted, and are listed again later", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  rig.hasQuorum = false;
  rig.addresses = ["10.0.0.9"];
  rig.guard.changed();
  assertEquals(await rig.since(), ["repair"]);
  rig.hasQuorum = true;
  await rig.clock.advance(60_000);
  assertEquals(await rig.since(), ["repair", "10.0.0.9"]);
  await rig.guard.leave();
  assertEquals(await rig.since(), []);
});

Deno.test("rules are repaired every minute", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  await rig.clock.advance(120_000);
  assertEquals(await rig.since(), ["repair", "repair"]);
  await rig.guard.stop();
});

Deno.test("another port is closed beside those of instances, and stays so as nodes come and go", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  await rig.guard.close(1324);
  assertEquals(await rig.since(), ["repair", "10.0.0.1 10.0.0.2 1324:1324"]);
  rig.addresses = ["10.0.0.3"];
  rig.guard.changed();
  assertEquals(await rig.since(), ["repair", "10.0.0.3 1324:1324"]);
  await rig.guard.stop();
});

Deno.test("a port that is closed while nodes come is closed with them", async () => {
  const rig = new Rig();
  await rig.guard.start();
  await rig.since();
  rig.addresses = ["10.0.0.3"];
  rig.guard.changed();
  await rig.guard.close(1324);
  assertEquals(rig.done.at(-1), "10.0.0.3 1324:1324");
  await rig.guard.stop();
});

Deno.test("no port is closed where those of instances are open", async () => {
  const rig = new Rig();
  await rig.guard.close(1324);
  assertEquals(await rig.since(), []);
});

Deno.test("where the ports cannot be closed at the start, it fails", async () => {
  const rig = new Rig();
  rig.refuses = true;
  await assertRejects(() => rig.guard.start(), Error, "no");
  rig.refuses = false;
  rig.guard.changed();
  assertEquals(await rig.since(), []); // nothing happens unless it is started again
  assertEquals(rig.clock.timers, 0);
});
