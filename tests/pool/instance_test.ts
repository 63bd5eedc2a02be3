import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { Instance, type Lease, newInstanceId } from "../../src/pool/instance.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";

function newInstance(clock = new FakeClock()): Instance {
  return new Instance("one", newRevision(), clock);
}

Deno.test("an instance counts its leases, and a lease counts once however often it is released", () => {
  const instance = newInstance();
  const [first, second] = [instance.claim(), instance.claim()];
  assertEquals(instance.inFlight, 2);
  first.release();
  first.release();
  assertEquals(instance.inFlight, 1);
  second.release();
  assertEquals(instance.inFlight, 0);
});

Deno.test("the idle clock of an instance starts when the last lease ends", async () => {
  const clock = new FakeClock();
  const instance = newInstance(clock);
  const [first, second] = [instance.claim(), instance.claim()];
  await clock.advance(500);
  first.release();
  await clock.advance(500);
  second.release();
  assertEquals(instance.idleSince, clock.now());
});

Deno.test("a quiet lease leaves the idle clock as it is, whatever is open beside it", async () => {
  const clock = new FakeClock();
  const instance = newInstance(clock);
  await clock.advance(500);
  instance.claim(true).release();
  assertEquals([instance.idleSince, instance.lastUsedAt], [clock.now() - 500, undefined]);
  const [loud, quiet] = [instance.claim(), instance.claim(true)];
  await clock.advance(500);
  loud.release();
  const since = clock.now();
  await clock.advance(500);
  assertEquals([instance.idleSince, instance.inFlight], [since, 1]);
  quiet.release();
  quiet.release();
  assertEquals([instance.idleSince, instance.inFlight], [since, 0]);
  const [outer, inner] = [instance.claim(), instance.claim(true)];
  await clock.advance(500);
  inner.release();
  outer.release();
  assertEquals(instance.idleSince, clock.now());
  await instance.untilIdle();
});

Deno.test("waiting for an instance to become idle ends with its last lease", async () => {
  const instance = newInstance();
  await instance.untilIdle();
  const lease = instance.claim();
  let idle = false;
  const waiting = instance.untilIdle().then(() => idle = true);
  await Promise.resolve();
  assertEquals(idle, false);
  lease.release();
  await waiting;
  const later = instance.claim();
  const again = instance.untilIdle().then(() => idle = false);
  await Promise.resolve();
  assertEquals(idle, true); // it is in use again
  later.release();
  await again;
});

Deno.test("the holders of open leases are told of the end of their instance, those of released ones are not", () => {
  const instance = newInstance();
  const told: string[] = [];
  const [open, released] = [instance.claim(), instance.claim()];
  open.holder = { instanceGone: () => told.push("open") };
  released.holder = { instanceGone: () => told.push("released") };
  released.release();
  instance.become("failed");
  assertEquals(told, ["open"]);
});

Deno.test("an instance is gone once it has stopped or failed", () => {
  for (const state of ["stopped", "failed"] as const) {
    const instance = newInstance();
    instance.become("ready");
    assertEquals(instance.gone.aborted, false);
    instance.become(state);
    assertEquals([instance.state, instance.gone.aborted], [state, true]);
  }
});

Deno.test("an instance has ended by itself only if the engine gave a code and nobody had stopped it", () => {
  const instance = newInstance();
  assertEquals([instance.endedByItself, instance.oom, instance.byHand], [false, false, false]);
  instance.exitCode = 0;
  assertEquals(instance.endedByItself, true);
  instance.byHand = true;
  assertEquals(instance.endedByItself, false);
});

Deno.test("an ended instance knows how many requests it had at its end, however many are released later", () => {
  const instance = newInstance();
  const leases = [instance.claim(), instance.claim(true), instance.claim()];
  leases[0]!.release();
  instance.become("ready");
  assertEquals(instance.inFlightAtEnd, 0);
  const atEnd: number[] = [];
  instance.gone.addEventListener("abort", () => atEnd.push(instance.inFlightAtEnd)); // whoever learns of it knows it
  instance.become("stopped");
  for (const lease of leases) lease.release();
  assertEquals([instance.inFlightAtEnd, instance.inFlight, atEnd], [2, 0, [2]]);
});

