import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../../src/base/clock.ts";
import { ClessError } from "../../src/base/errors.ts";
import type { Tenure } from "../../src/pool/decide.ts";
import { InstancePool } from "../../src/pool/pool.ts";
import { NotReady } from "../../src/pool/probe.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

Deno.test("however many ask, one container is started, and all are served by it", async () => {
  const kit = newKit({ maxPending: 1000 });
  const pool = kit.newPool();
  assertEquals(pool.claim(), undefined);
  const held = Array.from({ length: 1000 }, () => pool.hold(never()));
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  const grants = await Promise.all(held);
  assertEquals(kit.launcher.called("launch"), ["one"]);
  assert(grants.every(({ how, lease }) => how === "cold" && lease.instance.origin === ORIGIN));
  assertEquals(grants[0]!.lease.instance.inFlight, 1000);
});

Deno.test("a ready instance is claimed at once", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await held;
  assertEquals(pool.claim()?.instance.id, "one");
});

Deno.test("a start goes on when all requests that waited for it have gone", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const client = new AbortController();
  const held = pool.hold(client.signal);
  const launch = await kit.launcher.nextLaunch();
  client.abort(new Error("gone"));
  await assertRejects(() => held, Error, "gone");
  launch.succeed(ORIGIN);
  await pool.settled();
  const lease = pool.claim();
  assertEquals(lease?.instance.state, "ready");
  assertEquals(lease?.instance.inFlight, 1); // those who left hold nothing
});

Deno.test("a full queue refuses at once and starts nothing more", async () => {
  const kit = newKit({ maxPending: 2 });
  const pool = kit.newPool();
  const held = [pool.hold(never()), pool.hold(never())];
  await assertRejects(async () => await pool.hold(never()), ClessError, "Too many requests");
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await Promise.all(held);
  assertEquals(kit.launcher.called("launch").length, 1);
});

Deno.test("a refused start fails all waiting requests, and the next request tries again", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = [pool.hold(never()), pool.hold(never())];
  (await kit.launcher.nextLaunch()).fail(new Error("no such image"));
  for (const one of held) {
    const error = await assertRejects(() => one, ClessError);
    assertEquals([error.code, error.detail], ["start_failed", "no such image"]);
  }
  await kit.executor.settled();
  assertEquals(kit.launcher.called("remove"), ["one"]);
  const again = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await again).lease.instance.id, "two");
});

Deno.test("a container that ends before it is ready fails the start at once", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await settle();
  kit.launcher.end("one", 3);
  const error = await assertRejects(() => held, ClessError);
  assertEquals([error.code, error.detail], ["start_failed", "the container ended with code 3 before it was ready"]);
  await kit.executor.settled();
  assertEquals(kit.launcher.containers.size, 0);
  assertEquals(kit.fleet.instances(), []);
});

Deno.test("an app that does not answer in time is given up and removed", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  const failed = assertRejects(() => held, ClessError);
  await kit.clock.advance(30_000);
  assertEquals((await failed).code, "start_timeout");
  await kit.executor.settled();
  assertEquals(kit.launcher.containers.size, 0);
  assertEquals(kit.clock.timers, 0);
});

Deno.test("a start for which nothing listened names the port that the image exposes, also if the engine hangs over that", async () => {
  const untilReady = async (_url: string, _clock: Clock, signal: AbortSignal) => {
    await untilAborted(signal).catch(() => {});
    throw new NotReady("refused", signal.reason);
  };
  for (const hangs of [false, true]) {
    const kit = newKit({ untilReady });
    kit.launcher.exposed = [3000];
    if (hangs) kit.launcher.exposedPorts = () => new Promise(() => {});
    const held = kit.newPool().hold(never());
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    const failed = assertRejects(() => held, ClessError);
    await kit.clock.advance(31_000);
    const what = hangs
      ? "the app must listen there on all addresses"
      : "the image exposes 3000: deploy with --port 3000";
    assertEquals((await failed).detail, `nothing listens on port 8080 after 30s; ${what}`);
    await kit.executor.settled();
  }
});

