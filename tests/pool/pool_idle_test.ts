import { assertEquals, assertRejects } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started } from "../support/kit.ts";

const TIERED: Revision = { ...newRevision(), pauseAfterMs: 10_000, stopAfterMs: 60_000 };

/** A pool with one instance that is idle from now on. */
async function idlePool(revision: Partial<Revision> = {}) {
  const kit = newKit();
  const pool = kit.newPool({ ...TIERED, ...revision });
  const { lease } = await started(kit, pool);
  lease.release();
  return { kit, pool, instance: lease.instance };
}

Deno.test("an idle instance is paused, and later removed; both times count from the last lease", async () => {
  const { kit, instance } = await idlePool();
  await kit.clock.advance(9_999);
  assertEquals(instance.state, "ready");
  await kit.clock.advance(1);
  assertEquals([instance.state, kit.launcher.called("pause")], ["paused", ["one"]]);
  await kit.clock.advance(49_999);
  assertEquals(instance.state, "paused");
  await kit.clock.advance(1);
  await kit.executor.settled();
  assertEquals([instance.state, kit.launcher.called("remove"), kit.launcher.called("stop")], ["stopped", ["one"], []]);
});

Deno.test("an instance in use is never paused, however long the use lasts", async () => {
  const { kit, pool, instance } = await idlePool();
  const lease = pool.claim()!;
  await kit.clock.advance(600_000);
  assertEquals(instance.state, "ready");
  lease.release();
  await kit.clock.advance(9_999);
  assertEquals(instance.state, "ready");
});

Deno.test("an instance with only requests that do not keep it awake is not paused, but stopped after stopAfter", async () => {
  const { kit, pool, instance } = await idlePool();
  const stream = pool.claim(true)!;
  await kit.clock.advance(59_999);
  assertEquals([instance.state, kit.launcher.called("pause")], ["ready", []]);
  await kit.clock.advance(1);
  assertEquals([instance.state, pool.claim(true)], ["draining", undefined]);
  await kit.clock.advance(4999);
  assertEquals(kit.launcher.called("stop"), []);
  await kit.clock.advance(1);
  await kit.executor.settled();
  assertEquals([instance.state, kit.launcher.called("stop")], ["stopped", ["one"]]);
  stream.release();
});

Deno.test("an instance is paused soon after the last request that does not keep it awake, however many there were", async () => {
  const { kit, pool, instance } = await idlePool();
  for (let n = 0; n < 9; n++) {
    const poll = pool.claim(true)!;
    await kit.clock.advance(5000);
    assertEquals(instance.state, "ready");
    poll.release();
  }
  await kit.clock.advance(500);
  assertEquals(instance.state, "paused");
});

Deno.test("an instance with one request that keeps it awake is not stopped", async () => {
  const { kit, pool, instance } = await idlePool();
  const quiet = pool.claim(true)!;
  const lease = pool.claim()!;
  await kit.clock.advance(600_000);
  quiet.release();
  assertEquals(instance.state, "ready");
  lease.release();
});

Deno.test("an instance whose pauseAfter and stopAfter are infinite is never paused or stopped", async () => {
  const { kit, instance } = await idlePool({ pauseAfterMs: Infinity, stopAfterMs: Infinity });
  await kit.clock.advance(1e9);
  assertEquals(instance.state, "ready");
});

Deno.test("if stopAfter is not longer than pauseAfter, an idle instance is stopped without a pause", async () => {
  const { kit } = await idlePool({ pauseAfterMs: 60_000 });
  await kit.clock.advance(60_000);
  await kit.executor.settled();
  assertEquals([kit.launcher.called("pause"), kit.launcher.called("stop")], [[], ["one"]]);
});

Deno.test("a request that arrives during a pause waits for its end and has the instance resumed", async () => {
  const { kit, pool, instance } = await idlePool();
  const paused = Promise.withResolvers<void>();
  kit.launcher.on.pause = () => paused.promise;
  await kit.clock.advance(10_000);
  assertEquals(pool.claim(), undefined);
  const held = [pool.hold(never()), pool.hold(never())];
  await settle();
  assertEquals(kit.launcher.called("resume"), []);
  paused.resolve();
  const grants = await Promise.all(held);
  assertEquals(grants.map(({ how, lease }) => [how, lease.instance]), [["resume", instance], ["resume", instance]]);
  assertEquals([kit.launcher.called("resume"), kit.launcher.called("launch")], [["one"], ["one"]]);
});

Deno.test("a list of containers from before the end of a pause does not undo the pause", async () => {
  const { kit, instance } = await idlePool();
  const paused = Promise.withResolvers<void>();
  kit.launcher.on.pause = () => paused.promise;
  await kit.clock.advance(10_000);
  const before = kit.fleet.known();
  const meanwhile = kit.fleet.known();
  const listed = await kit.launcher.list(); // it runs, as yet
  kit.fleet.reconcile(listed, before);
  kit.fleet.reconcile(listed, meanwhile);
  assertEquals(instance.state, "paused");
  paused.resolve();
  await settle();
  kit.fleet.reconcile(listed, meanwhile);
  assertEquals(instance.state, "paused");
});

