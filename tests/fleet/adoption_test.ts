import { assertEquals, assertRejects } from "@std/assert";
import { Adoption, type AdoptionPredecessor, type PoolFinder } from "../../src/fleet/adoption.ts";
import { ClessError } from "../../src/base/errors.ts";
import type { Revision } from "../../src/model/revision.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import type { Container } from "../../src/pool/launcher.ts";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import { settle } from "../support/fake_clock.ts";
import { type Kit, never, newKit, newRevision, NO_SLOTS } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.9:8080";

/** Puts containers into the engine that an earlier process has left. */
function leave(kit: Kit, ...containers: Partial<Container>[]): void {
  for (const container of containers) {
    const id = container.id ?? "old";
    const { imageId, name, service } = newRevision();
    kit.launcher.containers.set(id, {
      ...{ id, service, revision: name, imageId, state: "running", origin: ORIGIN },
      ...container,
    });
  }
}

/** An adoption for pools of services of their own. */
function newAdoption(kit: Kit, poolOf?: PoolFinder, before?: AdoptionPredecessor) {
  const pools = new Map<string, InstancePool>();
  const found: [id: string, pool: string | undefined][] = [];
  const launcher = Object.assign(kit.launcher, {
    found: (id: string, revision?: Revision) => void found.push([id, revision?.service]),
  });
  const adoption = new Adoption(launcher, kit.clock, 1000, before);
  const run = () => adoption.run(poolOf ?? (({ service }) => pools.get(service)));
  const newPool = (service = "app") => {
    const pool = kit.newPool(newRevision(undefined, service));
    pools.set(service, pool);
    adoption.hold(pool);
    return pool;
  };
  return { adoption, found, newPool, run };
}

/** An adoption that cannot tell at first whose the containers of the service `app` are, and the reconciler that looks after them. */
function newUnreadable(kit: Kit) {
  const unreadable = { is: true };
  const made = newAdoption(kit, ({ service }) => {
    if (service === "app" && unreadable.is) throw new Error("the row is damaged");
    return pools.get(service);
  });
  const pools = new Map(["app", "fine"].map((service) => [service, made.newPool(service)]));
  const { launcher, fleet, clock } = kit;
  const reconciler = new Reconciler(launcher, fleet, made.adoption, clock);
  return { ...made, pools, reconciler, unreadable };
}

Deno.test("a request waits for the list of containers, and gets the container of an earlier process", async () => {
  const kit = newKit();
  leave(kit, {});
  const { adoption, found, newPool, run } = newAdoption(kit);
  const held = newPool().hold(never());
  await kit.clock.advance(10_000);
  assertEquals([kit.launcher.calls, adoption.known], [[], false]);
  await run();
  const { lease, how } = await held;
  assertEquals([lease.instance.id, lease.instance.origin, how], ["old", ORIGIN, undefined]);
  assertEquals([kit.launcher.called("launch"), found, adoption.known], [[], [["old", "app"]], true]);
});

Deno.test("a paused container is resumed for a waiting request, and otherwise stays paused", async () => {
  const kit = newKit();
  leave(kit, { state: "paused" }, { id: "other", service: "other", state: "paused" });
  const { newPool, run } = newAdoption(kit);
  const held = newPool("app").hold(never());
  newPool("other");
  await run();
  assertEquals([(await held).how, kit.launcher.called("resume")], ["resume", ["old"]]);
  assertEquals(kit.fleet.instances().map(({ state }) => state), ["ready", "paused"]);
});

Deno.test("without containers, pools with waiting requests start one, and no pool stays suspended", async () => {
  const kit = newKit();
  const { newPool, run } = newAdoption(kit);
  const held = newPool("app").hold(never());
  await run();
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.1:80");
  assertEquals((await held).how, "cold");
  const later = newPool("later").hold(never());
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:80");
  assertEquals((await later).how, "cold");
});

