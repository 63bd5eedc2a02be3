import { assertEquals } from "@std/assert";
import type { Lease } from "../../../src/pool/instance.ts";
import { settle } from "../../support/fake_clock.ts";
import { never } from "../../support/kit.ts";
import { noRun } from "../../support/permissions.ts";
import { type FakeSharingCless, SHARED, SwarmCluster } from "../../support/swarm_cluster.ts";

/** Claims as many slots as there are. */
function claimAll({ pool }: FakeSharingCless): Lease[] {
  const leases: Lease[] = [];
  for (let lease = pool.claim(); lease !== undefined; lease = pool.claim()) leases.push(lease);
  return leases;
}

Deno.test(
  { name: "all cless together send an instance as many requests as its concurrency", ignore: noRun },
  async () => {
    await using cluster = await SwarmCluster.start(3, { ...SHARED, concurrency: 8 });
    const { all, clock } = cluster;
    await all[0]!.serve();
    for (const cless of all) await cless.serve();
    const leases = all.map(claimAll);
    assertEquals(leases.map(({ length }) => length).toSorted(), [2, 3, 3]);
    assertEquals(cluster.swarm.changes.length, 1);

    // When one has gone, the others serve what waits with its share, once they know.
    const [one, two, three] = all;
    const granted: Lease[] = [];
    for (const { pool } of [one!, two!]) {
      for (let n = 0; n < 2; n++) pool.hold(never()).then(({ lease }) => void granted.push(lease));
    }
    await settle();
    const before = leases[0]!.length + leases[1]!.length;
    cluster.dead.add(three!.nodeId);
    for (const { pool } of [one!, two!]) pool.look();
    await settle();
    assertEquals(before + granted.length, 8);
    for (const lease of [...leases.flat(), ...granted]) lease.release();
    await clock.advance(1000);
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
  assertEquals(all.map(({ pool }) => pool.waiting), [2, 2]);
  while (granted.length > 0) granted.shift()!.release();
  await clock.advance(1000);
  assertEquals(all.map(({ pool }) => pool.waiting), [0, 0]);
  for (const lease of granted) lease.release();
});
