import { assertEquals, assertRejects } from "@std/assert";
import { atMost, delay, Limiter, whileItMoves, within } from "../../src/base/async.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

Deno.test("a promise's outcome is passed on if it comes in time, else undefined; no timer is left", async () => {
  const clock = new FakeClock();
  assertEquals(await within(Promise.resolve(1), clock, 10), 1);
  assertEquals(await within(Promise.resolve(2), clock, Infinity), 2);
  await assertRejects(() => within(Promise.reject(new Error("no")), clock, 10), Error, "no");
  const late = within(new Promise<void>(() => {}), clock, 10);
  await clock.advance(10);
  assertEquals([await late, clock.timers], [undefined, 0]);
});

/** How long {@linkcode whileItMoves} waits for work of which so much is left at each time, ms. */
async function waitedMs(work: Promise<unknown>, remaining: (now: number) => number): Promise<number> {
  const clock = new FakeClock(0);
  let over: number | undefined;
  whileItMoves(work, () => remaining(clock.now()), clock, 1000).then(() => over = clock.now());
  while (over === undefined) await clock.advance(100);
  assertEquals(clock.timers, 0);
  return over;
}

Deno.test("work that makes progress is waited for, however long it takes; stalled work is not", async () => {
  const never = new Promise(() => {});
  assertEquals(await waitedMs(never, () => 5), 1000);
  assertEquals(await waitedMs(never, (now) => Math.max(5, 100 - now / 100)), 11_000);
});

Deno.test("the wait is over as soon as the work is, also if it has failed", async () => {
  for (const begin of [() => Promise.resolve(), () => Promise.reject(new Error("no"))]) {
    const clock = new FakeClock(0);
    await whileItMoves(begin(), () => 5, clock, 1000);
    await settle();
    assertEquals(clock.timers, 0);
  }
});

Deno.test("no more tasks run at once than the limit, and the others follow in order, also after a failure", async () => {
  const limiter = new Limiter(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const all = ends.map(({ promise }, n) =>
    limiter.run(() => {
      begun.push(n);
      return promise;
    })
  );
  await settle();
  assertEquals(begun, [0, 1]);
  const failed = assertRejects(() => all[1]!, Error, "no");
  ends[1]!.reject(new Error("no"));
  await failed;
  await settle();
  assertEquals(begun, [0, 1, 2]);
  for (const n of [0, 2, 3, 4]) ends[n]!.resolve(n);
  assertEquals(await Promise.all([all[0], all[2], all[3], all[4]]), [0, 2, 3, 4]);
  assertEquals(begun, [0, 1, 2, 3, 4]);
  assertEquals(await limiter.run(() => Promise.resolve("free")), "free");
});

Deno.test("a delay ends after its time, or at once when its signal is aborted, and leaves no timer or listener", async () => {
  const clock = new FakeClock();
  for (const ends of ["in time", "aborted", "aborted before"] as const) {
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    if (ends === "aborted before") controller.abort();
    let isOver = false;
    const delayed = delay(clock, 100, signal).then(() => isOver = true);
    await clock.advance(99);
    assertEquals([isOver, clock.timers], ends === "aborted before" ? [true, 0] : [false, 1]);
    if (ends === "aborted") controller.abort();
    else if (ends === "in time") await clock.advance(1);
    await delayed;
    assertEquals([clock.timers, listeners], [0, 0], ends);
  }
  const without = delay(clock, 100);
  await clock.advance(100);
  await without;
});

Deno.test("a promise is waited for no longer than a time, whatever becomes of it", async () => {
  const clock = new FakeClock();
  await atMost(Promise.reject(new Error("no")), clock, 100);
  await atMost(Promise.resolve(), clock, Infinity);
  const waiting = atMost(new Promise(() => {}), clock, 100);
  await clock.advance(100);
  await waiting;
  await settle();
  assertEquals(clock.timers, 0);
});

Deno.test("the wait is over once the work is, though something still moves", async () => {
  for (const work of [Promise.resolve(), Promise.reject(new Error("no"))]) {
    let looks = 0;
    await whileItMoves(work, () => 100 - looks++, new FakeClock(), 1000);
    assertEquals(looks, 2);
  }
});
