import { assertEquals } from "@std/assert";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import type { Tenure } from "../../src/pool/decide.ts";
import { type Container, NotNow } from "../../src/pool/launcher.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, NO_SLOTS } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

function newReconciler({ launcher, fleet, clock }: ReturnType<typeof newKit>) {
  return new Reconciler(launcher, fleet, { stays: () => false }, clock);
}

async function start(kit: ReturnType<typeof newKit>) {
  const pool = kit.newPool();
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  return { pool, lease: (await held).lease };
}

Deno.test("idle instances are stopped in time, and nothing ticks after the end", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  (await start(kit)).lease.release();
  reconciler.start({ listening: true });
  await kit.clock.advance(59_000);
  assertEquals(kit.launcher.called("stop"), []);
  await kit.clock.advance(1500);
  assertEquals(kit.launcher.called("stop"), ["one"]);
  reconciler.stop();
  await kit.executor.settled();
  assertEquals(kit.clock.timers, 0);
});

Deno.test("an end without an event is noticed by the next reconciliation", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const { pool, lease } = await start(kit);
  kit.launcher.endUnseen("one");
  assertEquals(lease.instance.state, "ready");
  await reconciler.reconcile();
  assertEquals([lease.instance.state, pool.claim()], ["stopped", undefined]);
});

Deno.test("without events the containers are listed every second, otherwise much less often", async () => {
  for (const [listening, expected] of [[true, 1], [false, 20]] as const) {
    const kit = newKit();
    let asked = 0;
    kit.launcher.on.list = () => void asked++;
    const reconciler = newReconciler(kit);
    reconciler.start({ listening });
    await kit.clock.advance(20_250);
    reconciler.stop();
    assertEquals(asked, expected);
  }
});

Deno.test("a pause or resume without an event is noticed by the next reconciliation", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const { lease } = await start(kit);
  lease.release();
  const container = kit.launcher.containers.get("one")!;
  kit.launcher.containers.set("one", { ...container, state: "paused" });
  await reconciler.reconcile();
  assertEquals(lease.instance.state, "paused");
  kit.launcher.containers.set("one", { ...container, state: "running" });
  await reconciler.reconcile();
  assertEquals(lease.instance.state, "ready");
});

Deno.test("a container that belongs to no instance is removed", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  await start(kit);
  kit.launcher.containers.set("lost", { ...kit.launcher.containers.get("one")!, id: "lost" });
  await reconciler.reconcile();
  assertEquals([kit.launcher.called("remove"), kit.launcher.called("forget")], [["lost"], ["lost"]]);
  assertEquals([...kit.launcher.containers.keys()], ["one"]);
});

Deno.test("an instance that is being started while the list is made is left alone", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const pool = kit.newPool();
  const listed = Promise.withResolvers<void>();
  kit.launcher.on.list = () => listed.promise;
  const before = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const reconciled = reconciler.reconcile();
  launch.succeed(ORIGIN);
  const { instance } = (await before).lease;
  listed.resolve();
  await reconciled;
  assertEquals(instance.state, "ready");
  assertEquals(kit.launcher.called("remove"), []);
});

Deno.test("however many requests suspect an instance, the engine is asked once a second", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  let asked = 0;
  kit.launcher.on.list = () => void asked++;
  for (let n = 0; n < 100; n++) reconciler.suspect();
  await kit.clock.advance(500);
  reconciler.suspect();
  assertEquals(asked, 1);
  await kit.clock.advance(500);
  reconciler.suspect();
  assertEquals(asked, 2);
});

Deno.test("an engine that does not answer changes nothing", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const { lease } = await start(kit);
  kit.launcher.on.list = () => {
    throw new Error("the engine is away");
  };
  await reconciler.reconcile();
  assertEquals(lease.instance.state, "ready");
});

Deno.test("a list that is older than a start does not end the instance", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const pool = kit.newPool();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  const answered = Promise.withResolvers<void>();
  kit.launcher.on.list = () => answered.promise;
  const reconciled = reconciler.reconcile(); // the container is not there yet
  launch.succeed(ORIGIN);
  const { instance } = (await held).lease;
  answered.resolve();
  await reconciled;
  assertEquals([instance.state, kit.launcher.called("remove")], ["ready", []]);
});

Deno.test("a list that is older than a pause does not undo it", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const { lease } = await start(kit);
  lease.release();
  const answered = Promise.withResolvers<void>();
  kit.launcher.on.list = () => answered.promise;
  const reconciled = reconciler.reconcile();
  kit.launcher.pause("one");
  answered.resolve();
  await reconciled;
  assertEquals(lease.instance.state, "paused");
});

Deno.test("a container that is being removed is no orphan, and its address is kept until nothing is on its way there", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const { lease } = await start(kit);
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  kit.launcher.end("one");
  await reconciler.reconcile();
  assertEquals([kit.launcher.called("remove"), kit.launcher.called("forget")], [["one"], []]);
  removed.resolve();
  await kit.executor.settled();
  assertEquals(kit.launcher.called("forget"), []);
  lease.release();
  await settle();
  assertEquals(kit.launcher.called("forget"), ["one"]);
});

