import { assertEquals, assertRejects } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { ClessError } from "../../src/base/errors.ts";
import type { Grant, InstancePool } from "../../src/pool/pool.ts";
import { settle } from "../support/fake_clock.ts";
import { type Kit, never, newKit, newRevision } from "../support/kit.ts";

/** Every start succeeds at once, unless a test says otherwise. */
function newWide(revision: Partial<Revision> = {}, maxPending = 100): { kit: Kit; pool: InstancePool } {
  const kit = newKit({ maxPending });
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  return { kit, pool: kit.newPool({ ...newRevision(), concurrency: 1, maxInstances: 3, ...revision }) };
}

/** Waits for slots. Each request's grant is stored at the number of the request. */
function hold(pool: InstancePool, count: number): Grant[] {
  const grants: Grant[] = [];
  for (let n = 0; n < count; n++) pool.hold(never()).then((grant) => void (grants[n] = grant));
  return grants;
}

/** The numbers of the requests that have a slot. */
function served(grants: Grant[]): number[] {
  return Object.keys(grants).map(Number);
}

Deno.test("as many instances are started as the requests need, but no more than maxInstances", async () => {
  const { kit, pool } = newWide();
  const grants = hold(pool, 5);
  await settle();
  assertEquals([kit.launcher.called("launch"), served(grants)], [["one", "two", "three"], [0, 1, 2]]);
  assertEquals([pool.waiting, pool.full, pool.claim()], [2, true, undefined]);
});

Deno.test("a released slot goes to the first waiting request", async () => {
  const { pool } = newWide();
  const grants = hold(pool, 6);
  await settle();
  grants[1]!.lease.release();
  assertEquals(pool.claim(), undefined); // it is taken already
  await settle();
  assertEquals(served(grants), [0, 1, 2, 3]);
  assertEquals([grants[2]!.how, grants[3]!.how], ["cold", "cold"]); // it has waited for that, too
  grants[1]!.lease.release(); // a second time, which does not count
  await settle();
  assertEquals(served(grants), [0, 1, 2, 3]);
  for (const n of [0, 2]) grants[n]!.lease.release();
  await settle();
  assertEquals([served(grants), pool.waiting], [[0, 1, 2, 3, 4, 5], 0]);
  const later = pool.hold(never());
  grants[5]!.lease.release();
  assertEquals((await later).how, undefined);
});

Deno.test("no request overtakes a waiting one at any moment between an instance's becoming ready and its first request", async () => {
  const { kit, pool } = newWide({ maxInstances: 1 });
  for (const wake of ["launch", "resume"] as const) {
    const [first, second] = [pool.hold(never()), pool.hold(never())];
    let isServed = false;
    const served = first.then(() => isServed = true);
    for (let moments = 0; !isServed; moments++) {
      assertEquals(pool.claim(), undefined, `${wake}, after ${moments} moments`);
      await Promise.resolve();
    }
    await served;
    (await first).lease.release();
    (await second).lease.release();
    kit.launcher.pause("one");
  }
  assertEquals([kit.launcher.called("launch"), kit.launcher.called("resume")], [["one"], ["one"]]);
});

Deno.test("an instance gets no more requests than its concurrency", async () => {
  const { kit, pool } = newWide({ concurrency: 4, maxInstances: 2 });
  const grants = hold(pool, 9);
  await settle();
  assertEquals(served(grants).length, 8);
  assertEquals(grants.map(({ lease }) => lease.instance.inFlight), Array(8).fill(4));
  assertEquals(kit.launcher.called("launch").length, 2);
});

Deno.test("one instance without a limit of concurrency is enough, however large maxInstances is", async () => {
  const { kit, pool } = newWide({ concurrency: 0, maxInstances: 10 });
  const grants = hold(pool, 50);
  await settle();
  assertEquals([served(grants).length, kit.launcher.called("launch")], [50, ["one"]]);
});

