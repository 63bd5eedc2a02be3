import { assert, assertEquals } from "@std/assert";
import { figuresText, seriesOf } from "../../../src/admin/dashboard/ui/model/series.js";

const FROM = Date.parse("2026-11-30T10:00:00Z");
const point = (minutes: number, requests: number, more = {}) => ({
  ...{ at: new Date(FROM + minutes * 60_000).toISOString(), requests, errors: 0 },
  ...more,
});
const span = (minutes: number) => ({
  from: new Date(FROM).toISOString(),
  to: new Date(FROM + minutes * 60_000 + 12_345).toISOString(),
});

Deno.test("a minute in which nothing was has no requests, and no latency", () => {
  const points = [point(1, 31, { p50Ms: 4, p99Ms: 30 }), point(3, 2, { errors: 1, p50Ms: 5, p99Ms: 5 })];
  assertEquals(seriesOf({ step: "minute", ...span(3), points }), {
    times: [0, 60, 120, 180].map((s) => FROM / 1000 + s),
    requests: [0, 31, 0, 2],
    errors: [0, 0, 0, 1],
    p50: [null, 4, null, 5],
    p99: [null, 30, null, 5],
  });
});

Deno.test("90 days have an entry for each hour", () => {
  const { times } = seriesOf({ step: "hour", ...span(90 * 24 * 60), points: [] });
  assertEquals([times.length, times[1]! - times[0]!], [90 * 24 + 1, 3600]);
});

Deno.test("the charts in words have the sum, the most, the errors and the slowest", () => {
  const points = [point(1, 31, { p99Ms: 30 }), point(3, 2, { errors: 1, p99Ms: 812 })];
  const text = figuresText({ step: "minute", ...span(3), points });
  assert(/^33 requests, the most at \S+ \S+: 31 a minute; 1 error; p99 at most 812ms$/.test(text), text);
  assertEquals(figuresText({ step: "hour", ...span(3), points: [] }), "no requests");
});