Deno.test("an instance that the engine cannot pause goes on serving, and the pause is tried again later", async () => {
  const { kit, instance } = await idlePool();
  kit.launcher.on.pause = () => {
    throw new Error("cannot freeze");
  };
  await kit.clock.advance(10_000);
  await settle();
  assertEquals(instance.state, "ready");
  assertEquals(kit.launcher.called("pause").length, 1);
  delete kit.launcher.on.pause;
  await kit.clock.advance(5_000);
  assertEquals([instance.state, kit.launcher.called("pause").length], ["paused", 2]);
});

Deno.test("a request that waits for a pause that fails gets the instance", async () => {
  const { kit, pool, instance } = await idlePool();
  const paused = Promise.withResolvers<void>();
  kit.launcher.on.pause = () => paused.promise;
  await kit.clock.advance(10_000);
  const held = pool.hold(never());
  paused.reject(new Error("cannot freeze"));
  assertEquals((await held).lease.instance, instance);
  assertEquals([kit.launcher.called("resume"), kit.launcher.called("launch")], [["one"], ["one"]]);
});

Deno.test("an instance whose pause may have succeeded serves no request before a resume has succeeded", async () => {
  const { kit, pool, instance } = await idlePool();
  kit.launcher.on.pause = kit.launcher.on.resume = () => {
    throw new Error("the engine is confused");
  };
  await kit.clock.advance(10_000);
  await settle();
  assertEquals([instance.state, pool.claim()], ["paused", undefined]);
  delete kit.launcher.on.resume;
  assertEquals((await pool.hold(never())).lease.instance, instance);
});

Deno.test("an instance that is removed during its pause is gone, whatever the outcome of the pause", async () => {
  const { kit, pool, instance } = await idlePool();
  const paused = Promise.withResolvers<void>();
  kit.launcher.on.pause = () => paused.promise;
  await kit.clock.advance(10_000);
  kit.launcher.kill("one");
  paused.reject(new Error("No such container: one"));
  await settle();
  assertEquals([instance.state, pool.live], ["stopped", false]);
  assertEquals((await started(kit, pool)).lease.instance.id, "two");
});

Deno.test("an instance that does not resume in time is replaced for the next request", async () => {
  const { kit, pool } = await idlePool();
  await kit.clock.advance(10_000);
  await settle();
  kit.launcher.on.resume = () => new Promise(() => {});
  const held = assertRejects(() => pool.hold(never()), ClessError);
  await kit.clock.advance(30_000);
  assertEquals((await held).code, "start_timeout");
  assertEquals(kit.launcher.called("remove"), ["one"]);
  assertEquals((await started(kit, pool)).lease.instance.id, "two");
});

Deno.test("an instance that is being resumed is not removed, though it has been idle for long enough", async () => {
  const { kit, pool, instance } = await idlePool();
  await kit.clock.advance(10_000);
  await settle();
  await kit.clock.advance(49_000);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  const held = pool.hold(never());
  await kit.clock.advance(2_000);
  assertEquals([instance.state, kit.launcher.called("remove")], ["paused", []]);
  resumed.resolve();
  assertEquals([(await held).lease.instance, (await held).how], [instance, "resume"]);
});

Deno.test("an instance that is resumed from outside runs for pauseAfter", async () => {
  const { kit, instance } = await idlePool();
  await kit.clock.advance(10_000);
  await settle();
  kit.launcher.emit({ id: "one", what: "resumed" });
  assertEquals(instance.state, "ready");
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "paused");
});

Deno.test("a paused instance can be evicted before its time; one that is ready or being resumed stays", async () => {
  const { kit, pool, instance } = await idlePool();
  await pool.evict(instance); // it is ready
  await kit.clock.advance(10_000);
  await settle();
  assertEquals(kit.fleet.asleep(), [{ instance, pool }]);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  const held = pool.hold(never());
  await pool.evict(instance);
  resumed.resolve();
  (await held).lease.release();
  await kit.clock.advance(10_000);
  await settle();
  await pool.evict(instance);
  assertEquals([kit.launcher.called("remove"), kit.fleet.asleep()], [["one"], []]);
});

Deno.test("an instance that an operator wakes runs for a while, though nobody has used it for long", async () => {
  const { kit, pool, instance } = await idlePool();
  await kit.clock.advance(30_000);
  assertEquals(instance.state, "paused");
  pool.wake();
  await kit.clock.advance(9_999);
  assertEquals([instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
  await kit.clock.advance(1);
  assertEquals(instance.state, "paused");
});