Deno.test("a request that gives up while waiting is passed over", async () => {
  const { pool } = newWide({ maxInstances: 1 });
  const grants = hold(pool, 1);
  await settle();
  const client = new AbortController();
  const gone = assertRejects(() => pool.hold(client.signal), Error, "gone");
  const next = pool.hold(never());
  client.abort(new Error("gone"));
  await gone;
  grants[0]!.lease.release();
  assertEquals((await next).lease.instance.id, "one");
});

Deno.test("requests beyond the limit of waiting ones are refused at once, also while all instances are busy", async () => {
  const { pool } = newWide({ maxInstances: 1 }, 2);
  const grants = hold(pool, 1);
  await settle();
  hold(pool, 2);
  const error = await assertRejects(() => pool.hold(never()), ClessError);
  assertEquals([error.code, error.retryAfterS], ["overloaded", 1]);
  grants[0]!.lease.release();
});

Deno.test("waiting requests keep their places when an instance dies, and another one is started for them", async () => {
  const { kit, pool } = newWide({ maxInstances: 2 });
  const grants = hold(pool, 4);
  await settle();
  kit.launcher.kill("one");
  await settle();
  assertEquals([kit.launcher.called("launch"), served(grants)], [["one", "two", "three"], [0, 1, 2]]);
  grants[1]!.lease.release();
  await settle();
  assertEquals(grants.map(({ lease }) => lease.instance.id), ["one", "two", "three", "two"]);
});

Deno.test("a failed start fails no request while another instance serves, and is tried again", async () => {
  const { kit, pool } = newWide({ maxInstances: 2 });
  const grants = hold(pool, 1);
  await settle();
  kit.launcher.on.launch = () => {
    throw new Error("no room");
  };
  const more = hold(pool, 2);
  await settle();
  assertEquals([served(more), pool.waiting, pool.failure?.count], [[], 2, 3]);
  grants[0]!.lease.release();
  await settle();
  assertEquals(served(more), [0]);
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  await kit.clock.advance(500);
  await settle();
  assertEquals(served(more), [0, 1]);
});

Deno.test("a paused instance is resumed before another one is started", async () => {
  const { kit, pool } = newWide({ pauseAfterMs: 1000, maxInstances: 2 });
  const grants = hold(pool, 2);
  await settle();
  for (const { lease } of grants) lease.release();
  await kit.clock.advance(1000);
  await settle();
  assertEquals(kit.launcher.called("pause"), ["one", "two"]);
  const again = hold(pool, 3);
  await settle();
  assertEquals(served(again), [0, 1]);
  assertEquals([kit.launcher.called("resume").length, kit.launcher.called("launch").length], [2, 2]);
  assertEquals(again.map(({ how }) => how), ["resume", "resume"]);
});

Deno.test("under a low load the first instance serves all requests, and the others become idle", async () => {
  const { kit, pool } = newWide({ concurrency: 2, pauseAfterMs: 1000 });
  const grants = hold(pool, 6);
  await settle();
  for (const { lease } of grants) lease.release();
  for (let n = 0; n < 4; n++) {
    const lease = pool.claim()!;
    assertEquals(lease.instance.id, "one");
    await kit.clock.advance(500);
    lease.release();
  }
  assertEquals(kit.launcher.called("pause"), ["two", "three"]);
});

Deno.test("an instance that is not needed for a whole window is drained, the least used first", async () => {
  const { kit, pool } = newWide({ concurrency: 2 });
  const grants = hold(pool, 6);
  await settle();
  await kit.clock.advance(1000);
  // One request on each from now on: two instances would do.
  for (const instance of new Set(grants.map(({ lease }) => lease.instance))) {
    grants.find(({ lease }) => lease.instance === instance)!.lease.release();
  }
  await kit.clock.advance(58_000);
  const states = () => grants.map(({ lease }) => lease.instance.state);
  assertEquals(states().filter((state) => state === "draining").length, 0);
  await kit.clock.advance(4000);
  assertEquals(states().filter((state) => state === "draining").length, 2); // both of its slots
  assertEquals(kit.launcher.called("stop"), []);
  grants.forEach(({ lease }) => lease.instance.state === "draining" && lease.release());
  await settle();
  assertEquals(kit.launcher.called("stop").length, 1);
});

