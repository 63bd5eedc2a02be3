import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { canonicalTime } from "../../src/model/timestamp.ts";

Deno.test("a time is written in UTC and to the nanosecond", () => {
  assertEquals(canonicalTime("2026-01-02T03:04:05.000000006Z"), "2026-01-02T03:04:05.000000006Z");
  assertEquals(canonicalTime("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000000Z");
  assertEquals(canonicalTime("2026-01-02T03:04:05.5z"), "2026-01-02T03:04:05.500000000Z");
  assertEquals(canonicalTime("2026-01-02t01:04:05.123456789+02:30"), "2026-01-01T22:34:05.123456789Z");
  assertEquals(canonicalTime("2025-12-31 23:30:00-01:00"), "2026-01-01T00:30:00.000000000Z");
});

Deno.test("what is no time of RFC 3339 is none", () => {
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
