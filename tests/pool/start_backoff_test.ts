import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import {
  afterFailedStart,
  crashLoop,
  type Failure,
  NO_FAILURES,
  requestBackoffMs,
  resetByProof,
  type StartBackoff,
} from "../../src/pool/start_backoff.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { settle } from "../support/fake_clock.ts";
import { type Kit, type KitOptions, never, newKit, newRevision, untilAborted } from "../support/kit.ts";

/** A pool whose starts all fail. */
function newBroken(options: KitOptions = {}) {
  const kit = newKit(options);
  kit.launcher.on.launch = () => {
    throw new Error("exec format error");
  };
  return { kit, pool: kit.newPool() };
}

function mend(kit: Kit): void {
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
}

/** How a request fails: the code, and in how many seconds to try again. */
async function ask(pool: InstancePool): Promise<[code: string, retryAfterS: number | undefined]> {
  const error = await assertRejects(() => pool.hold(never()), ClessError);
  return [error.code, error.retryAfterS];
}

Deno.test("after the third failure in a row requests are refused for a while, and then one start is tried", async () => {
  const { kit, pool } = newBroken();
  for (let n = 0; n < 3; n++) assertEquals(await ask(pool), ["start_failed", undefined]);
  assertEquals(await ask(pool), ["crash_loop", 1]);
  assertEquals(kit.launcher.called("launch").length, 3);
  await kit.clock.advance(500);
  assertEquals(await ask(pool), ["start_failed", undefined]);
  assertEquals(await ask(pool), ["crash_loop", 1]);
  await kit.clock.advance(999);
  assertEquals(await ask(pool), ["crash_loop", 1]);
  await kit.clock.advance(1);
  assertEquals(await ask(pool), ["start_failed", undefined]);
  assertEquals(await ask(pool), ["crash_loop", 2]);
  assertEquals(kit.launcher.called("launch").length, 5);
});

Deno.test("while a pool is suspended its requests wait, also during the back-off, and then get the next start", async () => {
  const { kit, pool } = newBroken();
  for (let n = 0; n < 3; n++) await ask(pool);
  await pool.suspend(0);
  const held = pool.hold(never());
  mend(kit);
  await kit.clock.advance(1000); // the back-off is over
  assertEquals([pool.waiting, kit.launcher.called("launch").length], [1, 3]);
  pool.unsuspend();
  (await held).lease.release();
});

Deno.test("the back-off doubles up to a minute", async () => {
  const { kit, pool } = newBroken();
  const waits: number[] = [];
  for (let n = 0; n < 12; n++) {
    assertEquals((await ask(pool))[0], "start_failed");
    if (n < 2) continue;
    const [, seconds] = await ask(pool);
    waits.push(seconds!);
    await kit.clock.advance(seconds! * 1000);
  }
  assertEquals(waits, [1, 1, 2, 4, 8, 16, 32, 50, 50, 50]);
});

Deno.test("back-offs differ by chance, since not all services should try again at once", () => {
  const left = (chance: number, failures: number) => {
    let backoff: StartBackoff = NO_FAILURES;
    const mishap = { reason: "no", at: new Date(), chance };
    for (let n = 0; n < failures; n++) backoff = afterFailedStart(backoff, mishap, n, 1000);
    return requestBackoffMs(backoff, 1000);
  };
  assertEquals([0, 0.5, 1].map((random) => left(random, 3)).map(Math.round), [400, 500, 600]);
  assertEquals([0, 0.5, 1].map((random) => left(random, 20)).map(Math.round), [40_000, 50_000, 60_000]);
});

Deno.test("a failure knows since when nothing has worked, also if the failures are too far apart to be in a row", () => {
  const failed = (before: StartBackoff, at: number) =>
    afterFailedStart(before, { reason: "no", at: new Date(at), chance: 0 }, before.count, at);
  const twice = failed(failed(NO_FAILURES, 1000), 2000);
  assertEquals([twice.failure!.since, twice.failure!.at, twice.failure!.count], [new Date(1000), new Date(2000), 2]);
  const late = failed(twice, 1_000_000);
  assertEquals([late.failure!.since, late.failure!.count], [new Date(1000), 1]);
  const served = resetByProof(late, { ageMs: 1000, hasServed: true }, 1_002_000);
  assertEquals([served.since, served.failure!.count], [undefined, 1]);
  assertEquals(failed(served, 1_003_000).failure!.since, new Date(1_003_000));
});

