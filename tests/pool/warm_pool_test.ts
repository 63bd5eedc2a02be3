import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { DeclaredService } from "../../src/routing/declared_service.ts";
import { Reaper } from "../../src/fleet/reconciler.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, untilAborted } from "../support/kit.ts";

/** A pool whose apps answer at once, with two containers made in advance unless a test says otherwise. */
function newWarm(revision: Partial<Revision> = {}) {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const pool = kit.newPool({ ...newRevision(), warmPool: 2, ...revision });
  const tick = async (times = 1, kept = true) => {
    for (let n = 0; n < times; n++) {
      pool.tick(kept);
      await settle();
      await kit.clock.advance(500);
    }
  };
  const there = () => [...kit.launcher.containers.values()].map(({ id, state }) => `${id} ${state}`);
  return { kit, pool, tick, there };
}

Deno.test("containers are made in advance, one after the other, and no more than there should be", async () => {
  const { kit, pool, there, tick } = newWarm();
  await tick();
  assertEquals([there(), pool.warm.size], [["one created"], 1]);
  await tick(5);
  assertEquals(there(), ["one created", "two created"]);
  assertEquals([pool.awake, kit.fleet.instances()], [false, []]);
});

Deno.test("a cold start takes one, and another one is made once it is ready", async () => {
  const { kit, pool, there, tick } = newWarm();
  await tick(2);
  delete kit.launcher.on.launch;
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  assertEquals([launch.id, launch.revision], ["one", kit.launcher.created.get("one")]);
  await tick(3);
  assertEquals(there(), ["one created", "two created"]); // the start has the engine to itself
  launch.succeed("http://one");
  const { lease } = await held;
  assertEquals([lease.instance.id, lease.instance.coldStartMs], ["one", 1500]);
  await tick();
  assertEquals(there(), ["one running", "two created", "three created"]);
});

