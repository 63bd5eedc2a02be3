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

/** How many file descriptors this process has open, but for the one that counts them. */
function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length - 1;
}

/** Lets no file be opened while a function runs. */
async function withoutFiles(fn: () => void | Promise<void>): Promise<void> {
  const { openSync } = Deno;
  Deno.openSync = () => {
    throw new Error("Too many open files (os error 24)");
  };
  try {
    await fn();
  } finally {
    Deno.openSync = openSync;
  }
}

Deno.test({
  name: "a reserve takes as many descriptors as it was told, and gives all of them back",
  ignore: noRead || Deno.build.os !== "linux",
}, () => {
  const reserve = new FileReserve(new FakeClock(), 4);
  const before = openFiles();
  assertEquals([reserve.take(), openFiles() - before], [true, 4]);
  assertEquals([reserve.take(), openFiles() - before], [true, 4]); // once more changes nothing
  reserve.release();
  assertEquals(openFiles(), before);
});

Deno.test(
  { name: "a reserve that cannot be filled takes nothing, and tries again later", ignore: noRead },
  async () => {
    const clock = new FakeClock();
    const reserve = new FileReserve(clock, 4);
    assertEquals([reserve.take(), reserve.lend()], [true, true]);
    await withoutFiles(async () => {
      assertEquals([reserve.take(), clock.timers], [false, 0]); // it is not lent any more, but given up
      reserve.lend();
      await clock.advance(5000);
      assertEquals([reserve.lend(), clock.timers], [false, 1]);
    });
    await clock.advance(5000);
    assertEquals([clock.timers, reserve.lend()], [0, true]);
    reserve.release();
    assertEquals(clock.timers, 0);
  },
);

Deno.test(
  { name: "a lent reserve is taken back once descriptors are free again, though nobody asks for it", ignore: noRead },
  async () => {
    const clock = new FakeClock();
    const reserve = new FileReserve(clock, 4);
    assertEquals([reserve.take(), reserve.lend()], [true, true]);
    await withoutFiles(() => clock.advance(12_000));
    await clock.advance(3000);
    assertEquals([clock.timers, reserve.lend()], [0, true]);
    reserve.release();
  },
);