Deno.test("a pool fails until an instance serves a request, and keeps the last failure to look at", async () => {
  const { kit, pool } = newBroken();
  await ask(pool);
  assertEquals(pool.failing, pool.failure);
  mend(kit);
  const { lease } = await pool.hold(never());
  lease.answered(200);
  lease.release();
  kit.launcher.end(lease.instance.id, 1);
  await settle();
  assertEquals([pool.failing, pool.failure!.reason], [undefined, "exec format error"]);
});

Deno.test("failures that are far apart are not in a row, even if no instance has been ready for a minute", async () => {
  const { kit } = newBroken();
  mend(kit);
  const pool = kit.newPool({ ...newRevision(), stopAfterMs: 5000 });
  const counts: (number | undefined)[] = [];
  for (const minutes of [11, 11, 11, 9, 9, 1]) {
    const { lease } = await pool.hold(never());
    lease.release();
    kit.launcher.end(lease.instance.id, 1);
    counts.push(pool.failure?.count);
    await kit.clock.advance(minutes * 60_000);
  }
  assertEquals(counts, [1, 1, 1, 1, 2, 3]);
});

Deno.test("early ends from outside that are far apart are not in a row either, and delay no start", async () => {
  const { kit } = newBroken();
  mend(kit);
  const pool = kit.newPool({ ...newRevision(), stopAfterMs: 5000 });
  const delays: boolean[] = [];
  for (const minutes of [11, 11, 9, 1]) {
    const { lease } = await pool.hold(never());
    lease.release();
    kit.launcher.kill(lease.instance.id);
    delays.push(pool.backingOff);
    await kit.clock.advance(minutes * 60_000);
  }
  assertEquals(delays, [false, false, false, true]);
});

Deno.test("an instance that has been ready for a minute resets the failures; less does not", async () => {
  const { kit, pool } = newBroken();
  await ask(pool);
  await ask(pool);
  mend(kit);
  const { lease } = await pool.hold(never());
  await kit.clock.advance(59_000);
  assertEquals(pool.failure?.count, 2);
  await kit.clock.advance(1000);
  assertEquals(pool.failure, undefined);
  lease.release();
});

Deno.test("an older healthy instance does not reset failures that came after its start", async () => {
  const { kit } = newBroken();
  const pool = kit.newPool({ ...newRevision(), concurrency: 1, maxInstances: 2 });
  const broken = kit.launcher.on.launch!;
  mend(kit);
  const { lease } = await pool.hold(never());
  await kit.clock.advance(61_000);
  kit.launcher.on.launch = broken;
  const held = pool.hold(never());
  const before = kit.launcher.called("launch").length;
  await kit.clock.advance(20_000);
  // The first is in `before`; the second and third come at once, then others after 0.5, 1, 2, 4 and 8 s.
  assertEquals([kit.launcher.called("launch").length - before, pool.failure?.count], [7, 8]);
  mend(kit);
  (await kit.clock.until(held)).lease.release();
  await kit.clock.advance(59_900);
  assertEquals(pool.failure?.count, 8);
  await kit.clock.advance(100);
  assertEquals(pool.failure, undefined);
  lease.release();
});

Deno.test("an app that ends by itself soon after each start is in a crash loop; one that is ended from outside is not", async () => {
  for (
    const [how, exitCode, expected] of [0, 1, 137, 143].flatMap((exitCode) =>
      [["end", exitCode, "crash_loop"], ["kill", exitCode, "served"]] as const
    )
  ) {
    const { kit, pool } = newBroken();
    mend(kit);
    for (let n = 0; n < 3; n++) {
      const { lease } = await pool.hold(never());
      lease.release();
      kit.launcher[how](lease.instance.id, exitCode);
    }
    const outcome = await pool.hold(never()).then(() => "served", (error: ClessError) => error.code);
    assertEquals(outcome, expected, `${how}, exit code ${exitCode}`);
  }
});

Deno.test("an app that has served before it ends is replaced at once, however often that happens", async () => {
  for (const how of ["end", "kill"] as const) {
    const { kit } = newBroken();
    mend(kit);
    const pool = kit.newPool({ ...newRevision(), minInstances: 1 });
    pool.keep(true);
    for (let n = 0; n < 6; n++) {
      const { lease } = await pool.hold(never());
      lease.answered(200);
      lease.release();
      kit.launcher[how](lease.instance.id, 1);
      await settle();
      assertEquals([kit.launcher.called("launch").length, pool.failure, pool.backingOff], [n + 2, undefined, false]);
    }
  }
});