Deno.test("an engine that takes longer than the time limit leaks no container", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const failed = assertRejects(() => held, ClessError);
  await kit.clock.advance(30_000);
  assertEquals((await failed).code, "start_timeout");
  launch.succeed(ORIGIN); // the command ends after all
  await kit.executor.settled();
  assertEquals(kit.launcher.containers.size, 0);
});

Deno.test("an instance that ends is replaced by the next request", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const lease = (await started(kit, pool)).lease;
  kit.launcher.kill("one");
  assertEquals(lease.instance.gone.aborted, true);
  assertEquals(pool.claim(), undefined);
  const next = await started(kit, pool);
  assertEquals(next.lease.instance.id, "two");
  await kit.executor.settled();
  assertEquals(kit.launcher.called("remove"), ["one"]);
});

Deno.test("an address is given up only when no request is on its way there any more", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  kit.launcher.end("one");
  await kit.executor.settled();
  assertEquals(kit.launcher.called("forget"), []);
  lease.release();
  await settle();
  assertEquals(kit.launcher.called("forget"), ["one"]);
});

Deno.test("an instance that was paused from outside is resumed by the next request", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  kit.launcher.pause("one");
  assertEquals(pool.claim(), undefined);
  const grant = await pool.hold(never());
  assertEquals([grant.how, grant.lease.instance.id], ["resume", "one"]);
  assertEquals(kit.launcher.called("resume"), ["one"]);
});

Deno.test("an instance that cannot be resumed is replaced", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  kit.launcher.pause("one");
  kit.launcher.on.resume = () => {
    throw new Error("the engine does not want to");
  };
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
  assertEquals(kit.launcher.called("remove"), ["one"]);
});

Deno.test("an idle instance is stopped after its time, one in use never", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  await kit.clock.advance(120_000);
  assertEquals(lease.instance.state, "ready");
  lease.release();
  await kit.clock.advance(59_999);
  assertEquals(lease.instance.state, "ready");
  await kit.clock.advance(1);
  await kit.executor.settled();
  assertEquals(kit.launcher.called("stop"), ["one"]);
  assertEquals(kit.fleet.instances(), []);
});

Deno.test("a request that arrives during a stop gets a new instance", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  (await started(kit, pool)).lease.release();
  const stopped = Promise.withResolvers<void>();
  kit.launcher.on.stop = () => stopped.promise;
  await kit.clock.advance(60_000);
  const next = await started(kit, pool);
  assertEquals(next.lease.instance.id, "two");
  stopped.resolve();
  await kit.executor.settled();
  assertEquals([...kit.launcher.containers.keys()], ["two"]);
});

Deno.test("the address of a failed start is given up only when its container is gone", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  const held = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await kit.clock.advance(30_000);
  await held;
  await kit.executor.settled();
  await settle();
  assertEquals(kit.launcher.calls.map(({ method }) => method), ["launch", "output", "remove", "forget"]);
});

Deno.test("the output of an app before its start failed belongs to the error of that start", async () => {
  const kit = newKit();
  kit.launcher.written = "cannot find config.json";
  const holding = kit.newPool().hold(never());
  const failed = assertRejects(() => holding, ClessError);
  (await kit.launcher.nextLaunch()).fail(new Error("exec format error"));
  assertEquals((await kit.executor.explain(await failed)).output, "cannot find config.json");
  assertEquals((await kit.executor.explain(new ClessError("start_failed", "another one"))).output, "");
});

Deno.test("a waiting request learns of its start's failure whatever else happens at that moment", async () => {
  const kit = newKit({
    observer: { changed: ({ state }) => state === "failed" && pool.keep(true) },
  });
  const pool = kit.newPool();
  const failed = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).fail(new Error("exit code 1"));
  assertEquals((await failed).code, "start_failed");
  assertEquals(kit.launcher.called("launch"), ["one"]);
});

