import { assertEquals } from "@std/assert";
import { FileReserve, isExhausted } from "../../src/base/file_reserve.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { noRead } from "../support/permissions.ts";

Deno.test("what the system says when it has nothing left is told from other failures, also as a cause", () => {
  for (
    const message of [
      "Too many open files (os error 24)",
      "Failed to spawn 'docker': Too many open files in system (os error 23)",
      "Cannot allocate memory (os error 12)",
      "Resource temporarily unavailable (os error 11)",
      "accept4: too many open files",
      "spawn EMFILE",
    ]
  ) {
    assertEquals(isExhausted(new Error(message)), true, message);
    assertEquals(isExhausted(new TypeError("error sending request", { cause: new Error(message) })), true, message);
  }
  for (const thrown of [new Error("Connection refused (os error 111)"), new Error("it has 24 files"), "x", undefined]) {
    assertEquals(isExhausted(thrown), false);
  }
});

Deno.test({ name: "lent descriptors are taken back after some seconds", ignore: noRead }, async () => {
  const clock = new FakeClock();
  const reserve = new FileReserve(clock, 4);
  assertEquals([reserve.lend(), clock.timers], [false, 1]); // there were none, but there may be some by then
  await clock.advance(5000);
  assertEquals([clock.timers, reserve.lend(), reserve.lend()], [0, true, false]);
  await clock.advance(5000);
  assertEquals(reserve.lend(), true);
  reserve.release();
  assertEquals(clock.timers, 0);
});