Deno.test("an app that has given nothing but server errors before it ends has not served", async () => {
  const { kit, pool } = newBroken();
  mend(kit);
  for (let n = 0; n < 3; n++) {
    const { lease } = await pool.hold(never());
    lease.answered(500);
    lease.release();
    kit.launcher.end(lease.instance.id, 1);
  }
  assertEquals((await ask(pool))[0], "crash_loop");
});

Deno.test("failures between which the app has served are not in a row", async () => {
  const { kit, pool } = newBroken();
  const broken = kit.launcher.on.launch!;
  for (let n = 0; n < 6; n++) {
    kit.launcher.on.launch = broken;
    assertEquals((await ask(pool))[0], "start_failed");
    assertEquals(pool.failure?.count, 1);
    mend(kit);
    const { lease } = await pool.hold(never());
    lease.answered(200);
    lease.release();
    await pool.sleep(0);
  }
});

Deno.test("an app that is unhealthy soon after each start is in a crash loop, and backed off", async () => {
  const { kit } = newBroken({ ask: () => Promise.resolve(503) });
  mend(kit);
  kit.launcher.written = "no database";
  const pool = kit.newPool({ ...newRevision(), minInstances: 1, liveness: { path: "/health", every: 1000 } });
  pool.keep(true);
  await kit.clock.advance(29_999);
  // In 30 s: after 0, 3.5, 7, 11, 16 and 23 s.
  assertEquals(kit.launcher.called("launch").length, 6);
  const { count, output, reason } = pool.failure!;
  assertEquals([count, output, reason], [6, "no database", "the app did not answer any more soon after it was ready"]);
  assertEquals((await ask(pool))[0], "crash_loop");
});

Deno.test("an app that cannot be reached is no failure: it may have been killed from outside", async () => {
  const { kit, pool } = newBroken();
  mend(kit);
  for (let n = 0; n < 4; n++) {
    const { lease } = await pool.hold(never());
    for (let failures = 0; failures < 3; failures++) lease.instance.suspect("unreachable");
    assertEquals([lease.instance.state, pool.failure], ["draining", undefined]);
    lease.release();
    kit.launcher.kill(lease.instance.id);
  }
});

Deno.test("if requests cannot reach an app, and the engine then reports that it crashed soon after its start, the app has failed", async () => {
  for (const ageMs of [0, 60_000]) {
    const { kit, pool } = newBroken();
    mend(kit);
    kit.launcher.written = "panic: no disk";
    const { lease } = await pool.hold(never());
    await kit.clock.advance(ageMs);
    for (let failures = 0; failures < 3; failures++) lease.instance.suspect("unreachable");
    assertEquals([lease.instance.state, pool.failure], ["draining", undefined]);
    kit.launcher.end(lease.instance.id, 1);
    lease.release();
    await kit.executor.settled();
    await settle();
    const { count, output, reason } = pool.failure ?? {};
    const expected = ageMs === 0 ? [1, "panic: no disk", "it ended with code 1 soon after it was ready"] : [];
    assertEquals([count, output, reason].slice(0, expected.length || 1), ageMs === 0 ? expected : [undefined]);
    assertEquals(lease.instance.failure, "it ended with code 1");
  }
});

Deno.test("an app that ends while it drains for another reason is no failure", async () => {
  const { kit, pool } = newBroken();
  mend(kit);
  const { lease } = await pool.hold(never());
  const asleep = pool.sleep(10_000);
  kit.launcher.end(lease.instance.id, 1);
  lease.release();
  await asleep;
  assertEquals(pool.failure, undefined);
});

Deno.test("an app that becomes unhealthy after a healthy minute is no failure", async () => {
  let isWell = true;
  const { kit } = newBroken({ ask: () => Promise.resolve(isWell ? 200 : 503) });
  mend(kit);
  const pool = kit.newPool({ ...newRevision(), liveness: { path: "/health", every: 60_000 } });
  const { lease } = await pool.hold(never());
  await kit.clock.advance(60_000);
  isWell = false;
  await kit.clock.advance(62_000);
  assertEquals([lease.instance.state, pool.failure], ["draining", undefined]);
  lease.release();
});

Deno.test("an app that ends after a healthy minute is no failure", async () => {
  const { kit, pool } = newBroken();
  await ask(pool);
  mend(kit);
  const { lease } = await pool.hold(never());
  await kit.clock.advance(60_000);
  kit.launcher.end(lease.instance.id, 1);
  assertEquals(pool.failure, undefined);
});

