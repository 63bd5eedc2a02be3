import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { HeldSlots } from "../../src/pool/held_slots.ts";
import { NotNow, ServedByOther } from "../../src/pool/launcher.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, NO_SLOTS, started, untilAborted } from "../support/kit.ts";

const TIERED: Revision = { ...newRevision(), pauseAfterMs: 10_000, stopAfterMs: 60_000 };

/** A pool with one instance that is idle from now on, and another cless that uses it too. */
async function sharedPool(revision: Partial<Revision> = {}) {
  const kit = newKit();
  const others = {
    isOurs: true,
    /** For how long they have not used it; `undefined`: they do not. */
    idleMs: undefined as number | undefined,
    asked: [] as number[],
    told: [] as string[],
    answer: Promise.resolve(),
  };
  kit.launcher.sharing = {
    isOurs: () => others.isOurs,
    find: () => Promise.resolve(undefined),
    async mayEnd(_id, idleMs) {
      others.asked.push(idleMs);
      await others.answer;
      if (others.idleMs !== undefined) throw new NotNow("no", { idleMs: others.idleMs });
    },
    runsOn: (id) => void others.told.push(id),
    usesAgain() {},
    slots: NO_SLOTS,
  };
  const pool = kit.newPool({ ...TIERED, ...revision });
  const { lease } = await started(kit, pool);
  lease.release();
  return { kit, pool, instance: lease.instance, others };
}

Deno.test("an instance that another cless decides about stays as it is, until this one decides", async () => {
  const { instance, kit, others, pool } = await sharedPool();
  others.isOurs = false;
  await kit.clock.advance(600_000);
  assertEquals([instance.state, others.asked], ["ready", []]);
  others.isOurs = true;
  pool.look();
  await settle();
  await kit.executor.settled();
  assertEquals([instance.state, others.asked, kit.launcher.called("stop")], ["stopped", [60_000], ["one"]]);
});

Deno.test("an idle instance ends once all others agree, and gets requests until then", async () => {
  const { instance, kit, others, pool } = await sharedPool({ pauseAfterMs: Infinity });
  const { promise, resolve } = Promise.withResolvers<void>();
  others.answer = promise;
  await kit.clock.advance(60_000);
  assertEquals([instance.state, others.asked], ["ready", [60_000]]);
  resolve();
  await settle();
  await kit.executor.settled();
  assertEquals([instance.state, pool.live, others.told], ["stopped", false, []]);
});

Deno.test("a request that comes while the others are asked keeps the instance, and the others are told", async () => {
  const { instance, kit, others, pool } = await sharedPool({ pauseAfterMs: Infinity });
  const { promise, resolve } = Promise.withResolvers<void>();
  others.answer = promise;
  await kit.clock.advance(60_000);
  pool.claim()!.release();
  await kit.clock.advance(1);
  pool.claim()!.release();
  resolve();
  await settle();
  assertEquals([instance.state, others.told], ["ready", ["one"]]);
  await kit.clock.advance(59_999);
  assertEquals([instance.state, others.asked.length], ["ready", 1]);
});

Deno.test("idle times count from the last request of any cless, for a pause and for the end", async () => {
  const { instance, kit, others } = await sharedPool();
  kit.launcher.on.pause = () => {
    if (others.idleMs !== undefined) throw new NotNow("no", { idleMs: others.idleMs });
  };
  others.idleMs = 3000;
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "ready");
  others.idleMs = undefined;
  await kit.clock.advance(6999);
  assertEquals(instance.state, "ready");
  await kit.clock.advance(1);
  assertEquals(instance.state, "paused");
  others.idleMs = 0; // they use it again
  await kit.clock.advance(50_000);
  assertEquals([instance.state, others.asked.length], ["paused", 1]);
});

Deno.test("a cless that decides to end an instance waits for the requests of this one", async () => {
  const { instance, kit, others, pool } = await sharedPool();
  others.isOurs = false;
  const lease = pool.claim()!;
  let isOver = false;
  pool.letGo(instance, 30_000).then(() => isOver = true);
  await kit.clock.advance(20_000);
  assertEquals([instance.state, isOver, pool.claim()], ["draining", false, undefined]);
  lease.release();
  await settle();
  assertEquals([instance.state, isOver], ["stopped", true]);
});

Deno.test("an instance of another cless that has the volumes serves in place of the one that was to start", async () => {
  const { instance, kit, pool } = await sharedPool({ maxInstances: 1 });
  kit.launcher.end(instance.id);
  await kit.executor.settled();
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  assertEquals([launch.known?.(launch.id), launch.known?.("other")], [{ isEnding: false, origin: "" }, undefined]);
  const { imageId, name: revision, service } = pool.revision;
  const container = {
    id: "other",
    service,
    revision,
    imageId,
    state: "running",
    origin: "http://10.0.0.3:8080",
  } as const;
  launch.fail(new ServedByOther(container));
  const { lease } = await held;
  assertEquals([lease.instance.id, lease.instance.origin], ["other", container.origin]);
  assertEquals([pool.states(), pool.failing, kit.fleet.get(launch.id)], [["ready"], undefined, undefined]);
  assertEquals(kit.launcher.called("launch").length, 2);
  assertEquals(kit.launcher.called("remove").includes(launch.id), false);
  lease.release();
});

