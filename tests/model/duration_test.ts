import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/model/duration.ts";

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

Deno.test("a duration is written in the largest unit that it is a whole number of", () => {
  assertEquals(
    [1, 250, 1000, 1500, 30_000, 90_000, 300_000, 3_600_000, 5_400_000, 86_400_000, Infinity].map(formatDuration),
    ["1ms", "250ms", "1s", "1500ms", "30s", "90s", "5m", "1h", "90m", "24h", "0"],
  );
});

Deno.test("every duration reads the same after it was written", () => {
  for (const ms of [1, 999, 2 ** 31 - 1, Infinity]) assertEquals(parseDuration(formatDuration(ms)), ms);
  const unit = fc.constantFrom(1, 1000, 60_000, 3_600_000);
  const duration = fc.tuple(unit, fc.nat()).map(([unit, n]) => unit * (1 + n % Math.floor((2 ** 31 - 1) / unit)));
  fc.assert(fc.property(duration, (ms) => assertEquals(parseDuration(formatDuration(ms)), ms)));
});
