import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

Deno.test("a pool that retires lets requests in flight finish", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const retired = pool.retire(10_000);
  await kit.clock.advance(5000);
  assertEquals(kit.launcher.called("stop"), []);
  assertEquals(pool.claim(), undefined);
  lease.release();
  await retired;
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a pool that retires waits no longer than it may", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  await started(kit, pool);
  const retired = pool.retire(10_000);
  await kit.clock.advance(10_000);
  await retired;
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a pool that retires during a start still serves the waiting requests", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const retired = pool.retire(10_000);
  launch.succeed(ORIGIN);
  (await held).lease.release();
  await retired;
  assertEquals(kit.launcher.containers.size, 0);
});

Deno.test("a pool that must retire at once leaks no start", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = assertRejects(() => pool.hold(never()), ClessError);
  const launch = await kit.launcher.nextLaunch();
  const retired = pool.retire(0);
  await kit.clock.advance(0);
  await retired;
  assertEquals((await held).code, "draining");
  launch.succeed(ORIGIN);
  await kit.executor.settled();
  assertEquals(kit.launcher.containers.size, 0);
});

Deno.test("a pool that retires does not wait for a start that no request waits for", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  const given = new AbortController();
  const held = pool.hold(given.signal).catch(() => {});
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  given.abort(new Error("called off"));
  await held;
  await pool.retire(10_000);
  await kit.executor.settled();
  assertEquals([kit.launcher.called("remove"), kit.launcher.containers.size], [["one"], 0]);
});

Deno.test("a found container is taken over once it answers, and new requests wait for it", async () => {
  const answers = Promise.withResolvers<void>();
  const kit = newKit({ untilReady: () => answers.promise });
  const pool = kit.newPool();
  pool.adopt({ ...found("old"), state: "running" });
  const held = pool.hold(never());
  answers.resolve();
  assertEquals((await held).lease.instance.id, "old");
  assertEquals(kit.launcher.called("launch"), []);
});

Deno.test("a found container that does not answer is replaced", async () => {
  let asked = 0;
  const kit = newKit({
    untilReady: (_url, _clock, signal) => asked++ === 0 ? untilAborted(signal) : Promise.resolve(),
  });
  const pool = kit.newPool();
  pool.adopt({ ...found("old"), state: "running" });
  const held = pool.hold(never());
  await kit.clock.advance(30_000);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "one");
  await kit.executor.settled();
  assertEquals(kit.launcher.called("remove"), ["old"]);
});

Deno.test("a container that was found and has been up for long is replaced after seconds where it does not answer", async () => {
  // How long it has been up, how long a start may take, and how long the app is waited for.
  const cases = [[60_000, 30_000, 5000], [30_000, 30_000, 5000], [60_000, 2000, 2000], [10_000, 30_000, 20_000], [
    0,
    30_000,
    30_000,
  ]];
  for (const [upFor, startTimeoutMs, patience] of cases as [number, number, number][]) {
    let asked = 0;
    const kit = newKit({
      untilReady: (_url, _clock, signal) => asked++ === 0 ? untilAborted(signal) : Promise.resolve(),
    });
    const pool = kit.newPool({ ...newRevision(), startTimeoutMs });
    pool.adopt({ ...found("old"), state: "running", upFor });
    const held = pool.hold(never());
    await kit.clock.advance(patience - 1);
    assertEquals([kit.launcher.called("launch"), pool.waiting], [[], 1]);
    await kit.clock.advance(1);
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    assertEquals((await held).lease.instance.id, "one");
    assertEquals(pool.failure, undefined);
    await kit.executor.settled();
  }
});

Deno.test("a paused container that was found is taken over as paused", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  kit.launcher.containers.set("old", { ...found("old"), state: "paused" });
  pool.adopt({ ...found("old"), state: "paused" });
  assertEquals(pool.claim(), undefined);
  assertEquals((await pool.hold(never())).how, "resume");
});

Deno.test("a container that was found is as old as it has been up", () => {
  for (const state of ["running", "paused"] as const) {
    const kit = newKit();
    kit.newPool().adopt({ ...found("old"), state, upFor: 3_600_000 });
    const [instance] = kit.fleet.instances();
    const age = Date.now() - instance!.startedAt.getTime();
    assert(age >= 3_600_000 && age < 3_660_000, `${age}`);
  }
});

Deno.test("a retired pool starts nothing, not even in the place of an instance that could not be resumed", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  kit.launcher.pause("one");
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  const held = assertRejects(() => pool.hold(never()), ClessError);
  const retired = pool.retire(0);
  await kit.clock.advance(0);
  resumed.reject(new Error("No such container: one"));
  await retired;
  assertEquals((await held).code, "draining");
  await assertRejects(() => pool.hold(never()), ClessError);
  await kit.executor.settled();
  assertEquals([kit.launcher.called("launch"), kit.launcher.containers.size], [["one"], 0]);
});

function found(id: string) {
  return { id, service: "app", revision: "app-0123456789ab", imageId: "sha256:0123456789abcdef", origin: ORIGIN };
}