Deno.test("two starts that find the same instance adopt it once, and then another one starts", async () => {
  const kit = newKit();
  kit.launcher.sharing = (await sharedPool()).kit.launcher.sharing;
  const pool = kit.newPool({ ...TIERED, minInstances: 2, maxInstances: 2 });
  pool.keep(true);
  const { imageId, name: revision, service } = pool.revision;
  const other = { id: "other", service, revision, imageId, state: "running", origin: "http://10.0.0.3:8080" } as const;
  const launches = [await kit.launcher.nextLaunch(), await kit.launcher.nextLaunch()];
  for (const launch of launches) launch.fail(new ServedByOther(other));
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.4:8080");
  await kit.clock.advance(0);
  assertEquals(pool.states(), ["ready", "ready"]);
  assertEquals(kit.fleet.instances().map(({ origin }) => origin).sort(), [other.origin, "http://10.0.0.4:8080"]);
});

Deno.test("an instance that did not answer does not serve in place of another one again", async () => {
  const kit = newKit({ untilReady: (_, __, signal) => untilAborted(signal) });
  kit.launcher.sharing = (await sharedPool()).kit.launcher.sharing;
  const pool = kit.newPool(TIERED);
  const held = pool.hold(never());
  held.catch(() => {});
  const first = await kit.launcher.nextLaunch();
  const { imageId, name: revision, service } = pool.revision;
  const other = { id: "other", service, revision, imageId, state: "running", origin: "http://10.0.0.3:8080" } as const;
  assertEquals(first.isSilent?.(other.origin), false);
  first.fail(new ServedByOther(other));
  await kit.clock.advance(pool.revision.startTimeoutMs);
  const second = await kit.launcher.nextLaunch();
  assertEquals(second.isSilent?.(other.origin), true);
  await kit.clock.advance(60_000);
  assertEquals(second.isSilent?.(other.origin), false);
});

/** A pool whose one instance has two slots; the test decides how many of them others have. */
async function limitedPool() {
  const kit = newKit();
  const slots = {
    held: undefined as HeldSlots | undefined,
    asked: 0,
    returned: 0,
    answer: Promise.resolve(false),
    grant: (granted: number, due = 0) => slots.held!.take({ ledgerId: 1, granted, due }, kit.clock.now()),
  };
  kit.launcher.sharing = {
    isOurs: () => true,
    find: () => Promise.resolve(undefined),
    mayEnd: () => Promise.resolve(),
    runsOn() {},
    usesAgain() {},
    slots: {
      hold: (id, concurrency, user) => slots.held = new HeldSlots(id, concurrency, user),
      async get() {
        slots.asked++;
        if (slots.held!.count === 0) slots.grant(slots.held!.counts.received + 1);
        return await slots.answer;
      },
      giveBack(held) {
        const isGiven = held.giveBack(kit.clock.now());
        if (isGiven) slots.returned++;
        return isGiven;
      },
    },
  };
  const pool = kit.newPool({ ...newRevision(), concurrency: 2, maxInstances: 2 });
  const { lease } = await started(kit, pool);
  return { kit, pool, slots, lease };
}

Deno.test("a pool asks for slots when a request waits, and uses those that come until others want them", async () => {
  const { kit, lease, pool, slots } = await limitedPool();
  assertEquals([slots.asked, pool.claim()], [1, undefined]);
  slots.answer = new Promise(() => {}); // nobody answers
  const waiting = pool.hold(never());
  await settle();
  assertEquals([slots.asked, pool.waiting, kit.launcher.called("launch").length], [2, 1, 1]);
  slots.grant(2);
  slots.held!.user.came();
  const second = (await waiting).lease;
  slots.grant(2, 1);
  second.release();
  assertEquals([slots.returned, slots.held!.count, pool.claim()], [1, 1, undefined]);
  lease.release();
  assertEquals([slots.returned, pool.claim()?.instance], [1, lease.instance]);
});

Deno.test("if others use all slots of an instance, another one is started, and they are asked again each second", async () => {
  const { kit, lease, pool, slots } = await limitedPool();
  slots.answer = Promise.resolve(true);
  pool.hold(never()).catch(() => {});
  await settle();
  assertEquals([slots.asked, kit.launcher.called("launch").length], [2, 2]);
  await kit.clock.advance(2999);
  assertEquals(slots.asked, 4);
  lease.release();
  await settle();
  assertEquals(pool.waiting, 0);
  await kit.clock.advance(5000);
  assertEquals(slots.asked, 4);
});

Deno.test("a process that is superseded gives back its slots, each once its request has ended", async () => {
  const { lease, pool, slots } = await limitedPool();
  slots.grant(2);
  pool.giveBackSlots();
  assertEquals([slots.returned, slots.held!.count], [1, 1]);
  lease.release();
  assertEquals([slots.returned, slots.held!.count], [2, 0]);
});