Deno.test("the last failure of a revision can be read, with the output of its app", async () => {
  const told: Failure[] = [];
  const { kit, pool } = newBroken({ observer: { failed: (_, failure) => void told.push(failure) } });
  kit.launcher.written = "cannot find config.json";
  await ask(pool);
  await kit.executor.settled();
  await settle();
  const { reason, output, count, at } = pool.failure!;
  assertEquals([reason, output, count], ["exec format error", "cannot find config.json", 1]);
  assert(Math.abs(at.getTime() - Date.now()) < 60_000);
  assertEquals(told, [pool.failure!]);
});

Deno.test("the output of an app that crashed soon after its start is read before its container is removed", async () => {
  const { kit, pool } = newBroken();
  mend(kit);
  const { lease } = await pool.hold(never());
  kit.launcher.written = "panic: no disk";
  kit.launcher.end(lease.instance.id, 1);
  await kit.executor.settled();
  await settle();
  assertEquals(pool.failure?.output, "panic: no disk");
  assertEquals(kit.launcher.called("remove"), [lease.instance.id]);
});

Deno.test("if a start was killed for memory, its error says so", async () => {
  for (
    const [memoryBytes, reason] of [[256 * 1024 ** 2, "out of memory, limit 256m"], [
      undefined,
      "out of memory",
    ]] as const
  ) {
    const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
    const pool = kit.newPool({ ...newRevision(), memoryBytes });
    const held = assertRejects(() => pool.hold(never()), ClessError);
    (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
    await settle();
    kit.launcher.end("one", 137, true);
    assertEquals((await held).detail, reason);
    assertEquals(pool.failure?.reason, reason);
  }
});

Deno.test("an instance killed for memory soon after its start is a failure, and the reason says so", async () => {
  const { kit, pool } = newBroken();
  mend(kit);
  const { lease } = await pool.hold(never());
  kit.launcher.end(lease.instance.id, 137, true);
  assertEquals(lease.instance.failure, "out of memory");
  assertEquals(pool.failure?.reason, "out of memory soon after it was ready");
});

Deno.test("a start that no request waits for is delayed from the first failure on", async () => {
  const { kit, pool } = newBroken();
  pool.wake();
  await settle();
  assertEquals([kit.launcher.called("launch").length, pool.backingOff], [1, true]);
  pool.wake();
  await settle();
  assertEquals(kit.launcher.called("launch").length, 1);
  await kit.clock.advance(500);
  pool.wake();
  await settle();
  assertEquals(kit.launcher.called("launch").length, 2);
});

Deno.test("a paused instance that cannot be resumed is not replaced during the back-off if no request waits", async () => {
  const { kit } = newBroken();
  mend(kit);
  const pool = kit.newPool({ ...newRevision(), concurrency: 1, maxInstances: 2 });
  const leases = (await Promise.all([pool.hold(never()), pool.hold(never())])).map(({ lease }) => lease);
  for (const lease of leases) lease.release();
  for (const id of ["one", "two"]) kit.launcher.pause(id);
  kit.launcher.end("one", 1);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  pool.wake();
  resumed.reject(new Error("No such container: two"));
  await settle();
  assertEquals([pool.backingOff, kit.launcher.called("launch"), pool.live], [true, ["one", "two"], false]);
});

Deno.test("requests that wait for a slot are refused when the last instance dies in a crash loop", async () => {
  const { kit } = newBroken();
  const pool = kit.newPool({ ...newRevision(), concurrency: 1 });
  await ask(pool);
  await ask(pool);
  mend(kit);
  const { lease } = await pool.hold(never());
  const held = ask(pool);
  kit.launcher.end(lease.instance.id, 1);
  assertEquals([await held, pool.waiting], [["crash_loop", 1], 0]);
});

Deno.test("an instance that has served resets the count of early ends, even without a failure, but only if it was ready after the last of them", () => {
  const ends = (ageMs: number, hasServed: boolean) =>
    resetByProof({ ...NO_FAILURES, ends: 2, endsUntil: 9000, lastAt: 1000 }, { ageMs, hasServed }, 6000).ends;
  assertEquals([ends(5000, true), ends(5001, true), ends(5000, false)], [0, 2, 2]);
});

Deno.test("the error of a crash loop says how often and why starts failed, and to try again when the back-off is over", () => {
  const failure = { reason: "exit code 1", output: "no config", at: new Date(0), since: new Date(0), count: 4 };
  const backoff = { ...NO_FAILURES, count: 4, until: 10_000, failure };
  const { detail, output, retryAfterS } = crashLoop(backoff, 7999);
  assertEquals([detail, output], ["4 failures in a row, the last: exit code 1", "no config"]);
  assertEquals([retryAfterS, crashLoop(backoff, 8000).retryAfterS, crashLoop(backoff, 10_000).retryAfterS], [3, 2, 1]);
});
