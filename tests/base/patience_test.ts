import { assertEquals } from "@std/assert";
import { whileItMoves } from "../../src/base/patience.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** When the wait was over, ms, for work of which there is so much left at those times. */
async function waited(work: Promise<unknown>, left: (now: number) => number): Promise<number> {
  const clock = new FakeClock(0);
  let over: number | undefined;
  whileItMoves(work, () => left(clock.now()), clock, 1000).then(() => over = clock.now());
  while (over === undefined) await clock.advance(100);
  assertEquals(clock.timers, 0);
  return over;
}

Deno.test("work that moves is waited for, however long it takes; work that stands still is not", async () => {
  const never = new Promise(() => {});
  assertEquals(await waited(never, () => 5), 1000);
  assertEquals(await waited(never, (now) => Math.max(5, 100 - now / 100)), 11_000);
});

Deno.test("the wait is over as soon as the work is, also where it has failed", async () => {
  for (const begin of [() => Promise.resolve(), () => Promise.reject(new Error("no"))]) {
    const clock = new FakeClock(0);
    await whileItMoves(begin(), () => 5, clock, 1000);
    await settle();
    assertEquals(clock.timers, 0);
  }
});