Deno.test("a tried start that succeeds leaves an idle instance", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const started = pool.tryStart(never());
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  await started;
  assertEquals(kit.fleet.instances().map(({ state, inFlight }) => [state, inFlight]), [["ready", 0]]);
});

Deno.test("a tried start that fails says why, with the output of the app", async () => {
  const kit = newKit();
  kit.launcher.written = "cannot find config.json";
  const started = kit.newPool().tryStart(never());
  (await kit.launcher.nextLaunch()).fail(new Error("exit code 1"));
  const error = await assertRejects(() => started, ClessError);
  assertEquals([error.code, error.output], ["start_failed", "cannot find config.json"]);
  assert(error.detail?.includes("exit code 1"), error.detail);
});

Deno.test("a tried start during a crash loop keeps the output of the last failure and when to try again", async () => {
  const kit = newKit();
  kit.launcher.written = "cannot find config.json";
  kit.launcher.on.launch = () => Promise.reject(new Error("exit code 1"));
  const pool = kit.newPool();
  for (let n = 0; n < 3; n++) await assertRejects(() => pool.hold(never()), ClessError);
  await kit.executor.settled();
  const error = await assertRejects(() => pool.tryStart(never()), ClessError);
  assertEquals([error.code, error.output, error.retryAfterS], ["crash_loop", "cannot find config.json", 1]);
});

Deno.test("a tried start that is called off rejects with the signal's reason", async () => {
  const kit = newKit();
  const controller = new AbortController();
  const started = kit.newPool().tryStart(controller.signal);
  const launch = await kit.launcher.nextLaunch();
  controller.abort(new Error("called off"));
  await assertRejects(() => started, Error, "called off");
  launch.succeed("http://10.0.0.2:8080");
});

/** What a pool takes for usual after starts that took so long, ms. */
async function usualOf(...starts: number[]): Promise<number | undefined> {
  const kit = newKit();
  const pool = kit.newPool();
  for (const ms of starts) {
    const held = pool.hold(never());
    const launch = await kit.launcher.nextLaunch();
    await kit.clock.advance(ms);
    launch.succeed(ORIGIN);
    (await held).lease.release();
    await pool.sleep(0);
  }
  return pool.usualColdStartMs;
}

Deno.test("a pool takes the median of its last nine cold starts for usual", async () => {
  assertEquals(await usualOf(), undefined);
  assertEquals(await usualOf(0), 0);
  assertEquals(await usualOf(500), 500);
  assertEquals(await usualOf(500, 700), 600);
  assertEquals(await usualOf(900, 100, 200), 200);
  assertEquals(await usualOf(...Array(20).fill(9000), ...Array(9).fill(100)), 100);
  assertEquals(await usualOf(...Array(9).fill(9000), ...Array(4).fill(100)), 9000);
});

Deno.test("an observer is told of each instance, of each change of its state, and of how long a start took", async () => {
  const told: string[] = [];
  const kit = newKit({
    observer: {
      changed: ({ id, state }, before) => void told.push(`${id} ${before ?? "new"} ${state}`),
      started: ({ service }, createMs, readyMs) => void told.push(`${service} ${createMs} ${readyMs}`),
      failed: ({ service }, { count, output }) => void told.push(`${service} ${count} ${output}`),
    },
    untilReady: async (_url, clock) => {
      await new Promise<void>((resolve) => clock.after(300, resolve));
    },
  });
  kit.launcher.written = "no config";
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  await kit.clock.advance(200);
  launch.succeed(ORIGIN);
  await kit.clock.advance(300);
  (await held).lease.release();
  kit.launcher.pause("one");
  (await pool.hold(never())).lease.release();
  await pool.sleep(0);
  assertEquals(told, [
    ...["one new starting", "app 200 300", "one starting ready", "one ready paused", "one paused ready"],
    ...["one ready draining", "one draining stopped"],
  ]);
  told.length = 0;
  const failed = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).fail(new Error("exit code 1"));
  await failed;
  await kit.executor.settled();
  assertEquals(told, ["two new starting", "two starting failed", "app 1 no config"]);
});

