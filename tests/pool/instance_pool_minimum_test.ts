import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { Service } from "../../src/routing/service.ts";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision } from "../support/kit.ts";

const KEPT: Revision = {
  ...newRevision(),
  minInstances: 2,
  maxInstances: 3,
  concurrency: 1,
  pauseAfter: 10_000,
  stopAfter: 60_000,
};

/** A pool that has its smallest number of instances, unless starts fail. */
async function newKept(revision: Partial<Revision> = {}) {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const pool = kit.newPool({ ...KEPT, ...revision });
  pool.keepMinimum();
  await settle();
  return { kit, pool, running: () => [...kit.launcher.containers.values()].map(({ id, state }) => `${id} ${state}`) };
}

Deno.test("the smallest number is started unasked, and neither paused nor stopped", async () => {
  const { kit, pool, running } = await newKept();
  for (let n = 0; n < 300; n++) {
    await kit.clock.advance(500);
    pool.tick(true);
  }
  assertEquals(running(), ["one running", "two running"]);
});

Deno.test("what is beyond the smallest number comes and goes", async () => {
  const { kit, pool, running } = await newKept();
  const grants = await Promise.all([1, 2, 3].map(() => pool.hold(never())));
  assertEquals(running().length, 3);
  for (const { lease } of grants) lease.release();
  await kit.clock.advance(10_000);
  pool.tick(true);
  await settle();
  assertEquals(running().filter((one) => one.endsWith("paused")).length, 1);
  await kit.clock.advance(50_000);
  pool.tick(true);
  await settle();
  assertEquals(running().map((one) => one.split(" ")[1]), ["running", "running"]);
});

Deno.test("one that dies is replaced unasked; one that keeps dying less and less often", async () => {
  const { kit, pool } = await newKept({ minInstances: 1 });
  const ages: number[] = [];
  for (let deaths = 0; deaths < 5; deaths++) {
    kit.launcher.kill(kit.launcher.called("launch").at(-1)!);
    const before = kit.launcher.called("launch").length;
    let ticks = 0;
    do {
      pool.tick(true);
      await settle();
      if (kit.launcher.called("launch").length > before) break;
      ticks++;
      await kit.clock.advance(500);
    } while (ticks < 1000);
    ages.push(ticks * 500);
  }
  assertEquals(ages, [0, 500, 1000, 2000, 4000]);
});

Deno.test("a start that fails unasked is tried again after a while", async () => {
  const { kit, pool } = await newKept({ minInstances: 0 });
  kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  const failing = kit.newPool({ ...KEPT, minInstances: 1 });
  for (let n = 0; n < 20; n++) {
    failing.tick(true);
    await kit.clock.advance(500);
  }
  assertEquals(kit.launcher.called("launch").length, 7); // after 0, 0.5, 1, 1.5, 2.5, 4.5 and 8.5 s
  assertEquals(pool.awake, false);
});

Deno.test("a pool that sleeps has no instance until somebody asks, and then its smallest number again", async () => {
  const { kit, pool, running } = await newKept();
  await pool.sleep(10_000);
  await kit.clock.advance(60_000);
  pool.tick(true);
  pool.keepMinimum();
  await settle();
  assertEquals(running(), []);
  (await pool.hold(never())).lease.release();
  pool.tick(true);
  await settle();
  assertEquals(running().length, 2);
});

Deno.test("those that were paused go on where they are to be kept up again, and none is started instead", async () => {
  const { kit, pool, running } = await newKept();
  await kit.clock.advance(10_000);
  pool.tick(false); // it gets no requests for a while
  await settle();
  assertEquals(running(), ["one paused", "two paused"]);
  pool.tick(true);
  pool.tick(true);
  await settle();
  assertEquals([running(), kit.launcher.called("resume").length], [["one running", "two running"], 2]);
});

Deno.test("one that somebody pauses goes on unasked, unless the pool is to sleep", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  kit.launcher.pause("one");
  pool.tick(true);
  await settle();
  assertEquals(running(), ["one running"]);
  const asleep = pool.sleep(10_000);
  kit.launcher.pause("one");
  pool.tick(true);
  await asleep;
  assertEquals([running(), kit.launcher.called("resume")], [[], ["one"]]);
});

Deno.test("one that should always be there is not stopped for its memory, though somebody has paused it", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  pool.tick(true);
  kit.launcher.on.resume = () => new Promise(() => {}); // it stays paused
  kit.launcher.pause("one");
  const [instance] = kit.fleet.instances();
  await pool.evict(instance!);
  assertEquals([running(), instance!.state, kit.launcher.called("remove")], [["one paused"], "paused", []]);
});

Deno.test("one that was found paused goes on unasked", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...KEPT, minInstances: 1 });
  kit.launcher.put({ id: "found", revision: pool.revision }, "paused");
  pool.adopt({ ...kit.launcher.containers.get("found")!, origin: "http://found" });
  pool.tick(true);
  await settle();
  assertEquals([kit.launcher.called("resume"), kit.launcher.called("launch")], [["found"], []]);
  assertEquals(pool.ready, true);
});

Deno.test("one that cannot go on is replaced, and no more is tried while starts fail", async () => {
  const { kit, pool } = await newKept({ minInstances: 1 });
  kit.launcher.on.resume = kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  kit.launcher.pause("one");
  for (let n = 0; n < 20; n++) {
    pool.tick(true);
    await kit.clock.advance(500);
  }
  assertEquals(kit.launcher.called("resume"), ["one"]);
  assertEquals(kit.launcher.called("launch").length, 8); // the first, and seven that failed
});

Deno.test("a revision that gets no requests any more keeps up nothing", async () => {
  const { kit, pool, running } = await newKept();
  await kit.clock.advance(60_000);
  pool.tick(false);
  await settle();
  assertEquals(running(), []);
});

Deno.test("of a paused and a running instance it is the paused one that goes", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  await Promise.all([1, 2].map(() => pool.hold(never()))).then((all) => all.forEach(({ lease }) => lease.release()));
  kit.launcher.pause("one");
  await kit.clock.advance(60_000);
  pool.tick(true);
  await settle();
  assertEquals(running(), ["two running"]);
});

Deno.test("the reconciler keeps up the pools that have a share of the requests, and not those of a tag alone", async () => {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const services = new ServiceMap({ retire: () => {} });
  const [all, tagged] = [kit.newPool(KEPT), kit.newPool(KEPT)];
  services.put(
    new Service("app", {
      shares: [{ pool: all, percent: 100 }, { pool: tagged, percent: 0, tag: "next" }],
    }),
  );
  const { launcher, fleet, clock } = kit;
  const reconciler = new Reconciler({ launcher, fleet, clock, listening: () => true, kept: () => services.kept() });
  reconciler.start();
  await clock.advance(500);
  assertEquals([all.awake, tagged.awake, fleet.instances().length], [true, false, 2]);
  reconciler.stop();
});
