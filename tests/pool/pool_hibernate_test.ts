import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started } from "../support/kit.ts";

const TIERED: Revision = {
  ...newRevision(),
  pauseAfterMs: 10_000,
  hibernateAfterMs: 30_000,
  stopAfterMs: 60_000,
  stopHibernatedAfterMs: 600_000,
};

/** A pool with one instance that is idle from now on. */
async function idlePool(revision: Partial<Revision> = {}) {
  const kit = newKit();
  const pool = kit.newPool({ ...TIERED, ...revision });
  const { lease } = await started(kit, pool);
  lease.release();
  return { kit, pool, instance: lease.instance };
}

/** A pool whose instance hibernates. */
async function hibernatedPool(revision: Partial<Revision> = {}) {
  const idle = await idlePool(revision);
  await idle.kit.clock.advance(30_000);
  assertEquals(idle.instance.state, "hibernated");
  return idle;
}

Deno.test("an idle instance is paused, then hibernates, then is stopped; all times count from the last lease", async () => {
  const { kit, instance } = await idlePool();
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "paused");
  kit.launcher.calls.splice(0);
  await kit.clock.advance(19_999);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", []]);
  await kit.clock.advance(1);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["hibernated", ["one"]]);
  await kit.clock.advance(569_999);
  assertEquals(instance.state, "hibernated");
  await kit.clock.advance(1);
  await kit.executor.settled();
  assertEquals([instance.state, kit.launcher.called("remove")], ["stopped", ["one"]]);
});

Deno.test("a request wakes a hibernated instance, and is told what it waited for", async () => {
  const { kit, pool, instance } = await hibernatedPool();
  assertEquals(pool.claim(), undefined);
  const { how, lease } = await pool.hold(never());
  assertEquals([how, lease.instance, instance.state], ["hibernated", instance, "ready"]);
  lease.release();
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "paused");
  assertEquals((await pool.hold(never())).how, "resume");
});

Deno.test("a hibernateAfter below pauseAfter means at once with the pause, one at or beyond stopAfter never", async () => {
  const early = await idlePool({ hibernateAfterMs: 1000 });
  await early.kit.clock.advance(9999);
  assertEquals(early.instance.state, "ready");
  await early.kit.clock.advance(1);
  assertEquals(early.instance.state, "hibernated");
  for (const hibernateAfterMs of [60_000, Infinity]) {
    const { kit, instance } = await idlePool({ hibernateAfterMs });
    await kit.clock.advance(60_000);
    await kit.executor.settled();
    assertEquals([instance.state, kit.launcher.called("hibernate")], ["stopped", []]);
  }
});

Deno.test("while the machine cannot hibernate, an instance stays paused, and is stopped in its time", async () => {
  const { kit, instance } = await idlePool();
  kit.launcher.canHibernate = false;
  await kit.clock.advance(59_999);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", []]);
  await kit.clock.advance(1);
  await kit.executor.settled();
  assertEquals(instance.state, "stopped");
});

Deno.test("once the machine can hibernate, a paused instance does within 15 seconds", async () => {
  const { kit, instance } = await idlePool({ stopAfterMs: 600_000 });
  kit.launcher.canHibernate = false;
  await kit.clock.advance(100_000);
  kit.launcher.canHibernate = true;
  await kit.clock.advance(15_000);
  assertEquals(instance.state, "hibernated");
});

Deno.test("a hibernation that fails leaves the instance paused, and is tried again 15 seconds later", async () => {
  const { kit, pool, instance } = await idlePool({ stopAfterMs: 600_000 });
  await kit.clock.advance(10_000);
  let tries = 0;
  kit.launcher.on.hibernate = () => {
    if (++tries === 1) throw new Error("the swap is full");
  };
  await kit.clock.advance(34_999);
  assertEquals([instance.state, tries], ["paused", 1]);
  await kit.clock.advance(1);
  assertEquals([instance.state, tries], ["hibernated", 2]);
  (await pool.hold(never())).lease.release();
});

Deno.test("a request during a hibernation resumes the instance at once", async () => {
  const { kit, pool, instance } = await idlePool();
  const moved = Promise.withResolvers<void>();
  kit.launcher.on.hibernate = () => moved.promise;
  await kit.clock.advance(30_000);
  assertEquals(instance.state, "paused");
  const { how, lease } = await pool.hold(never());
  assertEquals([how, instance.state, kit.launcher.called("resume")], ["resume", "ready", ["one"]]);
  moved.reject(new Error("it was woken meanwhile"));
  await settle();
  assertEquals(instance.state, "ready");
  lease.release();
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "paused");
  kit.launcher.on.hibernate = () => {};
  await kit.clock.advance(20_000);
  assertEquals(instance.state, "hibernated"); // a wake is no reason to wait longer
});