Deno.test("a pool is ready while an instance is, and awake while one could be soon", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  assertEquals([pool.ready, pool.live, pool.full, pool.states()], [false, false, false, []]);
  const held = pool.hold(never());
  assertEquals([pool.ready, pool.live, pool.full, pool.states()], [false, true, true, ["starting"]]);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  const { lease } = await held;
  assertEquals([pool.ready, pool.live, pool.states()], [true, true, ["ready"]]);
  lease.release();
  kit.launcher.pause("one");
  assertEquals([pool.ready, pool.live, pool.states()], [false, true, ["paused"]]);
  await pool.sleep(0);
  assertEquals([pool.ready, pool.live, pool.states()], [false, false, []]);
});

Deno.test("a pool has been used within a time if a request is in flight, or the last one ended since", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  assertEquals(pool.usedWithin(Infinity), false);
  const { lease } = await started(kit, pool);
  await kit.clock.advance(5000);
  assertEquals(pool.usedWithin(1000), true);
  lease.release();
  await kit.clock.advance(1000);
  assertEquals([pool.usedWithin(1000), pool.usedWithin(1001)], [false, true]);
});

Deno.test("a change of what a process may do with its containers takes effect at the next look", async () => {
  const kit = newKit();
  const role: { now: { tenure: Tenure } } = { now: { tenure: "serve" } };
  const names = ["one", "two"];
  const revision = { ...newRevision(), pauseAfterMs: 10_000 };
  const { clock, executor, fleet } = kit;
  const newId = () => names.shift()!;
  const pool = new InstancePool(revision, { clock, executor, fleet, maxPending: 10, newId, role });
  const { lease } = await started(kit, pool);
  for (let n = 0; n < 9; n++) lease.instance.suspect("unreachable");
  lease.release();
  await kit.clock.advance(60_000);
  assertEquals([lease.instance.state, kit.launcher.called("pause")], ["ready", []]);
  role.now = { tenure: "all" };
  pool.look();
  assertEquals([lease.instance.state, kit.launcher.called("stop")], ["draining", ["one"]]);
  await kit.executor.settled();
});

Deno.test("a paused instance that ends keeps how and why, whatever the engine says of its container later", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease: { instance, release } } = await started(kit, pool);
  release();
  kit.launcher.pause("one");
  kit.launcher.end("one", 137, true);
  assertEquals([instance.state, instance.failure, instance.exitCode, instance.oom, instance.byHand], [
    ...["stopped", "out of memory", 137, true, false],
  ]);
  assertEquals(pool.failure?.reason, "out of memory soon after it was ready");
  kit.launcher.emit({ id: "one", what: "ended", exitCode: 1, byHand: true }); // the engine says it once more
  assertEquals([instance.exitCode, instance.byHand], [137, false]);
  await kit.executor.settled();
});

Deno.test("an eviction resolves once the container is gone", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease: { instance, release } } = await started(kit, pool);
  release();
  kit.launcher.pause("one");
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  let isOver = false;
  const evicted = pool.evict(instance).then(() => isOver = true);
  await settle();
  assertEquals([isOver, instance.state], [false, "draining"]);
  removed.resolve();
  await evicted;
  assertEquals(kit.launcher.containers.size, 0);
});

Deno.test("an instance belongs to its pool before its container is requested", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const known: unknown[] = [];
  kit.launcher.on.launch = ({ id }) => {
    known.push(kit.fleet.get(id)?.state, pool.states());
    return { origin: ORIGIN };
  };
  (await pool.hold(never())).lease.release();
  assertEquals(known, ["starting", ["starting"]]);
});
