import { assert, assertEquals } from "@std/assert";
import { fittingColumns, GAP, inFlightText, rateText, sparkline } from "../../../src/cli/top/table.ts";
import { BLOG, newActivity, SERVICES } from "./activities.ts";

function heads(columns: number): string {
  return fittingColumns(SERVICES, columns).map(({ head }) => head).join(" ");
}

Deno.test("a narrow terminal lacks what is missed least", () => {
  assertEquals(
    heads(120),
    "SERVICE STATE REQ/S ERR/S P50 P99 FLIGHT MEMORY SWAP COLD PAUSED HIBERNATED LAST 10 MIN",
  );
  assertEquals(heads(100), "SERVICE STATE REQ/S P99 FLIGHT MEMORY SWAP WAKES/H LAST 10 MIN");
  assertEquals(heads(80), "SERVICE STATE REQ/S P99 FLIGHT MEMORY WAKES/H LAST 10 MIN");
  assertEquals(heads(60), "SERVICE STATE REQ/S P99 MEMORY");
  assertEquals(heads(40), "SERVICE STATE REQ/S P99");
  assertEquals(heads(20), "SERVICE STATE");
});

Deno.test("columns are never wider than the terminal, and a long name gets what is left", () => {
  const long = [...SERVICES, newActivity("a-name-of-forty-characters-or-nearly-so", { inFlight: 1e6, waiting: 1e6 })];
  for (let columns = 13; columns < 200; columns++) {
    const all = fittingColumns(long, columns);
    const width = all.reduce((sum, { width }) => sum + width + GAP, -GAP);
    assert(width <= columns, `${width} of ${columns}`);
  }
  assertEquals(fittingColumns(long, 200)[0]!.width, 39);
  assertEquals(fittingColumns(SERVICES, 200)[0]!.width, 12);
});

Deno.test("bars are as high as their part of the largest number, and only nothing is flat", () => {
  assertEquals(sparkline([0, 1, 50, 100]), "▁▂▅█");
  assertEquals(sparkline([0, 0]), "▁▁");
  assertEquals(sparkline([0, 1]), "▁█");
  assertEquals(sparkline([]), "");
  assertEquals(sparkline(BLOG.perMinute), "▁▂▄█▅▂▁▁▄▆");
});

Deno.test("rates are short", () => {
  const cases: [number, string][] = [
    ...[[0, "0"], [0.001, "0.1"], [0.26, "0.3"], [9.94, "9.9"], [9.96, "10"], [1234.4, "1234"]] as [number, string][],
    ...[[9999.4, "9999"], [9999.5, "10k"], [123_456, "123k"]] as [number, string][],
  ];
  for (const [rate, text] of cases) assertEquals(rateText(rate), text);
});

Deno.test("requests that wait are told after those in flight", () => {
  assertEquals([inFlightText(BLOG), inFlightText({ ...BLOG, waiting: 0 })], ["2+1", "2"]);
});