Deno.test("a service that does not answer does not delay other services", async () => {
  const answers = Promise.withResolvers<void>();
  const kit = newKit({ untilReady: (url) => url.startsWith(ORIGIN) ? answers.promise : Promise.resolve() });
  leave(kit, { service: "slow" }, { id: "fine", service: "fine", origin: "http://10.0.0.1:80" });
  const { newPool, run } = newAdoption(kit);
  const slow = newPool("slow").hold(never());
  const fine = newPool("fine").hold(never());
  await run();
  assertEquals((await fine).lease.instance.id, "fine");
  answers.resolve();
  assertEquals((await slow).lease.instance.id, "old");
});

Deno.test("stale containers are removed, and requests do not wait for that", async () => {
  const kit = newKit();
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  leave(
    kit,
    ...Array.from({ length: 20 }, (_, n) => ({ id: `stranger-${n}`, service: "stranger" })),
    { id: "ended", state: "ended" },
    { id: "created", state: "created" },
    { id: "unreachable", origin: undefined },
  );
  const { found, newPool, run } = newAdoption(kit);
  const held = newPool().hold(never());
  const running = run();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "one");
  // Not all at once: an engine under load would keep the start waiting.
  assertEquals(kit.launcher.called("remove").length, 8);
  removed.resolve();
  await running;
  assertEquals([...kit.launcher.containers.keys()], ["one"]);
  assertEquals(new Set(kit.launcher.called("forget")).size, 23);
  assertEquals(found.every(([, pool]) => pool === undefined), true);
});

Deno.test("a container that cannot be removed does not prevent the removal of others", async () => {
  const kit = newKit();
  kit.launcher.on.remove = (id) => {
    if (id === "bad") throw new Error("busy");
  };
  leave(kit, { id: "bad", state: "ended" }, { id: "good", state: "ended" });
  await newAdoption(kit).run();
  assertEquals([...kit.launcher.containers.keys()], ["bad"]);
});

Deno.test("the address of a stale container is freed once the container is gone, and not before", async () => {
  const kit = newKit();
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  leave(kit, { id: "ended", state: "ended" });
  const running = newAdoption(kit).run();
  await settle();
  assertEquals([kit.launcher.called("remove"), kit.launcher.called("forget")], [["ended"], []]);
  removed.resolve();
  await running;
  assertEquals(kit.launcher.called("forget"), ["ended"]);
});

Deno.test("an engine that cannot list its containers is asked again, and nothing is started meanwhile", async () => {
  const kit = newKit();
  leave(kit, {});
  let failures = 3;
  kit.launcher.on.list = () => {
    if (failures-- > 0) throw new Error("busy");
  };
  const { newPool, run } = newAdoption(kit);
  const held = newPool().hold(never());
  const running = run();
  await kit.clock.advance(100 + 200 + 400);
  await running;
  assertEquals([(await held).lease.instance.id, kit.launcher.called("launch")], ["old", []]);
});

Deno.test("if the engine cannot list its containers for long, waiting and new requests get an error", async () => {
  const kit = newKit();
  kit.launcher.on.list = () => {
    throw new Error("busy");
  };
  const { adoption, newPool, run } = newAdoption(kit);
  const pool = newPool();
  const refused = assertRejects(() => pool.hold(never()), ClessError);
  const running = run();
  await kit.clock.advance(2000);
  const { code, detail } = await refused;
  assertEquals([code, detail, adoption.known], ["start_failed", "busy", false]);
  delete kit.launcher.on.list;
  const held = pool.hold(never());
  await kit.clock.advance(5000);
  await running;
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).how, "cold");
});

Deno.test("a program that ends before the list is known adopts nothing, and refuses waiting requests", async () => {
  const kit = newKit();
  leave(kit, {});
  const listed = Promise.withResolvers<void>();
  kit.launcher.on.list = () => listed.promise;
  const { adoption, newPool, run } = newAdoption(kit);
  const refused = assertRejects(() => newPool().hold(never()), ClessError);
  const running = run();
  adoption.stop();
  assertEquals((await refused).code, "draining");
  listed.resolve();
  await running;
  assertEquals([adoption.known, kit.fleet.instances(), kit.launcher.calls], [false, [], []]);
});

