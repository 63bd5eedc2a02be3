import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { NotNow } from "../../src/pool/launcher.ts";
import { settle } from "../support/fake_clock.ts";
import { newKit, newRevision, NO_SLOTS, started } from "../support/kit.ts";

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
