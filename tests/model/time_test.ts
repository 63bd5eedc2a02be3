import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { canonicalTime, formatDuration, parseDuration } from "../../src/model/time.ts";

Deno.test("a duration is a whole number with its unit", () => {
  assertEquals(parseDuration("1ms"), 1);
  assertEquals(parseDuration("250ms"), 250);
  assertEquals(parseDuration("30s"), 30_000);
  assertEquals(parseDuration("5m"), 300_000);
  assertEquals(parseDuration("1h"), 3_600_000);
  assertEquals(parseDuration("007s"), 7000);
});

Deno.test("a duration of 0 means never", () => {
  assertEquals(parseDuration("0"), Infinity);
});

Deno.test("other texts are refused as durations", () => {
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

Deno.test("a duration of zero units is refused", () => {
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

Deno.test("a duration is written in the largest unit that divides it", () => {
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

Deno.test("a time is written in UTC and to the nanosecond", () => {
  assertEquals(canonicalTime("2026-01-02T03:04:05.000000006Z"), "2026-01-02T03:04:05.000000006Z");
  assertEquals(canonicalTime("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000000Z");
  assertEquals(canonicalTime("2026-01-02T03:04:05.5z"), "2026-01-02T03:04:05.500000000Z");
  assertEquals(canonicalTime("2026-01-02t01:04:05.123456789+02:30"), "2026-01-01T22:34:05.123456789Z");
  assertEquals(canonicalTime("2025-12-31 23:30:00-01:00"), "2026-01-01T00:30:00.000000000Z");
});

Deno.test("a text that is not a time of RFC 3339 is refused", () => {
  const texts = [
    "",
    "10m",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-13-02T03:04:05Z",
    "2026-01-02T25:04:05Z",
    "1700000000",
  ];
  for (
    const text of [...texts, "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05.Z", "9999-12-31T23:59:59-01:00"]
  ) {
    assertEquals(canonicalTime(text), undefined, text);
  }
});

Deno.test("times sort as their texts do", () => {
  const time = fc.record({
    ms: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    zone: fc.constantFrom("Z", "+02:00", "-11:30"),
    nanos: fc.integer({ min: 0, max: 999_999 }),
  });
  const write = ({ ms, zone, nanos }: { ms: number; zone: string; nanos: number }) =>
    `${new Date(ms).toISOString().slice(0, 23)}${String(nanos).padStart(6, "0")}${zone}`;
  const offsets: Record<string, number> = { Z: 0, "+02:00": 120, "-11:30": -690 };
  fc.assert(fc.property(time, time, (a, b) => {
    const of = ({ ms, zone, nanos }: typeof a) => BigInt(ms - offsets[zone]! * 60_000) * 1_000_000n + BigInt(nanos);
    const [first, second] = [canonicalTime(write(a))!, canonicalTime(write(b))!];
    if (first.startsWith("-") || second.startsWith("-")) return;
    assertEquals(first < second, of(a) < of(b));
  }));
});
