import { assertEquals, assertRejects } from "@std/assert";
import { CoarseTimeouts } from "../../src/base/coarse_timeouts.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** What a promise has come to so far. */
function watch<T>(promise: Promise<T>): { outcome: T | "waiting" | undefined } {
  const watched: { outcome: T | "waiting" | undefined } = { outcome: "waiting" };
  promise.then((value) => watched.outcome = value, () => {});
  return watched;
}

function never(): Promise<string> {
  return new Promise(() => {});
}

Deno.test("what comes in time is passed on, and so is a failure", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  assertEquals(await timeouts.within(Promise.resolve("here"), 50), "here");
  await assertRejects(() => timeouts.within(Promise.reject(new Error("broken")), 50), Error, "broken");
  const { promise, resolve } = Promise.withResolvers<string>();
  const waiting = timeouts.within(promise, 50);
  await clock.advance(50);
  resolve("late, but not too late");
  assertEquals(await waiting, "late, but not too late");
});

Deno.test("waiting ends after 50 to 100 ms, whenever it began", async () => {
  for (let began = 0; began < 50; began += 7) {
    const clock = new FakeClock();
    using timeouts = new CoarseTimeouts(clock, 50);
    timeouts.within(never(), 50); // has the tick begin
    await clock.advance(began);
    const watched = watch(timeouts.within(never(), 50));
    await clock.advance(49);
    assertEquals(watched.outcome, "waiting");
    await clock.advance(51);
    assertEquals(watched.outcome, undefined);
  }
});

Deno.test("what comes or fails after the end of the patience changes nothing", async () => {
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

Deno.test("many wait with one timer, each for its own time, and none is lost", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const answers: PromiseWithResolvers<string>[] = [];
  const watched: ReturnType<typeof watch<string | undefined>>[] = [];
  for (let n = 0; n < 100; n++) {
    const answer = Promise.withResolvers<string>();
    answers.push(answer);
    watched.push(watch(timeouts.within(answer.promise, 50)));
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

Deno.test("the timer stops when nobody waits, and starts again", async () => {
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

Deno.test("it takes its timer along when it ends", () => {
  const clock = new FakeClock();
  const timeouts = new CoarseTimeouts(clock, 50);
  timeouts.within(never(), 50);
  timeouts[Symbol.dispose]();
  assertEquals(clock.timers, 0);
});