Deno.test("a container of an unreadable service does not delay others, and is adopted once it can be read", async () => {
  const kit = newKit();
  leave(kit, {}, { id: "fine", service: "fine" }, { id: "stranger", service: "stranger" });
  const { found, pools, reconciler, unreadable, run } = newUnreadable(kit);
  const held = pools.get("fine")!.hold(never());
  await run();
  assertEquals((await held).lease.instance.id, "fine");
  await reconciler.reconcile();
  assertEquals([...kit.launcher.containers.keys()], ["old", "fine"]);
  assertEquals(found, [["fine", "fine"], ["stranger", undefined]]);
  unreadable.is = false;
  await reconciler.reconcile();
  assertEquals((await pools.get("app")!.hold(never())).lease.instance.id, "old");
  assertEquals([kit.launcher.called("launch"), found.at(-1)], [[], ["old", "app"]]);
});

Deno.test("a container is removed if its service stays unreadable, or turns out not to need it", async () => {
  for (const isReadable of [false, true]) {
    const kit = newKit();
    leave(kit, {});
    const { pools, reconciler, unreadable, run } = newUnreadable(kit);
    await run();
    if (isReadable) {
      unreadable.is = false;
      pools.delete("app"); // the service has another revision now
    } else {
      await kit.clock.advance(999);
      await reconciler.reconcile();
      assertEquals(kit.launcher.called("remove"), []);
      await kit.clock.advance(1);
    }
    await reconciler.reconcile();
    assertEquals([kit.launcher.called("remove"), kit.launcher.called("forget")], [["old"], ["old"]]);
  }
});

Deno.test("what is left of a container that was adopted late is removed", async () => {
  const kit = newKit();
  leave(kit, {});
  const { pools, reconciler, unreadable, run } = newUnreadable(kit);
  await run();
  unreadable.is = false;
  await reconciler.reconcile();
  (await pools.get("app")!.hold(never())).lease.release();
  kit.launcher.on.stop = () => {
    throw new Error("the engine is busy");
  };
  await pools.get("app")!.sleep(0);
  assertEquals([kit.fleet.size, [...kit.launcher.containers.keys()]], [0, ["old"]]);
  await reconciler.reconcile();
  assertEquals([kit.fleet.size, [...kit.launcher.containers.keys()]], [0, []]);
});

Deno.test("a container of an unreadable service is removed with the others when the program ends", async () => {
  const kit = newKit();
  leave(kit, {});
  const { adoption, reconciler, run } = newUnreadable(kit);
  await run();
  adoption.stop();
  await reconciler.reconcile();
  assertEquals(kit.launcher.called("remove"), ["old"]);
});

/** The process before, which is making a container of the service `app` and draining `ending`. */
function newBefore() {
  return {
    alive: true,
    starting: true,
    isEnding: (id: string) => id === "ending",
    isStarting(revision: string) {
      return this.alive && this.starting && revision === newRevision(undefined, "app").name;
    },
  };
}

Deno.test("while the process before lives, none of its containers is removed, and what it ends is not adopted", async () => {
  const kit = newKit();
  leave(kit, {}, { id: "ending" }, { id: "stale", service: "other" });
  const before = newBefore();
  before.starting = false;
  const { adoption, newPool, run } = newAdoption(kit, undefined, before);
  newPool("app");
  const { launcher, fleet, clock } = kit;
  const reconciler = new Reconciler(launcher, fleet, adoption, clock);
  await run();
  assertEquals(await reconciler.reconcile(), true);
  assertEquals(fleet.instances().map(({ id }) => id), ["old"]);
  assertEquals(launcher.called("remove"), []);
  before.alive = false;
  assertEquals(await reconciler.reconcile(), true);
  assertEquals(launcher.called("remove").sort(), ["ending", "stale"]);
});

