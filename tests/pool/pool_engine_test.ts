import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { EngineAway, VolumeAway } from "../../src/pool/launcher.ts";
import type { Probed } from "../../src/pool/probe.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

function away(): never {
  throw new EngineAway("Cannot connect to the Docker daemon");
}

Deno.test("while the engine is away a start is tried again, and waiting requests are served once the engine is back", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  kit.launcher.on.launch = away;
  const held = pool.hold(never());
  await kit.clock.advance(20_000);
  assertEquals(pool.waiting, 1);
  kit.launcher.on.launch = () => ({ origin: ORIGIN });
  await kit.clock.advance(1000);
  const { lease } = await held;
  assertEquals(lease.instance.id, "one");
  assertEquals([pool.failure, kit.launcher.calls.at(-2)], [undefined, { method: "remove", id: "one" }]);
  lease.release();
  await pool.retire(0);
  assertEquals(kit.clock.timers, 0);
});

Deno.test("a start fails after its timeout if the engine stays away, and that is no failure of the revision", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  kit.launcher.on.launch = away;
  for (let n = 0; n < 4; n++) {
    const held = assertRejects(() => pool.hold(never()), ClessError);
    await kit.clock.advance(30_000);
    const { code, detail } = await held;
    assertEquals([code, detail], [
      "start_timeout",
      "the engine does not answer: Cannot connect to the Docker daemon",
    ]);
  }
  assertEquals(pool.failure, undefined);
  await kit.clock.advance(1000);
  assertEquals(kit.clock.timers, 0);
});

Deno.test("while the machine of a volume is away its requests are held, and served once it is back", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  kit.launcher.on.launch = () => {
    throw new VolumeAway("the volume data is on the machine second, which is down", { isLost: false });
  };
  const late = assertRejects(() => pool.hold(never()), ClessError);
  await kit.clock.advance(30_000);
  const { code, detail, retryAfterS, status } = await late;
  const said = "the volume data is on the machine second, which is down";
  assertEquals([code, status, retryAfterS, detail], ["volume_away", 503, 10, said]);
  const held = pool.hold(never());
  await kit.clock.advance(20_000);
  kit.launcher.on.launch = () => ({ origin: ORIGIN });
  await kit.clock.advance(1000);
  (await held).lease.release();
  await pool.retire(0);
  assertEquals(kit.clock.timers, 0);
});

Deno.test("requests for a volume that is lost share one start a second, and that is no failure of the revision", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  let launches = 0;
  kit.launcher.on.launch = () => {
    launches++;
    throw new VolumeAway("the volume data is lost", { isLost: true });
  };
  for (let n = 1; n <= 5; n++) {
    const refused = Promise.all([1, 2, 3].map(() => assertRejects(() => pool.hold(never()), ClessError)));
    await kit.clock.advance(1000);
    assertEquals((await refused).map(({ code }) => code), Array(3).fill("volume_away"));
    assertEquals([launches, pool.failure], [n, undefined]);
  }
  await kit.executor.settled();
  assertEquals(kit.clock.timers, 0);
});

Deno.test("the error of a start on which the engine hangs names the engine, and is no failure of the revision", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...newRevision(), startTimeoutMs: 6000 });
  for (let n = 0; n < 4; n++) {
    const held = assertRejects(() => pool.hold(never()), ClessError);
    const launch = await kit.launcher.nextLaunch();
    await kit.clock.advance(6000);
    const { code, detail } = await held;
    assertEquals([code, detail], ["start_timeout", "the engine did not start the container within 6s"]);
    launch.succeed(ORIGIN);
    await kit.executor.settled();
  }
  assertEquals([pool.failure, pool.backoffMs], [undefined, 0]);
  assertEquals((await started(kit, pool)).lease.instance.id, "five");
});

