import { assertEquals } from "@std/assert";
import { SwarmRegistrations } from "../../../src/docker/swarm/registrations.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeSwarm } from "../../support/fake_swarm.ts";

const OWNER = "0a1b2c3d";
const FACTS = { nodeId: "node1", address: "10.0.0.1:1324", version: "1.0.0" };
const NAME = `cless-${OWNER}-node-node1`;

function made(): { swarm: FakeSwarm; registrations: SwarmRegistrations } {
  const swarm = new FakeSwarm(new FakeClock());
  return { swarm, registrations: new SwarmRegistrations(swarm.api("node1"), OWNER, () => 12) };
}

Deno.test("a registration is a config with all that is known in its labels", async () => {
  const { registrations, swarm } = made();
  await registrations.put(FACTS);
  assertEquals(swarm.configs.get(NAME)?.labels, {
    "cless.owner": OWNER,
    "cless.kind": "node",
    "cless.node": "node1",
    "cless.address": "10.0.0.1:1324",
    "cless.version": "1.0.0",
    "cless.seen": "12",
  });
  const [{ revision, seenAt, ...facts }] = await registrations.list() as [
    Awaited<ReturnType<typeof registrations.list>>[0],
  ];
  assertEquals([facts, seenAt], [FACTS, 12]);
  await registrations.put(FACTS);
  assertEquals((await registrations.list())[0]?.revision === revision, false);
});

Deno.test("a registration of an earlier process is taken over, also when another change came first", async () => {
  const { registrations, swarm } = made();
  await registrations.put(FACTS);
  const other = new SwarmRegistrations(swarm.api("node1"), OWNER);
  await other.put({ ...FACTS, address: "10.0.0.1:1" });
  await registrations.list();
  await other.put({ ...FACTS, address: "10.0.0.1:2" }); // what was listed is stale now
  await registrations.put({ ...FACTS, address: "10.0.0.1:3" });
  assertEquals((await registrations.list()).map(({ address }) => address), ["10.0.0.1:3"]);
});

Deno.test("a renewal after a reading is one call, which changes one config", async () => {
  const { registrations, swarm } = made();
  await registrations.put(FACTS);
  await registrations.list();
  swarm.changes.length = 0;
  await registrations.put(FACTS);
  assertEquals(swarm.changes, [`label config ${NAME}`]);
});

Deno.test("a registration that was removed since it was read is made again", async () => {
  const { registrations, swarm } = made();
  await registrations.put(FACTS);
  await registrations.list();
  await swarm.api("node1").removeConfig(NAME);
  await registrations.put(FACTS);
  assertEquals((await registrations.list()).length, 1);
  await registrations.remove("node1");
  await registrations.remove("node1");
  assertEquals(await registrations.list(), []);
});