Deno.test("a hibernation that is over only after a wake changes nothing", async () => {
  const { kit, pool, instance } = await idlePool();
  await kit.clock.advance(10_000);
  kit.launcher.calls.splice(0);
  const moved = Promise.withResolvers<void>();
  kit.launcher.on.hibernate = () => moved.promise;
  await kit.clock.advance(20_000);
  (await pool.hold(never())).lease.release();
  await kit.clock.advance(10_000);
  moved.resolve();
  await settle();
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", ["one"]]);
  (await pool.hold(never())).lease.release();
});

Deno.test("the memory of an instance goes to disk at its first pause only, and it stays paused", async () => {
  const { kit, pool, instance } = await idlePool();
  await kit.clock.advance(10_000);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", ["one"]]);
  const { how, lease } = await pool.hold(never());
  assertEquals(how, "hibernated");
  lease.release();
  await kit.clock.advance(29_999);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", ["one"]]);
  assertEquals((await pool.hold(never())).how, "resume");
});

Deno.test("if a request comes while memory goes to disk at the first pause, the second pause tries again", async () => {
  const { kit, pool, instance } = await idlePool();
  const moved = Promise.withResolvers<void>();
  kit.launcher.on.hibernate = () => moved.promise;
  await kit.clock.advance(10_000);
  const { lease } = await pool.hold(never());
  kit.launcher.on.hibernate = () => {};
  moved.reject(new Error("it was woken meanwhile"));
  lease.release();
  await kit.clock.advance(10_000);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", ["one", "one"]]);
});

Deno.test("if memory does not go to disk at the first pause, it is tried again 15 seconds later", async () => {
  const { kit, instance } = await idlePool();
  kit.launcher.on.hibernate = () => Promise.reject(new Error("no"));
  await kit.clock.advance(24_999);
  assertEquals(kit.launcher.called("hibernate"), ["one"]);
  kit.launcher.canHibernate = false; // the same if the machine cannot
  await kit.clock.advance(1);
  kit.launcher.on.hibernate = () => {};
  kit.launcher.canHibernate = true;
  await kit.clock.advance(4999);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", ["one"]]);
});

Deno.test("memory goes to disk at no pause of an instance that never hibernates, or that an earlier process made", async () => {
  for (const hibernateAfterMs of [60_000, Infinity]) {
    const { kit, instance } = await idlePool({ hibernateAfterMs });
    await kit.clock.advance(10_000);
    assertEquals([instance.state, kit.launcher.called("hibernate")], ["paused", []]);
  }
  const kit = newKit();
  const pool = kit.newPool(TIERED);
  const known = { id: "old", service: "app", revision: "app-1", imageId: "sha256:1", upFor: 5 } as const;
  pool.adopt({ ...known, state: "running", origin: "http://10.0.0.9:80" });
  await kit.clock.advance(10_000);
  assertEquals([pool.states(), kit.launcher.called("hibernate")], [["paused"], []]);
});

Deno.test("the minimum of instances never hibernates", async () => {
  const { kit, pool, instance } = await idlePool({ minInstances: 1 });
  pool.keep(true);
  await kit.clock.advance(300_000);
  assertEquals([instance.state, kit.launcher.called("hibernate")], ["ready", []]);
});

Deno.test("where memory is short, a paused instance hibernates before its time", async () => {
  const { kit, pool, instance } = await idlePool({ hibernateAfterMs: Infinity });
  await kit.clock.advance(10_000);
  assertEquals([await pool.hibernate(instance), instance.state], [true, "hibernated"]);
  assertEquals(await pool.hibernate(instance), true);
});

Deno.test("an instance that cannot hibernate early says so", async () => {
  const { kit, pool, instance } = await idlePool();
  assertEquals(await pool.hibernate(instance), false); // it is ready
  await kit.clock.advance(10_000);
  kit.launcher.on.hibernate = () => Promise.reject(new Error("the swap is full"));
  assertEquals([await pool.hibernate(instance), instance.state], [false, "paused"]);
});

