import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/domain/duration.ts";

Deno.test("a duration is a whole number with its unit", () => {
  assertEquals(parseDuration("1ms"), 1);
  assertEquals(parseDuration("250ms"), 250);
  assertEquals(parseDuration("30s"), 30_000);
  assertEquals(parseDuration("5m"), 300_000);
  assertEquals(parseDuration("1h"), 3_600_000);
  assertEquals(parseDuration("007s"), 7000);
});

Deno.test("0 is a duration that never ends", () => {
  assertEquals(parseDuration("0"), Infinity);
});

Deno.test("everything else is no duration", () => {
  const texts = [
    "",
    "5",
    "s",
    "-1s",
    "+1s",
    "1.5s",
    "1e3s",
    "1 s",
    " 1s",
    "1s ",
    "1S",
    "1d",
    "1µs",
    "1h30m",
    "1s\n",
    "٣s",
  ];
  for (const text of texts) assertThrows(() => parseDuration(text), RangeError, "expected a duration such as 250ms");
});

Deno.test("a duration of nothing is refused unless it says never", () => {
  for (const text of ["0ms", "0s", "0m", "0h", "00", "000s"]) assertThrows(() => parseDuration(text), RangeError);
});

Deno.test("a duration that is too long for a timer is refused", () => {
  assertEquals(parseDuration("999999999ms"), 999_999_999);
  assertEquals(parseDuration("2147483s"), 2_147_483_000);
  assertEquals(parseDuration("596h"), 2_145_600_000);
  for (const text of ["2147484s", "597h", "35792m", "999999999h", "1000000000s"]) {
    assertThrows(() => parseDuration(text), RangeError, "at most 24 days");
  }
});

Deno.test("a duration is written in the largest unit that fits", () => {
  assertEquals(formatDuration(250), "250ms");
  assertEquals(formatDuration(1500), "1500ms");
  assertEquals(formatDuration(1000), "1s");
  assertEquals(formatDuration(90_000), "90s");
  assertEquals(formatDuration(60_000), "1m");
  assertEquals(formatDuration(3_600_000), "1h");
  assertEquals(formatDuration(Infinity), "0");
});

Deno.test("what is written as a duration is read as the same one", () => {
  const durations = fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 999_999_999 }));
  fc.assert(fc.property(durations, (ms) => assertEquals(parseDuration(formatDuration(ms)), ms)));
});
