import { assert, assertEquals } from "@std/assert";
import {
  bucketOf,
  endOf,
  type Histogram,
  LAST_BUCKET,
  merged,
  quantileOf,
} from "../../../src/control/figures/histogram.ts";

Deno.test("each time is in the first bucket that ends no earlier, and what is out of reach in the nearest", () => {
  const [first, last] = [-12, LAST_BUCKET];
  for (let ms = 0.2; ms < 200_000; ms *= 1.07) {
    const bucket = bucketOf(ms, first);
    assert(ms <= endOf(bucket) * 1.01 && ms > endOf(bucket - 1) * 0.99, `${ms} in ${bucket}`);
  }
  assertEquals([bucketOf(1, first), bucketOf(1, 0), bucketOf(2, 0)], [0, 0, 4]);
  assertEquals([bucketOf(0, first), bucketOf(0.001, first), bucketOf(1e9, first)], [first, first, last]);
});

Deno.test("a quantile is right within 10%, whatever the times are", () => {
  const times = Array.from({ length: 500 }, (_, n) => 0.5 * 1.02 ** n);
  const counts = Map.groupBy(times, (ms) => bucketOf(ms, -12));
  const histogram: Histogram = Array.from(counts, ([bucket, those]) => [bucket, those.length] as const);
  for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
    const exact = times[Math.ceil(share * times.length) - 1]!;
    assert(Math.abs(quantileOf(histogram, share) / exact - 1) <= 0.1, `${share}`);
  }
});

Deno.test("merged histograms have the counts of both, the shortest times first", () => {
  assertEquals(merged([[3, 1], [5, 2]], [[1, 4], [5, 1]]), [[1, 4], [3, 1], [5, 3]]);
  assertEquals([merged([], [[1, 1]]), merged([[1, 1]], []), merged([], [])], [[[1, 1]], [[1, 1]], []]);
});
