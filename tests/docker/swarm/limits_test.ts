import { assert, assertEquals } from "@std/assert";
import type { Lease } from "../../../src/pool/instance.ts";
import { never } from "../../support/kit.ts";
import { noRun } from "../../support/permissions.ts";
import { type FakeSharingCless, SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

/** Has so many requests wait for slots. Resolves with those that get one, once all have that can. */
async function ask(cluster: SwarmCluster, { pool }: FakeSharingCless, count: number): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (let n = 0; n < count; n++) pool.hold(never()).then(({ lease }) => void leases.push(lease));
  await cluster.clock.advance(1);
  return leases;
}

Deno.test(
  { name: "all cless together send an instance as many requests as its concurrency", ignore: noRun },
  async () => {
    await using cluster = await SwarmCluster.start(3, { ...SHARED, concurrency: 8 });
    const { all, clock, swarm } = cluster;
    const [one, two, three] = all as [FakeSharingCless, FakeSharingCless, FakeSharingCless];
    await one.serve();
    const leases = [await ask(cluster, one, 8), await ask(cluster, two, 8), await ask(cluster, three, 8)];
    const counts = () => leases.map(({ length }) => length);
    assertEquals([counts(), swarm.changes.length], [[8, 0, 0], 1]);

    // As requests end, whoever has the fewest gets the next slots.
    for (const lease of leases[0]!.splice(0)) lease.release();
    await clock.advance(2000);
    assertEquals(counts().reduce((sum, count) => sum + count), 8);
    while (leases.some(({ length }) => length > 0)) {
      for (const held of leases) held.shift()?.release();
      await clock.advance(100);
      assert(counts().reduce((sum, count) => sum + count) <= 8, counts().join());
    }
    assertEquals(all.map(({ pool }) => pool.waiting), [0, 0, 0]);
    assertEquals(swarm.changes.length, 1);
  },
);

Deno.test(
  { name: "the slots of a cless that has gone are free for the others", ignore: noRun },
  async () => {
    await using cluster = await SwarmCluster.start(3, { ...SHARED, concurrency: 2 });
    const [one, two, three] = cluster.all as [FakeSharingCless, FakeSharingCless, FakeSharingCless];
    await one.serve();
    const taken = await ask(cluster, three, 2);
    const waiting = await ask(cluster, two, 2);
    assertEquals([taken.length, waiting.length], [2, 0]);
    cluster.cut.add(three.nodeId);
    await cluster.clock.advance(10_000);
    assertEquals(waiting.length, 0); // it may live
    cluster.die(three.nodeId);
    await cluster.clock.advance(1000);
    assertEquals(waiting.length, 2);
    for (const lease of [...taken, ...waiting]) lease.release();
    await cluster.clock.advance(1000);
  },
);

Deno.test({ name: "all cless together start no more than maxInstances instances", ignore: noRun }, async () => {
  await using cluster = await SwarmCluster.start(2, { ...SHARED, concurrency: 2, maxInstances: 3 });
  const { all, clock, swarm } = cluster;
  const granted: Lease[] = [];
  for (const { pool } of all) {
    for (let n = 0; n < 5; n++) pool.hold(never()).then(({ lease }) => void granted.push(lease), () => {});
  }
  await clock.advance(5000);
  assertEquals([swarm.tasks.length, granted.length], [3, 6]);
  assertEquals(all.reduce((sum, { pool }) => sum + pool.waiting, 0), 4);
  while (granted.length > 0) granted.shift()!.release();
  await clock.advance(1000);
  assertEquals(all.map(({ pool }) => pool.waiting), [0, 0]);
  for (const lease of granted) lease.release();
});
