import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatMemory, parseMachineMemory, parseMemory } from "../../src/model/memory.ts";

Deno.test("a size is a whole number in powers of 1024, as docker takes it", () => {
  assertEquals(parseMemory("512k"), 524_288);
  assertEquals(parseMemory("256m"), 268_435_456);
  assertEquals(parseMemory("1g"), 1_073_741_824);
  assertEquals(parseMemory("100b"), 100);
  assertEquals(parseMemory("100"), 100);
  assertEquals(parseMemory("007M"), 7 * 1024 ** 2);
  assertEquals(parseMemory("9007199254740991"), Number.MAX_SAFE_INTEGER);
});

Deno.test("other texts are refused as sizes", () => {
  const texts = [
    "",
    "m",
    "-1m",
    "+1m",
    "1.5g",
    "1e3",
    "1 m",
    " 1m",
    "1m ",
    "1m\n",
    "1mb",
    "1MiB",
    "1t",
    "٣m",
    "Infinity",
  ];
  for (const text of texts) {
    assertThrows(() => parseMemory(text), RangeError, "expected a size such as 512k, 256m or 1g");
  }
});

Deno.test("zero and sizes beyond the safe integers are refused", () => {
  for (const text of ["0", "0m", "000g", "9007199254740992", "8388608g", "9999999999999999g"]) {
    assertThrows(() => parseMemory(text), RangeError, "expected a size");
  }
});

Deno.test("a size is written in the largest unit that divides it", () => {
  assertEquals(
    [1, 1000, 1024, 1536, 1024 ** 2, 1536 * 1024 ** 2, 1024 ** 3, 1024 ** 4].map(formatMemory),
    ["1b", "1000b", "1k", "1536b", "1m", "1536m", "1g", "1024g"],
  );
});

Deno.test("every size reads the same after it was written, and no whole number of a unit is shorter", () => {
  const unit = fc.constantFrom(1, 1024, 1024 ** 2, 1024 ** 3);
  const size = fc.tuple(unit, fc.integer({ min: 1, max: 2 ** 22 })).map(([unit, count]) => unit * count);
  fc.assert(fc.property(size, unit, (bytes, unit) => {
    assertEquals(parseMemory(formatMemory(bytes)), bytes);
    if (bytes % unit === 0) assert(formatMemory(bytes).length <= `${bytes / unit}u`.length);
  }));
});

Deno.test("the memory of a machine is what the kernel reports, or a smaller limit", () => {
  const meminfo = "MemTotal:       24683520 kB\nMemFree:        22304000 kB\n";
  assertEquals(parseMachineMemory(meminfo), 24_683_520 * 1024);
  assertEquals(parseMachineMemory(`${meminfo}max\n9223372036854771712\n`), 24_683_520 * 1024);
  assertEquals(parseMachineMemory(`${meminfo}536870912\n`), 512 * 1024 ** 2);
  assertEquals(parseMachineMemory("536870912\n"), undefined);
  assertEquals(parseMachineMemory(""), undefined);
});