Deno.test("each change of state is counted, and told to the owner first, then to those who wait for the next change", async () => {
  const told: string[] = [];
  const owner = {
    moved: ({ state }: Instance, before: string) => void told.push(`${before} ${state}`),
    suspect: (_: Instance, why: string) => void told.push(why),
    answers: (_: Instance, ms: number) => Promise.resolve(ms === 7),
    claimed: () => void told.push("claimed"),
    freed: () => void told.push("freed"),
    isOurs: () => true,
    answeredAfterWake: () => void told.push("awake"),
    unansweredAfterWake: () => void told.push("in vain"),
  };
  const instance = new Instance("one", newRevision(), new FakeClock(), owner);
  const moved = [instance.untilMoved(), instance.untilMoved()].map((moved) => moved.then(() => told.push("awaited")));
  instance.become("ready");
  await Promise.all(moved);
  const again = instance.untilMoved().then(() => told.push("again"));
  await Promise.resolve();
  instance.become("paused");
  await again;
  assertEquals(told, ["starting ready", "awaited", "awaited", "ready paused", "again"]);
  assertEquals([instance.changes, await instance.answersWithin(7), await instance.answersWithin(8)], [2, true, false]);
  told.length = 0;
  instance.suspect("late");
  const lease = instance.claim();
  lease.release();
  lease.release();
  assertEquals(told, ["late", "claimed", "freed"]);
  assertEquals(await newInstance().answersWithin(7), false); // nobody can say
});

Deno.test("requests are told whether their instance ended or hangs, and keep their leases", () => {
  const instance = newInstance();
  const told: boolean[] = [];
  const lease = instance.claim();
  lease.holder = { instanceGone: (isHung) => void told.push(isHung) };
  instance.abortRequests();
  assertEquals([told, instance.inFlight, instance.gone.aborted], [[true], 1, false]);
  instance.become("stopped");
  assertEquals([told, instance.inFlight], [[true, false], 1]);
});

Deno.test("a slot is free once the app has begun and ended its answer, in whichever order the two are noted", () => {
  const instance = newInstance();
  const [first, second] = [instance.claim(), instance.claim()];
  assertEquals([first.answered(200), instance.inFlight], [true, 2]);
  first.appEnded();
  assertEquals(instance.inFlight, 1);
  second.appEnded();
  assertEquals([instance.inFlight, second.answered(200), instance.inFlight], [1, false, 0]);
  assertEquals(instance.answers, 2);
});

Deno.test("an instance has served once the app has answered with a status below 500", () => {
  const instance = newInstance();
  const served = [503, 500, 499].map((status) => {
    const lease = instance.claim();
    lease.answered(status);
    lease.release();
    return instance.hasServed;
  });
  assertEquals([served, instance.answers], [[false, false, true], 3]);
});

Deno.test("an instance notes when it was last used by a request that keeps it awake", () => {
  const instance = newInstance();
  const before = Date.now();
  instance.claim(true).release();
  assertEquals(instance.lastUsedAt, undefined);
  instance.claim().release();
  const at = instance.lastUsedAt?.getTime() ?? 0;
  assert(at >= before && at <= Date.now(), `${at}`);
});

Deno.test("in any order of claims and releases, no lease is lost or counted twice", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -1, max: 20 }), { maxLength: 200 }), (steps) => {
    const instance = newInstance();
    const leases: Lease[] = [];
    const open = new Set<Lease>();
    for (const step of steps) {
      const lease = step < 0 ? undefined : leases[step];
      if (lease === undefined) {
        const claimed = instance.claim();
        leases.push(claimed);
        open.add(claimed);
      } else {
        lease.release(); // perhaps for the second time
        open.delete(lease);
      }
      assertEquals(instance.inFlight, open.size);
    }
  }));
});

const REVISION = { service: "app", name: "app-00001" };

Deno.test("an instance's id names its service and revision, and no two are alike", () => {
  const ids = Array.from({ length: 1000 }, () => newInstanceId(REVISION));
  for (const id of ids) assertMatch(id, /^cless-app-app-00001-[0-9a-z]{6}$/);
  assertEquals(new Set(ids).size, ids.length);
});

Deno.test("in an instance's id, every random character is as likely as any other", () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 6000; n++) {
    for (const character of newInstanceId(REVISION).slice(-6)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  assertEquals(counts.size, 36);
  // 1000 each. The remainders of a byte would favour these four: 4500 in place of 4000, give or take some 60.
  const favoured = [..."0123"].reduce((sum, character) => sum + counts.get(character)!, 0);
  assert(favoured < 4300, `${favoured}`);
});

const BY = { kind: "operator", name: "ci" } as const;

Deno.test("a session of an operator keeps an instance in use, and is no request", async () => {
  const clock = new FakeClock();
  const instance = newInstance(clock);
  const [session, request] = [instance.enter(BY), instance.claim()];
  assertEquals([instance.inFlight, instance.inUse, instance.requests, instance.sessions], [2, 2, 1, 1]);
  assertEquals([instance.leases, instance.operator], [[request], BY]);
  request.release();
  let isIdle = false;
  const idle = instance.untilIdle().then(() => isIdle = true);
  await clock.advance(1000);
  assertEquals([instance.requests, isIdle], [0, false]);
  session.release();
  session.release();
  await idle;
  assertEquals([instance.inFlight, instance.sessions, instance.operator, instance.idleSince], [
    0,
    0,
    undefined,
    clock.now(),
  ]);
});