Deno.test("a pool waits for the container that the process before is making, and adopts it", async () => {
  const kit = newKit();
  const before = newBefore();
  const { adoption, newPool, run } = newAdoption(kit, undefined, before);
  const held = newPool("app").hold(never());
  await run();
  assertEquals([kit.launcher.called("launch"), adoption.waits], [[], true]);
  leave(kit, { id: "made" });
  before.starting = false;
  const { launcher, fleet, clock } = kit;
  await new Reconciler(launcher, fleet, adoption, clock).reconcile();
  adoption.unsuspend();
  assertEquals([(await held).lease.instance.id, launcher.called("launch")], ["made", []]);
});

Deno.test("a pool starts a container itself if the process before has ended before it made one", async () => {
  const kit = newKit();
  const before = newBefore();
  const { adoption, newPool, run } = newAdoption(kit, undefined, before);
  const held = newPool("app").hold(never());
  await run();
  before.alive = false;
  adoption.unsuspend();
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.1:80");
  assertEquals((await held).how, "cold");
});

Deno.test("an adoption lets each pool go once, and undoes nobody else's suspension", async () => {
  const kit = newKit();
  const { adoption, newPool, run } = newAdoption(kit);
  const pool = newPool("app");
  await run();
  assertEquals(adoption.waits, false);
  await pool.suspend(0);
  adoption.unsuspend();
  const held = pool.hold(never());
  await settle();
  assertEquals([pool.waiting, kit.launcher.called("launch")], [1, []]);
  pool.unsuspend();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  (await held).lease.release();
});

/** Another cless uses the containers too, and decides about some of them. */
function shareAll(kit: Kit, isOurs: (id: string) => boolean = () => true): void {
  kit.launcher.sharing = {
    isOurs,
    find: () => Promise.resolve(undefined),
    mayEnd: () => Promise.resolve(),
    runsOn: () => {},
    usesAgain: () => {},
    slots: NO_SLOTS,
  };
}

Deno.test("a container that another cless starts is adopted whenever it is found", async () => {
  const kit = newKit();
  shareAll(kit);
  const { adoption, newPool, run } = newAdoption(kit);
  const pool = newPool();
  await run();
  leave(kit, { id: "new", state: "created", origin: undefined }, { id: "theirs" });
  const reconciler = new Reconciler(kit.launcher, kit.fleet, adoption, kit.clock);
  await reconciler.reconcile();
  await settle();
  assertEquals([kit.fleet.instances().map(({ id }) => id), kit.launcher.called("remove")], [["theirs"], []]);
  leave(kit, { id: "new" });
  await reconciler.reconcile();
  await settle();
  assertEquals([kit.fleet.instances().map(({ id }) => id), pool.states()], [["theirs", "new"], ["ready", "ready"]]);
});

Deno.test("a shared container without a pool stays for a while, since another cless may know its revision already", async () => {
  const kit = newKit();
  shareAll(kit, (id) => id !== "theirs");
  leave(kit, { id: "ours", service: "unknown" }, { id: "theirs", service: "unknown", isOurs: false });
  leave(kit, { id: "ended", service: "unknown", state: "ended" });
  const { adoption, found, run } = newAdoption(kit);
  await run();
  const reconciler = new Reconciler(kit.launcher, kit.fleet, adoption, kit.clock);
  await reconciler.reconcile();
  assertEquals([kit.launcher.called("remove"), found], [["ended"], []]);
  await kit.clock.advance(2000); // twice the time limit of a start
  await reconciler.reconcile();
  await kit.clock.advance(60_000);
  await reconciler.reconcile();
  assertEquals([kit.launcher.called("remove"), [...kit.launcher.containers.keys()]], [["ended", "ours"], ["theirs"]]);
});
