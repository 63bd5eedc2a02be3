import { assertEquals, assertRejects } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";
const WITH_VOLUME: Revision = { ...newRevision(), volumes: [{ source: "data", path: "/data", readOnly: false }] };

Deno.test("a pool that sleeps lets requests in flight finish, and new requests get another instance", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const slept = pool.sleep(10_000);
  assertEquals(pool.claim(), undefined);
  assertEquals((await started(kit, pool)).lease.instance.id, "two");
  assertEquals(kit.launcher.called("stop"), []);
  lease.release();
  await slept;
  assertEquals([kit.launcher.called("stop"), [...kit.launcher.containers.keys()]], [["one"], ["two"]]);
  assertEquals(pool.claim()?.instance.id, "two");
});

Deno.test("a pool that is put to sleep waits no longer than its drain timeout", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  await started(kit, pool);
  const slept = pool.sleep(10_000);
  await kit.clock.advance(9_999);
  assertEquals(kit.launcher.called("stop"), []);
  await kit.clock.advance(1);
  await slept;
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("an id is given again only once its instance has left, whose end is noticed all the same", async () => {
  const kit = newKit({ reuseIds: true });
  const pool = kit.newPool({ ...newRevision(), minInstances: 1, maxInstances: 2 });
  const { lease } = await started(kit, pool);
  lease.release();
  pool.keep(false);
  const forget = kit.launcher.forget.bind(kit.launcher);
  kit.launcher.forget = (id) => {
    forget(id);
    pool.keep(true); // its container is gone, and the pool is about to learn of it
  };
  await pool.letGo(lease.instance, 0);
  assertEquals((await kit.launcher.nextLaunch()).id, "two");
  assertEquals(pool.states(), ["starting"]);
});

Deno.test("requests that still wait at the end of the drain timeout of a sleep get another instance", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...newRevision(), concurrency: 1 });
  await started(kit, pool);
  const held = pool.hold(never());
  const slept = pool.sleep(1000);
  await kit.clock.advance(1000);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
  await slept;
});

Deno.test("a paused instance is removed when its pool sleeps", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  kit.launcher.pause("one");
  await pool.sleep(10_000);
  assertEquals([kit.launcher.called("remove"), kit.launcher.called("stop")], [["one"], []]);
});

Deno.test("requests that wait for a start are served before the pool sleeps", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const slept = pool.sleep(10_000);
  launch.succeed(ORIGIN);
  const { lease } = await held;
  assertEquals(lease.instance.id, "one");
  lease.release();
  await slept;
  assertEquals([kit.launcher.called("stop"), kit.launcher.containers.size], [["one"], 0]);
});

Deno.test("a start that a request waits for goes on beyond the drain timeout of a sleep", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const slept = pool.sleep(1000);
  await kit.clock.advance(1000);
  await slept;
  launch.succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "one");
});

Deno.test("a start that no request waits for is cancelled by a sleep, and a new request gets another one", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  pool.wake();
  const first = await kit.launcher.nextLaunch();
  const slept = pool.sleep(10_000);
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
  await slept;
  first.succeed(ORIGIN);
  await kit.executor.settled();
  assertEquals([...kit.launcher.containers.keys()], ["two"]);
});

Deno.test("when a pool with volumes sleeps, new requests wait until the old instance is gone", async () => {
  const kit = newKit();
  const pool = kit.newPool(WITH_VOLUME);
  const { lease } = await started(kit, pool);
  const stopped = Promise.withResolvers<void>();
  kit.launcher.on.stop = () => stopped.promise;
  const slept = pool.sleep(10_000);
  const held = pool.hold(never());
  lease.release();
  await settle();
  assertEquals(kit.launcher.called("launch"), ["one"]);
  stopped.resolve();
  await slept;
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
});

Deno.test("a suspended pool has no instance and holds all requests until it is resumed", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const suspended = pool.suspend(10_000);
  const held = pool.hold(never());
  assertEquals(pool.claim(), undefined);
  lease.release();
  await suspended;
  pool.wake();
  await settle();
  assertEquals([kit.launcher.called("launch"), kit.launcher.containers.size], [["one"], 0]);
  pool.unsuspend();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
});

Deno.test("requests whose start was cancelled by a suspension get another start", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  const first = await kit.launcher.nextLaunch();
  await pool.suspend(10_000);
  await settle();
  pool.unsuspend();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
  first.fail(new Error("too late"));
  await kit.executor.settled();
});

Deno.test("a paused instance that is being resumed is stopped all the same when the pool is suspended", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  kit.launcher.pause("one");
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  const held = pool.hold(never());
  const suspended = pool.suspend(10_000);
  await settle();
  resumed.reject(new Error("No such container: one"));
  await suspended;
  assertEquals([kit.launcher.called("remove"), kit.launcher.called("launch")], [["one"], ["one"]]);
  pool.unsuspend();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await held;
});

Deno.test("a pool that is suspended twice has to be resumed twice", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  await pool.suspend(0);
  await pool.suspend(0);
  const held = pool.hold(never());
  pool.unsuspend();
  await settle();
  assertEquals(kit.launcher.called("launch"), []);
  pool.unsuspend();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await held;
});

Deno.test("a pool that retires while it is suspended refuses waiting requests at once", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  await pool.suspend(10_000);
  const held = assertRejects(() => pool.hold(never()), ClessError);
  await pool.retire(10_000);
  assertEquals((await held).code, "draining");
});

Deno.test("a pool that retires waits for an earlier drain", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  const stopped = Promise.withResolvers<void>();
  kit.launcher.on.stop = () => stopped.promise;
  const slept = pool.sleep(10_000);
  let retired = false;
  const gone = pool.retire(10_000).then(() => retired = true);
  await settle();
  assertEquals(retired, false);
  stopped.resolve();
  await Promise.all([slept, gone]);
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a pool that retires waits for an earlier drain no longer than its own drain timeout", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  await started(kit, pool);
  const slept = pool.sleep(Infinity);
  const retired = pool.retire(1000);
  await kit.clock.advance(999);
  assertEquals(kit.launcher.called("stop"), []);
  await kit.clock.advance(1);
  await Promise.all([slept, retired]);
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a pool that is suspended serves no waiting request, though it adopts a container meanwhile", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  pool.suspend(0);
  const held = pool.hold(never());
  kit.launcher.put({ id: "found", revision: pool.revision }, "running");
  pool.adopt({ ...kit.launcher.containers.get("found")!, origin: ORIGIN });
  await settle();
  assertEquals([pool.ready, pool.waiting], [true, 1]);
  pool.unsuspend();
  assertEquals((await held).lease.instance.id, "found");
});
