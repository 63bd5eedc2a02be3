import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import type { Revision } from "../../src/model/revision.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started } from "../support/kit.ts";

const BY = { kind: "operator", name: "ci" } as const;
const TIERED: Revision = { ...newRevision(), pauseAfterMs: 10_000, hibernateAfterMs: 30_000, stopAfterMs: 60_000 };

/** A pool with one instance that has just served a request. */
async function newScene(revision: Partial<Revision> = {}) {
  const woken: string[] = [];
  const kit = newKit({ observer: { woken: ({ id }, how, _, by) => void woken.push(`${id} ${how} by ${by.kind}`) } });
  const pool = kit.newPool({ ...TIERED, ...revision });
  const { lease } = await started(kit, pool);
  lease.release();
  return { kit, pool, instance: lease.instance, woken };
}

Deno.test("an instance is not paused while a session is open, and its idle time begins when the session ends", async () => {
  const { instance, kit, pool } = await newScene();
  const session = await pool.enter(never(), BY);
  await kit.clock.advance(600_000);
  assertEquals([session.instance, instance.state], [instance, "ready"]);
  session.release();
  await kit.clock.advance(9_999);
  assertEquals(instance.state, "ready");
  await kit.clock.advance(1);
  assertEquals(instance.state, "paused");
});

Deno.test("a session wakes a paused instance, also without any request", async () => {
  const { instance, kit, pool, woken } = await newScene();
  kit.launcher.canHibernate = false;
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "paused");
  const session = await pool.enter(never(), BY);
  assertEquals([session.instance, instance.state, instance.requests], [instance, "ready", 0]);
  assertEquals(woken, ["one cold by unknown", "one resume by operator"]);
});

Deno.test("a session starts an instance if there is none", async () => {
  const kit = newKit();
  const pool = kit.newPool(TIERED);
  const entering = pool.enter(never(), BY);
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  assertEquals((await entering).instance.state, "ready");
});

Deno.test("a session takes no slot: requests get all of them, and a full instance can be entered", async () => {
  const { instance, pool } = await newScene({ concurrency: 1 });
  const sessions = [await pool.enter(never(), BY), await pool.enter(never(), BY)];
  const request = pool.claim();
  assertEquals([request?.instance, pool.claim()], [instance, undefined]);
  sessions.push(await pool.enter(never(), BY));
  assertEquals([instance.requests, instance.sessions], [1, 3]);
  for (const session of sessions) session.release();
  assertEquals(pool.claim(), undefined);
  request!.release();
  assertEquals(pool.claim()?.instance, instance);
});

Deno.test("sessions are no demand, so they start no instances", async () => {
  const { kit, pool } = await newScene({ concurrency: 1, maxInstances: 3 });
  for (let n = 0; n < 5; n++) await pool.enter(never(), BY);
  await kit.clock.advance(600_000);
  assertEquals(kit.launcher.called("launch"), ["one"]);
});

Deno.test("an instance that sleeps is resumed when a session is opened on it and the pool looks", async () => {
  const { instance, kit, pool, woken } = await newScene();
  kit.launcher.canHibernate = false;
  await kit.clock.advance(10_000);
  const session = instance.enter(BY);
  pool.look();
  await settle();
  assertEquals([instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
  assertEquals(woken, ["one cold by unknown", "one resume by operator"]);
  session.release();
});

Deno.test("an instance that drains waits for its session up to the time that it has", async () => {
  const { instance, kit, pool } = await newScene();
  await pool.enter(never(), BY);
  const slept = pool.sleep(20_000);
  await kit.clock.advance(19_999);
  assertEquals([instance.state, kit.launcher.called("stop")], ["draining", []]);
  await kit.clock.advance(1);
  await slept;
  assertEquals([instance.state, kit.launcher.called("stop")], ["stopped", ["one"]]);
});

Deno.test("a session that gets no instance is told why, with the app's output", async () => {
  const kit = newKit();
  const pool = kit.newPool(TIERED);
  kit.launcher.written = "no database";
  const entering = pool.enter(never(), BY);
  (await kit.launcher.nextLaunch()).fail(new Error("the engine is full"));
  const error = await assertRejects(() => entering, ClessError);
  assertEquals([error.code, error.detail], ["start_failed", "the engine is full"]);
});
