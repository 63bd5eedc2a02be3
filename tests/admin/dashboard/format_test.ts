import { assertEquals } from "@std/assert";
import * as cli from "../../../src/cli/text.ts";
import * as format from "../../../src/admin/dashboard/ui/model/format.js";

const NOW = Date.parse("2026-11-30T12:00:00Z");

Deno.test("sizes, lengths of time and ages are written as the command line writes them", () => {
  for (const bytes of [0, 12, 1023, 1024, 99.94 * 1024, 1023.5 * 1024, 3 * 2 ** 20, 5.1 * 2 ** 30, 2 ** 50]) {
    assertEquals(format.sizeText(bytes), cli.sizeText(bytes));
  }
  for (const ms of [0.4, 3.67, 41, 999.4, 999.5, 1200, 9950, 59_949, 59_950, 3_600_000, 200_000_000]) {
    assertEquals(format.durationText(ms), cli.durationText(ms));
  }
  for (const at of [undefined, "", "never", ...[0, 999, 1000, 61_000, 7_200_000, 90_000_000].map(before)]) {
    assertEquals(format.ago(at, NOW), cli.ago(at, NOW));
    assertEquals(format.age(at, NOW), cli.age(at, NOW));
  }
});

Deno.test("a length of time has at most two units", () => {
  const texts = [0, 29_000, 60_000, 3_599_000, 11_400_000, 86_400_000].map(format.spanText);
  assertEquals(texts, ["0 s", "29 s", "1 min", "1 h", "3 h 10 min", "24 h"]);
});

Deno.test("a small number keeps its decimals, and a large one has none", () => {
  assertEquals([0, 0.04, 0.3, 4.21, 9.94, 9.95, 120.4].map(format.numberText), [
    ...["0", "0.04", "0.3", "4.2", "9.9", "10", "120"],
  ]);
});

Deno.test("one thing is counted without an s", () => {
  assertEquals([0, 1, 2].map((count) => format.countText(count, "wake")), ["0 wakes", "1 wake", "2 wakes"]);
});

function before(ms: number): string {
  return new Date(NOW - ms).toISOString();
}

Deno.test("a line of another day has its date", () => {
  const now = new Date(2026, 10, 30, 4, 0).getTime();
  assertEquals(format.momentText(new Date(2026, 10, 30, 3, 12, 44).toISOString(), now), "03:12:44");
  assertEquals(format.momentText(new Date(2026, 10, 29, 23, 12, 44).toISOString(), now), "2026-11-29 23:12:44");
});

Deno.test("the time zone is told by its distance from UTC, and by its name", () => {
  const zone = (offset: number) => {
    const now = new Date();
    now.getTimezoneOffset = () => offset;
    return format.zoneText(now).split(",")[0];
  };
  assertEquals([-60, 0, 210, -330].map(zone), ["UTC+1", "UTC", "UTC−3:30", "UTC+5:30"]);
});

Deno.test("a change is told in percent, and of what is small by its difference", () => {
  const texts = [[2, 2], [100, 95], [100, 71], [0.3, 40], [0, 2], [10, 9.96], [3.2, 7]] as const;
  assertEquals(texts.map(([before, after]) => format.changeText(before, after)), [
    ...["same", "−5%", "−29%", "+39.7", "+2", "−0.4%", "+119%"],
  ]);
  assertEquals([0, 0.04123, 3.066, 12.34, 119.6].map(format.amountText), ["0", "0.0412", "3.07", "12.3", "120"]);
});
