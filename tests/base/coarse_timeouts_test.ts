import { assertEquals, assertRejects } from "@std/assert";
import { CoarseTimeouts } from "../../src/base/coarse_timeouts.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** The outcome of a promise so far. */
function outcomeOf<T>(promise: Promise<T>): { outcome: T | "waiting" | undefined } {
  const watched: { outcome: T | "waiting" | undefined } = { outcome: "waiting" };
  promise.then((value) => watched.outcome = value, () => {});
  return watched;
}

function never(): Promise<string> {
  return new Promise(() => {});
}

Deno.test("a promise that settles in time passes on its outcome", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  assertEquals(await timeouts.within(Promise.resolve("here"), 50), "here");
  await assertRejects(() => timeouts.within(Promise.reject(new Error("broken")), 50), Error, "broken");
  assertEquals(timeouts.size, 0); // neither is watched any more
  const { promise, resolve } = Promise.withResolvers<string>();
  const waiting = timeouts.within(promise, 50);
  await clock.advance(50);
  resolve("late, but not too late");
  assertEquals(await waiting, "late, but not too late");
});

Deno.test("with ticks and a timeout of 50 ms, waiting ends after 50 to 100 ms, whenever it began", async () => {
  for (let began = 0; began < 50; began += 7) {
    const clock = new FakeClock();
    using timeouts = new CoarseTimeouts(clock, 50);
    timeouts.within(never(), 50); // has the tick begin
    await clock.advance(began);
    const watched = outcomeOf(timeouts.within(never(), 50));
    await clock.advance(49);
    assertEquals(watched.outcome, "waiting");
    await clock.advance(51);
    assertEquals(watched.outcome, undefined);
  }
});

Deno.test("an outcome after the timeout is ignored", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const late = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
  const waiting = late.map(({ promise }) => timeouts.within(promise, 50));
  await clock.advance(100);
  late[0].resolve("late");
  late[1].reject(new Error("late"));
  assertEquals(await Promise.all(waiting), [undefined, undefined]);
  assertEquals(await timeouts.within(Promise.resolve("next"), 50), "next");
});

Deno.test("many promises are awaited with one timer, each with its own timeout", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const answers: PromiseWithResolvers<string>[] = [];
  const watched: ReturnType<typeof outcomeOf<string | undefined>>[] = [];
  for (let n = 0; n < 100; n++) {
    const answer = Promise.withResolvers<string>();
    answers.push(answer);
    watched.push(outcomeOf(timeouts.within(answer.promise, 50)));
  }
  assertEquals(clock.timers, 1);
  await clock.advance(50);
  // Out of order, so that places change.
  const inTime = answers.map((_, n) => n).filter((n) => n % 3 !== 0).sort((a, b) => a * 37 % 100 - b * 37 % 100);
  for (const n of inTime) {
    answers[n]!.resolve(`${n}`);
    await settle();
  }
  await clock.advance(50);
  watched.forEach(({ outcome }, n) => assertEquals(outcome, n % 3 === 0 ? undefined : `${n}`));
});

Deno.test("the timer stops when nothing is watched, and starts again", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  assertEquals(clock.timers, 0);
  await timeouts.within(Promise.resolve(), 50);
  assertEquals(clock.timers, 1);
  await clock.advance(50);
  assertEquals(clock.timers, 0);
  const waiting = timeouts.within(never(), 50);
  assertEquals(clock.timers, 1);
  await clock.advance(100);
  assertEquals(await waiting, undefined);
  await clock.advance(50);
  assertEquals(clock.timers, 0);
});

Deno.test("disposing stops the timer", () => {
  const clock = new FakeClock();
  const timeouts = new CoarseTimeouts(clock, 50);
  timeouts.within(never(), 50);
  timeouts[Symbol.dispose]();
  assertEquals(clock.timers, 0);
});

Deno.test("an object is checked at every tick until it is removed, also if it removes itself", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const checks: [name: string, nowMs: number][] = [];
  const watch = (name: string, times: number) => {
    const item = {
      place: -1,
      check: (nowMs: number) => {
        checks.push([name, nowMs - began]);
        if (--times === 0) timeouts.delete(item);
      },
    };
    timeouts.add(item);
    return item;
  };
  const began = clock.now();
  watch("first", 1);
  watch("second", 2);
  const third = watch("third", Infinity);
  assertEquals([timeouts.size, timeouts.list().length], [3, 3]);
  await clock.advance(100);
  timeouts.delete(third);
  timeouts.delete(third);
  await clock.advance(1000);
  assertEquals(checks.sort(), [["first", 50], ["second", 100], ["second", 50], ["third", 100], ["third", 50]]);
  assertEquals([timeouts.size, clock.timers], [0, 0]);
});