Deno.test("a load that comes and goes keeps its instances after a take-over, too", async () => {
  const { kit, pool } = newWide({ concurrency: 2 });
  const grants = hold(pool, 6);
  await settle();
  const instances = new Set(grants.map(({ lease }) => lease.instance));
  // What the process before has in flight.
  const earlier = [...instances].flatMap((instance) => [instance.claim(), instance.claim(true)]);
  for (const lease of [...earlier, ...grants.map(({ lease }) => lease)]) lease.release();
  for (let n = 0; n < 20; n++) {
    await kit.clock.advance(5000);
    const burst = Array.from({ length: 6 }, () => pool.claim());
    assertEquals(burst.filter((lease) => lease === undefined), []);
    burst.forEach((lease) => lease!.release());
  }
});

Deno.test("a pool that retires serves all waiting requests, one after the other", async () => {
  const { kit, pool } = newWide({ maxInstances: 1 });
  const grants = hold(pool, 3);
  await settle();
  const retired = pool.retire(10_000);
  for (let n = 0; n < 3; n++) {
    assertEquals(served(grants).length, n + 1);
    grants[n]!.lease.release();
    await settle();
  }
  await retired;
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("requests that wait in a retired pool are refused once it has no instance", async () => {
  const { kit, pool } = newWide({ maxInstances: 1 });
  hold(pool, 1);
  await settle();
  const held = assertRejects(() => pool.hold(never()), ClessError);
  const retired = pool.retire(10_000);
  kit.launcher.end("one");
  assertEquals((await held).code, "draining");
  await retired;
});

Deno.test("several starts that fail together count as one failure", async () => {
  const { kit, pool } = newWide();
  kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  const held = Array.from({ length: 3 }, () => assertRejects(() => pool.hold(never()), ClessError));
  for (const error of await Promise.all(held)) assertEquals(error.code, "start_failed");
  assertEquals([kit.launcher.called("launch").length, pool.failure?.count], [3, 1]);
});

Deno.test("at most as many requests wait for a slot as get one soon; those that came before the first instance all wait", async () => {
  const kit = newKit({ maxPending: 2000 });
  const pool = kit.newPool({ ...newRevision(), concurrency: 4, maxInstances: 1 });
  let [served, refused] = [0, 0];
  const ask = () =>
    pool.hold(never()).then(({ lease }) => {
      served++;
      kit.clock.after(10, lease.release);
    }, () => void refused++);
  for (let n = 0; n < 500; n++) ask();
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  await kit.clock.advance(2000);
  assertEquals([served, refused], [500, 0]);
  const leases = Array.from({ length: 4 }, () => pool.claim()!); // all slots are taken, so that others have to wait
  for (const lease of leases) kit.clock.after(10, lease.release);
  for (let ms = 0; ms < 5000; ms++) {
    ask(); // 1,000 in a second, and 400 are served
    await kit.clock.advance(1);
  }
  assertEquals(pool.waiting > 150 && pool.waiting <= 210, true, `${pool.waiting}`);
  assertEquals(served > 500 + 5 * 390, true, `${served}`);
  await kit.clock.advance(1000);
});

Deno.test("surplus instances are stopped one at a time, each after a new observation of the demand", async () => {
  const { kit, pool } = newWide({ stopAfterMs: Infinity, pauseAfterMs: Infinity });
  const grants = hold(pool, 3);
  await settle();
  grants[1]!.lease.release();
  grants[2]!.lease.release();
  const left: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    await kit.clock.advance(turn === 0 ? 60_000 : 500);
    left.push(pool.states().length);
  }
  assertEquals(left, [3, 3, 2, 1]);
  grants[0]!.lease.release();
});
