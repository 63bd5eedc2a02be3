import { assertEquals } from "@std/assert";
import { Alarm } from "../../src/base/alarm.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("an alarm rings once, at the earliest of the times that it was set to", async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  const rung: [by: string, at: number][] = [];
  const set = (by: string, inMs: number) => alarm.set(clock.now() + inMs, () => rung.push([by, clock.now()]));
  const began = clock.now();
  set("second", 200);
  set("first", 100);
  set("third", 300);
  await clock.advance(1000);
  assertEquals(rung, [["first", began + 100]]);
  set("again", 50);
  await clock.advance(1000);
  assertEquals(rung.slice(1), [["again", began + 1050]]);
});

Deno.test("an alarm that is turned off does not ring until it is set again", async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  let count = 0;
  alarm.set(clock.now() + 100, () => count++);
  alarm.set(Infinity, () => count++);
  await clock.advance(1000);
  assertEquals(count, 0);
  alarm.set(clock.now() + 500, () => count++);
  await clock.advance(500);
  assertEquals(count, 1);
});