Deno.test("while the engine is away a running instance goes on serving, and a request for a paused one waits", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs: 10_000, stopAfterMs: Infinity });
  (await started(kit, pool)).lease.release();
  kit.launcher.on.pause = kit.launcher.on.resume = away;
  await kit.clock.advance(10_000);
  await settle();
  assertEquals(pool.claim()?.release(), undefined);
  delete kit.launcher.on.pause;
  delete kit.launcher.on.resume;
  await kit.clock.advance(10_000);
  await settle();
  kit.launcher.on.resume = away;
  const held = pool.hold(never());
  await kit.clock.advance(10_000);
  delete kit.launcher.on.resume;
  await kit.clock.advance(1000);
  assertEquals((await held).lease.instance.id, "one");
  assertEquals(kit.launcher.called("launch"), ["one"]);
});

Deno.test("requests wait for a resume no longer than the start timeout, and the next request starts another instance", async () => {
  for (const resume of [away, () => new Promise<void>(() => {})]) {
    const kit = newKit();
    const pool = kit.newPool({ ...newRevision(), startTimeoutMs: 8000 });
    (await started(kit, pool)).lease.release();
    kit.launcher.pause("one");
    kit.launcher.on.resume = resume;
    const held = assertRejects(() => pool.hold(never()), ClessError);
    await kit.clock.advance(8000);
    const { code, detail } = await held;
    assertEquals([code, detail], ["start_timeout", "the engine did not resume the container within 8s"]);
    assertEquals([kit.launcher.called("launch"), pool.failure], [["one"], undefined]);
    assertEquals((await started(kit, pool)).lease.instance.id, "two");
  }
});

/** A pool whose one instance is about to be paused by an engine that hangs, and what its app does when it is probed. */
async function hanging(does: Probed) {
  const app: { does: Probed | Promise<Probed> } = { does };
  const kit = newKit({ ask: async () => await app.does });
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs: 10_000, stopAfterMs: 60_000, startTimeoutMs: 8_000 });
  const { lease } = await started(kit, pool);
  lease.release();
  const paused = Promise.withResolvers<void>();
  kit.launcher.on.pause = () => paused.promise;
  await kit.clock.advance(10_000);
  assertEquals(lease.instance.state, "paused");
  return { kit, pool, instance: lease.instance, paused, app };
}

Deno.test("requests that wait for the end of a hanging pause are served if the app answers a probe", async () => {
  const { kit, pool, instance, paused } = await hanging(200);
  const held = pool.hold(never());
  await kit.clock.advance(1000);
  const { lease } = await held;
  assertEquals([lease.instance, instance.state], [instance, "ready"]);
  lease.release();
  await kit.clock.advance(20_000);
  assertEquals([instance.state, kit.launcher.called("pause")], ["ready", ["one"]]); // not asked again while it hangs
  paused.resolve();
  await settle();
  assertEquals(instance.state, "paused");
  await pool.retire(0);
  assertEquals([kit.launcher.called("launch"), kit.launcher.called("resume")], [["one"], []]);
});

Deno.test("an instance that is paused after all while it serves is resumed at once", async () => {
  for (const isTold of [true, false]) {
    const { kit, pool, instance, paused } = await hanging(200);
    const held = pool.hold(never());
    await kit.clock.advance(1000);
    const { lease } = await held;
    if (!isTold) kit.launcher.onEvent = () => {};
    paused.resolve();
    await settle();
    assertEquals([instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
    lease.release();
    await pool.retire(0);
  }
});

Deno.test("requests go on waiting for the end of a hanging pause until the app answers a probe", async () => {
  const { kit, pool, instance, paused, app } = await hanging("silent");
  const held = pool.hold(never());
  await kit.clock.advance(3000);
  assertEquals([instance.state, pool.waiting], ["paused", 1]);
  app.does = 204;
  await kit.clock.advance(1000);
  assertEquals((await held).lease.instance, instance);
  paused.reject(new Error("the engine refuses"));
  await settle();
  assertEquals([instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
});

Deno.test("if a pause ends while the app is being probed, the instance is resumed even if the app answers", async () => {
  const { kit, pool, instance, paused, app } = await hanging("silent");
  const answer = Promise.withResolvers<Probed>();
  app.does = answer.promise;
  const held = pool.hold(never());
  await kit.clock.advance(1000);
  paused.resolve();
  await settle();
  answer.resolve(200);
  assertEquals((await held).lease.instance, instance);
  assertEquals(kit.launcher.called("resume"), ["one"]);
});