Deno.test("a start that finds none made is as without a warm pool, and does not wait for one that is being made", async () => {
  const { kit, pool, there, tick } = newWarm({ warmPool: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  kit.launcher.on.create = () => promise;
  await tick();
  const { lease } = await pool.hold(never());
  assertEquals(lease.instance.id, "two");
  resolve();
  await settle();
  assertEquals(there(), ["two running", "one created"]);
});

Deno.test("none is made for a revision that gets no requests, and those that there are go", async () => {
  const { kit, pool, there, tick } = newWarm();
  await tick(1, false);
  assertEquals(kit.launcher.calls, []);
  await tick(2);
  await tick(1, false);
  assertEquals([there(), pool.warm.size, kit.fleet.spares.size], [[], 0, 0]);
  assertEquals(kit.launcher.called("forget"), ["one", "two"]); // their addresses are free
  await tick(2);
  assertEquals(there().length, 2);
});

Deno.test("none is made while the revision is suspended, nor while it is left alone since it fails again and again", async () => {
  const { kit, pool, tick } = newWarm({ warmPool: 1 });
  pool.suspend(0);
  await tick(2);
  assertEquals(kit.launcher.called("create"), []);
  pool.resume();
  kit.launcher.on.launch = () => {
    throw new Error("no");
  };
  for (let failures = 0; failures < 3; failures++) await pool.hold(never()).catch(() => {});
  pool.tick(true);
  await settle();
  assertEquals([pool.backOff, kit.launcher.called("create")], [500, []]);
  await kit.clock.advance(500);
  await tick();
  assertEquals(kit.launcher.called("create").length, 1);
});

Deno.test("one is made anew however often somebody removes the instance that the last one was started as", async () => {
  const { kit, pool, tick } = newWarm({ warmPool: 1 });
  for (let removals = 1; removals < 10; removals++) {
    await tick();
    assertEquals([kit.launcher.called("create").length, pool.warm.size], [removals, 1]);
    const { lease } = await pool.hold(never());
    lease.release();
    kit.launcher.kill(lease.instance.id);
  }
});

Deno.test("one that cannot be made is tried again less and less often, and leaves nothing behind", async () => {
  const { kit, tick } = newWarm({ warmPool: 1 });
  const at: number[] = [];
  kit.launcher.on.create = (launch) => {
    at.push(kit.clock.now());
    kit.launcher.put(launch, "created"); // though the engine says that it is not
    throw new Error("the engine refuses");
  };
  await tick(32);
  assertEquals(at.map((ms) => ms - at[0]!), [0, 1000, 3000, 7000, 15_000]);
  assertEquals([kit.launcher.containers.size, kit.fleet.spares.size], [0, 0]);
  delete kit.launcher.on.create;
  await tick(34);
  assertEquals(kit.launcher.containers.size, 1);
});

Deno.test("a pool that retires removes them, also the one that is being made", async () => {
  const { kit, pool, there, tick } = newWarm();
  await tick();
  const { promise, resolve } = Promise.withResolvers<void>();
  kit.launcher.on.create = () => promise;
  await tick();
  const retired = pool.retire(1000);
  await settle();
  assertEquals([there(), kit.fleet.pools().has(pool)], [[], true]);
  resolve();
  await retired;
  assertEquals([there(), kit.fleet.size], [[], 0]);
  await tick();
  assertEquals(there(), []);
});

Deno.test("one that waits to be made is called off where none is wanted any more, and made at once where it is again", async () => {
  const { kit, pool, there, tick } = newWarm({ warmPool: 1 });
  kit.launcher.on.create = (_, signal) => untilAborted(signal!);
  await tick();
  await tick(1, false);
  assertEquals([kit.launcher.called("remove"), kit.fleet.spares.size], [["one"], 0]);
  await tick();
  assertEquals(kit.launcher.called("create"), ["one", "two"]);
  await pool.retire(1000);
  assertEquals([there(), kit.fleet.size], [[], 0]);
});

Deno.test("a pool that is put to sleep keeps them, for whoever comes next", async () => {
  const { pool, there, tick } = newWarm({ warmPool: 1 });
  (await pool.hold(never())).lease.release();
  await tick();
  await pool.sleep(1000);
  await tick(4);
  assertEquals(there(), ["two created"]);
  assertEquals((await pool.hold(never())).lease.instance.id, "two");
});

Deno.test("the reaper keeps them, and replaces one that somebody has removed or started", async () => {
  const { kit, pool, there } = newWarm();
  const services = new ServiceMap();
  services.put(new DeclaredService("app", { domains: [], shares: [{ pool, percent: 100 }] }));
  const { launcher, fleet, clock } = kit;
  const reaper = new Reaper({ launcher, fleet, clock, listening: () => true, kept: () => services.kept() });
  reaper.start();
  await clock.advance(1000);
  await reaper.reconcile();
  assertEquals(there(), ["one created", "two created"]);
  launcher.containers.delete("one");
  launcher.put({ id: "two", revision: pool.revision }, "running");
  await reaper.reconcile();
  await settle();
  assertEquals(there(), []);
  await clock.advance(1000);
  assertEquals(there(), ["three created", "four created"]);
  assertEquals([pool.awake, fleet.spares.size], [false, 2]);
  reaper.stop();
});

Deno.test("one that is made while the engine makes its list is not taken for lost", async () => {
  const { kit, pool, there, tick } = newWarm({ warmPool: 1 });
  const { launcher, fleet, clock } = kit;
  const [made, listed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  launcher.on.create = () => made.promise;
  launcher.on.list = () => listed.promise;
  await tick();
  const reconciled = new Reaper({ launcher, fleet, clock, listening: () => true }).reconcile();
  made.resolve();
  await settle();
  listed.resolve();
  await reconciled;
  assertEquals([there(), pool.warm.size, launcher.called("remove")], [["one created"], 1, []]);
});

Deno.test("one that is started while the engine makes its list is not taken for lost either", async () => {
  const { kit, pool, there, tick } = newWarm({ warmPool: 1 });
  const { launcher, fleet, clock } = kit;
  await tick();
  const listed = Promise.withResolvers<void>();
  launcher.on.list = () => listed.promise;
  const reconciled = new Reaper({ launcher, fleet, clock, listening: () => true }).reconcile();
  await pool.hold(never());
  listed.resolve();
  await reconciled;
  assertEquals(there(), ["one running"]);
});

Deno.test("each pool has containers of its own, and no instance is counted for them", async () => {
  const { kit, pool, tick } = newWarm({ warmPool: 1 });
  const other = kit.newPool({ ...newRevision("sha256:other", "other"), warmPool: 1 });
  await tick();
  other.tick(true);
  await settle();
  const leases = [(await other.hold(never())).lease, (await pool.hold(never())).lease];
  assertEquals(leases.map(({ instance }) => kit.launcher.created.get(instance.id)), [other.revision, pool.revision]);
  assertEquals([pool.full, other.full], [true, true]);
});
