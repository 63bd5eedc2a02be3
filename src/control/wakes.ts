import type { Revision } from "../model/revision.ts";
import type { Wake } from "../pool/wake_times.ts";
import type { WakeCount } from "./records.ts";

const MINUTE_MS = 60_000;
/** Each bucket of the histogram ends at a fourth root of 2 times the end of the one before; the first at 1 ms. */
const BUCKETS_PER_DOUBLING = 4;
/** Ends at 262 s. Longer wakes are in it too. */
const LAST_BUCKET = 72;
/** While nothing can be stored, at most this many counts are retained. */
const MAX_PENDING = 10_000;

/** The wakes of a revision of one kind. */
export interface WakeSummary {
  readonly revision: string;
  readonly how: Wake;
  readonly count: number;
  /** How long they took, ms, within 10%. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How many took longer than the entry before, and at most `upToMs`. Entries without wakes are left out. */
  readonly histogram: readonly { readonly upToMs: number; readonly count: number }[];
}

/** Counts wakes by minute, until they are stored: see `Figures`. */
export class Wakes {
  readonly #now: () => number;
  readonly #pending = new Map<string, WakeCount>();

  /** @param now Wall-clock time, ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a wake, which took `ms`. */
  woken({ name, service }: Pick<Revision, "name" | "service">, how: Wake, ms: number): void {
    const minute = minuteOf(this.#now());
    const bucket = bucketOf(ms);
    const key = `${name} ${how} ${minute} ${bucket}`;
    const { count = 0 } = this.#pending.get(key) ?? {};
    if (count === 0 && this.#pending.size >= MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value!);
    this.#pending.set(key, { service, revision: name, how, minute, bucket, count: count + 1 });
  }

  /** The counts that are not stored yet. */
  get pending(): WakeCount[] {
    return [...this.#pending.values()];
  }

  /** Notes that they are stored. */
  clean(): void {
    this.#pending.clear();
  }

  forget(service: string): void {
    for (const [key, count] of this.#pending) if (count.service === service) this.#pending.delete(key);
  }
}

/** The minute that contains a wall-clock time: minutes since 1970. */
export function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS);
}

/** Sums counts up by revision and kind, in the order in which they come first. */
export function summarize(counts: readonly Omit<WakeCount, "minute">[]): WakeSummary[] {
  const groups = Map.groupBy(counts, ({ how, revision }) => `${revision} ${how}`);
  return [...groups.values()].map((group) => {
    const { how, revision } = group[0]!;
    const byBucket = new Map<number, number>();
    for (const { bucket, count } of group) byBucket.set(bucket, (byBucket.get(bucket) ?? 0) + count);
    const sorted = [...byBucket].sort(([a], [b]) => a - b);
    const count = sorted.reduce((sum, [, count]) => sum + count, 0);
    return {
      revision,
      how,
      count,
      p50Ms: quantile(sorted, count * 0.5),
      p99Ms: quantile(sorted, count * 0.99),
      histogram: sorted.map(([bucket, count]) => ({ upToMs: round(endOf(bucket)), count })),
    };
  });
}

/** The middle of the bucket that has the wake of this rank. */
function quantile(sorted: readonly (readonly [bucket: number, count: number])[], rank: number): number {
  let below = 0;
  const [bucket] = sorted.find(([, count]) => (below += count) >= rank)!;
  return round(endOf(bucket - 0.5));
}

function bucketOf(ms: number): number {
  return Math.min(LAST_BUCKET, Math.max(0, Math.ceil(BUCKETS_PER_DOUBLING * Math.log2(ms))));
}

function endOf(bucket: number): number {
  return 2 ** (bucket / BUCKETS_PER_DOUBLING);
}

/** Three digits are more than the histogram knows. */
function round(ms: number): number {
  return Number(ms.toPrecision(3));
}
