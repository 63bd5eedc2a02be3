/** Each bucket ends at a fourth root of 2 times the end of the one before; bucket 0 ends at 1 ms. */
const BUCKETS_PER_DOUBLING = 4;
/** Ends at 262 s. Longer times are in it too. */
export const LAST_BUCKET = 72;

/** Buckets, the shortest times first, and how many times are in each. Empty ones are left out. */
export type Histogram = readonly (readonly [bucket: number, count: number])[];

/** The bucket of a time, ms. @param first Shorter times than those of this bucket are in it too. */
export function bucketOf(ms: number, first: number): number {
  return Math.min(LAST_BUCKET, Math.max(first, Math.ceil(BUCKETS_PER_DOUBLING * Math.log2(ms))));
}

/** The sum of two histograms. */
export function merged(one: Histogram, other: Histogram): Histogram {
  if (one.length === 0 || other.length === 0) return [...one, ...other];
  const counts = new Map(one);
  for (const [bucket, count] of other) counts.set(bucket, (counts.get(bucket) ?? 0) + count);
  return [...counts].sort(([a], [b]) => a - b);
}

/** The longest time in a bucket, ms. */
export function endOf(bucket: number): number {
  return roundMs(2 ** (bucket / BUCKETS_PER_DOUBLING));
}

/**
 * The time that a share of the times does not exceed, ms, within 10%: the middle of the bucket that has it.
 *
 * @param histogram Of at least one time.
 * @param share From 0 to 1.
 */
export function quantileOf(histogram: Histogram, share: number): number {
  const rank = share * histogram.reduce((sum, [, count]) => sum + count, 0);
  let below = 0;
  const [bucket] = histogram.find(([, count]) => (below += count) >= rank)!;
  return roundMs(2 ** ((bucket - 0.5) / BUCKETS_PER_DOUBLING));
}

/** Three digits are more than a histogram knows. */
function roundMs(ms: number): number {
  return Number(ms.toPrecision(3));
}