Deno.test("a sweep asks again while the engine does not answer, but not for ever", async () => {
  for (const [failures, asked] of [[0, 1], [2, 3], [9, 5]] as const) {
    const kit = newKit();
    let asks = 0;
    kit.launcher.on.list = () => {
      if (++asks <= failures) throw new Error("busy");
    };
    await newReconciler(kit).sweep();
    assertEquals(asks, asked);
  }
});

Deno.test("a container without an instance stays while another process may own it, or adoption protects it", async () => {
  const kit = newKit();
  const protects = { lost: true };
  const role: { now: { tenure: Tenure } } = { now: { tenure: "all" } };
  const reconciler = new Reconciler(kit.launcher, kit.fleet, { stays: () => protects.lost }, kit.clock, role);
  await start(kit);
  kit.launcher.containers.set("lost", { ...kit.launcher.containers.get("one")!, id: "lost" });
  await reconciler.reconcile();
  protects.lost = false;
  for (const tenure of ["serve", "finish"] as const) {
    role.now = { tenure };
    assertEquals([await reconciler.reconcile(), kit.launcher.called("remove")], [true, []]);
  }
  role.now = { tenure: "all" };
  assertEquals([await reconciler.reconcile(), kit.launcher.called("remove")], [true, ["lost"]]);
});

Deno.test("simultaneous reconciliations ask the engine once, and the next one asks it again", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const listed = Promise.withResolvers<void>();
  let asked = 0;
  kit.launcher.on.list = () => {
    asked++;
    return listed.promise;
  };
  const both = Promise.all([reconciler.reconcile(), reconciler.reconcile()]);
  listed.resolve();
  assertEquals([await both, asked], [[true, true], 1]);
  kit.launcher.on.list = () => {
    asked++;
    throw new Error("the engine is away");
  };
  assertEquals([await reconciler.reconcile(), asked], [false, 2]);
});

Deno.test("a reconciliation has failed if a container cannot be removed", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  await start(kit);
  kit.launcher.containers.set("lost", { ...kit.launcher.containers.get("one")!, id: "lost" });
  kit.launcher.on.remove = () => {
    throw new Error("in use");
  };
  assertEquals([await reconciler.reconcile(), kit.launcher.called("forget")], [false, []]);
});

Deno.test("the time to the next reconciliation counts from the end of the last one", async () => {
  const kit = newKit();
  const reconciler = newReconciler(kit);
  const asked: number[] = [];
  const began = kit.clock.now();
  kit.launcher.on.list = () => void asked.push(kit.clock.now() - began);
  reconciler.start({ listening: true });
  await kit.clock.advance(10_000);
  await reconciler.reconcile();
  await kit.clock.advance(20_000);
  reconciler.stop();
  assertEquals(asked, [10_000, 25_000]);
});

Deno.test("news that comes while the containers are listed is not missed: they are listed once more", async () => {
  const kit = newKit();
  const lists: (() => void)[] = [];
  kit.launcher.on.list = () => new Promise<void>((resolve) => void lists.push(resolve));
  const reconciler = newReconciler(kit);
  reconciler.reconcile();
  const refreshed = Promise.all([reconciler.refresh(), reconciler.refresh()]);
  await settle();
  assertEquals(lists.length, 1);
  lists[0]!();
  await settle();
  assertEquals(lists.length, 2);
  lists[1]!();
  await refreshed;
  assertEquals(lists.length, 2);
});

Deno.test("a container that another cless has started is adopted alone, and only if it is not known yet", async () => {
  const kit = newKit();
  const found: string[] = [];
  const known: string[] = [];
  const there: Container[] = [];
  kit.launcher.sharing = {
    isOurs: () => true,
    find: (id) => {
      found.push(id);
      return there.length === 0 ? Promise.reject(new Error("the Swarm is away")) : Promise.resolve(there[0]);
    },
    mayEnd: () => Promise.resolve(),
    runsOn() {},
    usesAgain() {},
    slots: NO_SLOTS,
  };
  const stays = ({ id }: Container) => {
    known.push(id);
    return true;
  };
  const reconciler = new Reconciler(kit.launcher, kit.fleet, { stays }, kit.clock);
  await start(kit);
  await reconciler.discover("one");
  assertEquals(found, []);
  await reconciler.discover("two");
  there.push({ ...kit.launcher.containers.get("one")!, id: "two" });
  await reconciler.discover("two");
  assertEquals([found, known, kit.launcher.calls.map(({ method }) => method)], [["two", "two"], ["two"], ["launch"]]);
});

Deno.test("a container without an instance stays while another cless uses it, and one that has ended does not", async () => {
  const kit = newKit();
  const asked: string[] = [];
  kit.launcher.sharing = {
    isOurs: () => true,
    find: () => Promise.resolve(undefined),
    mayEnd: (id) => {
      asked.push(id);
      return Promise.reject(new NotNow("another cless starts it", { idleMs: 0 }));
    },
    runsOn() {},
    usesAgain() {},
    slots: NO_SLOTS,
  };
  const reconciler = newReconciler(kit);
  await start(kit);
  const one = kit.launcher.containers.get("one")!;
  kit.launcher.containers.set("used", { ...one, id: "used" });
  kit.launcher.containers.set("ended", { ...one, id: "ended", state: "ended" });
  assertEquals([await reconciler.reconcile(), kit.launcher.called("remove")], [true, ["ended"]]);
  assertEquals(asked, ["used"]);
});