Deno.test("a request while memory is short wins against the hibernation", async () => {
  const { kit, pool, instance } = await idlePool();
  await kit.clock.advance(10_000);
  const moved = Promise.withResolvers<void>();
  kit.launcher.on.hibernate = () => moved.promise;
  const hibernated = pool.hibernate(instance);
  await settle();
  const { lease } = await pool.hold(never());
  assertEquals([instance.state, await hibernated], ["ready", false]);
  moved.resolve();
  await settle();
  assertEquals(instance.state, "ready");
  lease.release();
});

Deno.test("paused instances are resumed before hibernated ones", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...TIERED, maxInstances: 2, concurrency: 1 });
  const first = await started(kit, pool);
  const second = await started(kit, pool);
  first.lease.release();
  await kit.clock.advance(25_000);
  second.lease.release();
  await kit.clock.advance(15_000);
  assertEquals(pool.states(), ["hibernated", "paused"]);
  const { lease } = await pool.hold(never());
  assertEquals([lease.instance, pool.states()], [second.lease.instance, ["hibernated", "ready"]]);
});

Deno.test("a hibernated instance that ends, is put to sleep or evicted is removed", async () => {
  const ended = await hibernatedPool();
  ended.kit.launcher.end("one", 1);
  await ended.kit.executor.settled();
  assertEquals(ended.instance.state, "stopped");

  const asleep = await hibernatedPool();
  await asleep.pool.sleep(1000);
  assertEquals(asleep.instance.state, "stopped");

  const evicted = await hibernatedPool();
  await evicted.pool.evict(evicted.instance);
  assertEquals(evicted.instance.state, "stopped");
});

Deno.test("a hibernated instance that runs again without cless is ready", async () => {
  const { kit, pool, instance } = await hibernatedPool();
  kit.launcher.emit({ id: "one", what: "resumed" });
  assertEquals(instance.state, "ready");
  pool.claim()!.release();
  await kit.clock.advance(30_000);
  assertEquals(instance.state, "hibernated");
});

/** A pool whose instance sleeps, and the wakes that are told: what it was, and how long it took, ms. */
async function observedPool(revision: Partial<Revision> = {}) {
  const woken: [how: string, ms: number][] = [];
  const kit = newKit({ observer: { woken: (_, how, ms) => void woken.push([how, ms]) } });
  const pool = kit.newPool({ ...TIERED, ...revision });
  const { lease } = await started(kit, pool);
  lease.release();
  kit.launcher.canHibernate = false;
  return { kit, pool, instance: lease.instance, woken };
}

Deno.test("each wake is told once, with the time until the app's first answer", async () => {
  const { kit, pool, woken } = await observedPool();
  assertEquals(woken.splice(0), [["cold", 0]]);
  for (const how of ["resume", "hibernated"]) {
    kit.launcher.canHibernate = how === "hibernated";
    await kit.clock.advance(30_000);
    const [first, second] = await Promise.all([pool.hold(never()), pool.hold(never())]);
    await kit.clock.advance(7);
    assertEquals(woken, []);
    second.lease.answered(200);
    first.lease.answered(500);
    assertEquals(woken.splice(0), [[how, 7]]);
    for (const { lease } of [first, second]) lease.release();
  }
});

Deno.test("a wake that no request waits for is told as soon as the app runs", async () => {
  const { kit, pool, woken } = await observedPool();
  await kit.clock.advance(10_000);
  woken.splice(0);
  pool.wake();
  await settle();
  assertEquals(woken.splice(0), [["resume", 0]]);
  const lease = pool.claim()!;
  lease.answered(200);
  lease.release();
  assertEquals(woken, []);
});

Deno.test("a wake whose requests get no answer is told when they end, with the time until the app ran", async () => {
  const { kit, pool, woken, instance } = await observedPool();
  await kit.clock.advance(10_000);
  woken.splice(0);
  const [first, second] = await Promise.all([pool.hold(never()), pool.hold(never())]);
  await kit.clock.advance(5000);
  first.lease.release();
  assertEquals(woken, []);
  second.lease.release();
  assertEquals(woken.splice(0), [["resume", 0]]);
  const later = pool.claim()!;
  later.answered(200);
  later.release();
  await kit.clock.advance(10_000);
  assertEquals([instance.state, woken], ["paused", []]);
});

Deno.test("a wake that fails is not told", async () => {
  const { kit, pool, woken } = await observedPool();
  await kit.clock.advance(10_000);
  woken.splice(0);
  kit.launcher.on.resume = () => Promise.reject(new Error("no"));
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed("http://10.9.0.3:8080");
  (await held).lease.answered(200);
  assertEquals(woken.map(([how]) => how), ["cold"]);
});
