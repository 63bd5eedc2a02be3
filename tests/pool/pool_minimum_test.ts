import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { Service } from "../../src/routing/service.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision } from "../support/kit.ts";

const KEPT: Revision = {
  ...newRevision(),
  minInstances: 2,
  maxInstances: 3,
  concurrency: 1,
  pauseAfterMs: 10_000,
  stopAfterMs: 60_000,
};

/** A pool that has its smallest number of instances, unless starts fail. */
async function newKept(revision: Partial<Revision> = {}) {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const pool = kit.newPool({ ...KEPT, ...revision });
  pool.keep(true);
  await settle();
  return { kit, pool, running: () => [...kit.launcher.containers.values()].map(({ id, state }) => `${id} ${state}`) };
}

Deno.test("the minimum is started without a request, and neither paused nor stopped", async () => {
  const { kit, running } = await newKept();
  await kit.clock.advance(150_000);
  assertEquals(running(), ["one running", "two running"]);
});

Deno.test("instances beyond the minimum start and stop with the demand", async () => {
  const { kit, pool, running } = await newKept();
  const grants = await Promise.all([1, 2, 3].map(() => pool.hold(never())));
  assertEquals(running().length, 3);
  for (const { lease } of grants) lease.release();
  await kit.clock.advance(10_000);
  await settle();
  assertEquals(running().filter((one) => one.endsWith("paused")).length, 1);
  await kit.clock.advance(50_000);
  await settle();
  assertEquals(running().map((one) => one.split(" ")[1]), ["running", "running"]);
});

Deno.test("a kept instance that dies is replaced, with a growing back-off if that goes on", async () => {
  const { kit } = await newKept({ minInstances: 1 });
  const ages: number[] = [];
  for (let deaths = 0; deaths < 5; deaths++) {
    const before = kit.launcher.called("launch").length;
    kit.launcher.kill(kit.launcher.called("launch").at(-1)!);
    let age = 0;
    await settle();
    for (; kit.launcher.called("launch").length === before && age < 500_000; age += 500) await kit.clock.advance(500);
    ages.push(age);
  }
  assertEquals(ages, [0, 500, 1000, 2000, 4000]);
});

Deno.test("a failed start of a kept instance is tried again after a back-off", async () => {
  const { kit, pool } = await newKept({ minInstances: 0 });
  kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  kit.newPool({ ...KEPT, minInstances: 1 }).keep(true);
  await kit.clock.advance(10_000);
  assertEquals(kit.launcher.called("launch").length, 7); // after 0, 0.5, 1, 1.5, 2.5, 4.5 and 8.5 s
  assertEquals(pool.live, false);
});

Deno.test("a pool that sleeps has no instance until a request arrives, and then its minimum again", async () => {
  const { kit, pool, running } = await newKept();
  await pool.sleep(10_000);
  pool.keep(false);
  pool.keep(true);
  await kit.clock.advance(60_000);
  assertEquals(running(), []);
  (await pool.hold(never())).lease.release();
  await settle();
  assertEquals(running().length, 2);
});

Deno.test("paused instances are resumed when the minimum applies again, and none is started instead", async () => {
  const { kit, pool, running } = await newKept();
  await kit.clock.advance(10_000);
  pool.keep(false); // it gets no requests for a while
  await settle();
  assertEquals(running(), ["one paused", "two paused"]);
  pool.keep(true);
  pool.keep(true);
  await settle();
  assertEquals([running(), kit.launcher.called("resume").length], [["one running", "two running"], 2]);
});

Deno.test("a kept instance that is paused from outside is resumed, unless the pool is to sleep", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  kit.launcher.pause("one");
  await settle();
  assertEquals(running(), ["one running"]);
  const asleep = pool.sleep(10_000);
  kit.launcher.pause("one");
  await asleep;
  assertEquals([running(), kit.launcher.called("resume")], [[], ["one"]]);
});

Deno.test("the only instance of a minimum of one is not evicted, though it was paused from outside", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  kit.launcher.on.launch = kit.launcher.on.resume = () => {
    throw new Error("no");
  };
  const lease = pool.claim()!;
  const held = pool.hold(never());
  await settle();
  lease.release();
  (await held).lease.release();
  kit.launcher.pause("one");
  const [instance] = kit.fleet.instances();
  await pool.evict(instance!);
  assertEquals([running(), instance!.state], [["one paused"], "paused"]);
});

Deno.test("a kept instance that was found paused is resumed", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...KEPT, minInstances: 1 });
  kit.launcher.put({ id: "found", revision: pool.revision }, "paused");
  pool.suspend(0); // until it is known what there is
  pool.keep(true);
  pool.adopt({ ...kit.launcher.containers.get("found")!, origin: "http://found" });
  pool.unsuspend();
  await settle();
  assertEquals([kit.launcher.called("resume"), kit.launcher.called("launch")], [["found"], []]);
  assertEquals(pool.ready, true);
});

Deno.test("a kept instance that cannot be resumed is replaced, with a back-off while starts fail", async () => {
  const { kit } = await newKept({ minInstances: 1 });
  kit.launcher.on.resume = kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  kit.launcher.pause("one");
  await kit.clock.advance(9_999);
  assertEquals(kit.launcher.called("resume"), ["one"]);
  assertEquals(kit.launcher.called("launch").length, 8); // the first, and seven that failed
});

Deno.test("a revision that gets no requests any more keeps up nothing", async () => {
  const { kit, pool, running } = await newKept();
  await kit.clock.advance(60_000);
  pool.keep(false);
  await settle();
  assertEquals(running(), []);
});

Deno.test("of a paused and a running instance the paused one is stopped", async () => {
  const { kit, pool, running } = await newKept({ minInstances: 1 });
  await Promise.all([1, 2].map(() => pool.hold(never()))).then((all) => all.forEach(({ lease }) => lease.release()));
  kit.launcher.pause("one");
  await kit.clock.advance(60_000);
  await settle();
  assertEquals(running(), ["two running"]);
});

Deno.test("the pools that have a share of the requests keep up their instances, and not those of a tag alone", async () => {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const services = new ServiceMap({ retire: () => {} });
  const [all, tagged] = [kit.newPool(KEPT), kit.newPool(KEPT)];
  services.put(
    new Service("app", {
      shares: [{ pool: all, percent: 100 }, { pool: tagged, percent: 0, tag: "next" }],
    }),
  );
  await settle();
  assertEquals([all.live, tagged.live, kit.fleet.instances().length], [true, false, 2]);
  services.put(new Service("app", { shares: [{ pool: tagged, percent: 100 }] }));
  await kit.clock.advance(60_000);
  assertEquals([all.live, tagged.live], [false, true]);
  services.delete("app");
  await kit.clock.advance(60_000);
  assertEquals(tagged.live, false);
});
