import { assertEquals, assertRejects } from "@std/assert";
import { within } from "../../src/base/clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("what a promise comes to in time is told, and else nothing; no timer is left", async () => {
  const clock = new FakeClock();
  assertEquals(await within(Promise.resolve(1), clock, 10), 1);
  assertEquals(await within(Promise.resolve(2), clock, Infinity), 2);
  await assertRejects(() => within(Promise.reject(new Error("no")), clock, 10), Error, "no");
  const late = within(new Promise<void>(() => {}), clock, 10);
  await clock.advance(10);
  assertEquals([await late, clock.timers], [undefined, 0]);
});
