import { assertEquals } from "@std/assert";
import { Pace } from "../../src/pool/pace.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Lets slots be given back, one after each time, while requests wait. */
async function serve(pace: Pace, clock: FakeClock, count: number, eachMs: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await clock.advance(eachMs);
    pace.freed();
    pace.limit(1);
  }
}

Deno.test("as many may wait for a slot as get one within 0.5 s, once the pace is known", async () => {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  assertEquals([pace.limit(0), pace.limit(1)], [Infinity, Infinity]);
  await serve(pace, clock, 99, 2.5);
  assertEquals(pace.limit(1), Infinity);
  await serve(pace, clock, 1, 2.5);
  assertEquals(pace.limit(1), 200); // at 400 in a second
  await serve(pace, clock, 250, 1);
  assertEquals(pace.limit(1), 500);
});

Deno.test("a hundred may wait for an app however long its answers take", async () => {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  pace.limit(0);
  await clock.advance(10_000);
  assertEquals(pace.limit(1), 100);
});

Deno.test("nothing is known of the pace of a queue that has just begun, or of instances that have just come", async () => {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  pace.limit(0);
  await clock.advance(1000);
  assertEquals(pace.limit(1), 100);
  assertEquals(pace.limit(0), Infinity);
  await clock.advance(1000);
  assertEquals(pace.limit(1), 100);
  pace.restart();
  assertEquals(pace.limit(1000), Infinity);
});

Deno.test("slots that were given back before a new beginning do not count after it", async () => {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  pace.limit(0);
  for (let n = 0; n < 1000; n++) pace.freed();
  pace.restart();
  for (let n = 0; n < 100; n++) pace.freed();
  await clock.advance(249);
  assertEquals(pace.limit(1), Infinity);
  await clock.advance(1);
  assertEquals(pace.limit(1), 200);
  for (let n = 0; n < 200; n++) pace.freed();
  await clock.advance(250);
  assertEquals(pace.limit(1), 400); // each time span counts for itself
});
