import type { RevisionName } from "../../model/revision.ts";
import type { WakeTier } from "../../pool/wake_times.ts";
import { bucketOf, endOf, quantileOf } from "./histogram.ts";
import { minuteOf } from "./periods.ts";
import type { WakeCount } from "./records.ts";

/** Ends at 1 ms. Shorter wakes are in it too. */
const FIRST_BUCKET = 0;
/** While nothing can be stored, at most this many counts are retained. */
const MAX_PENDING = 10_000;

/** The wakes of a revision of one kind. */
export interface WakeSummary {
  readonly revision: string;
  readonly how: WakeTier;
  readonly count: number;
  /** How long they took, ms, within 10%. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How many took longer than the entry before, and at most `upToMs`. Entries without wakes are left out. */
  readonly histogram: readonly { readonly upToMs: number; readonly count: number }[];
}

/** Counts wakes by minute, until they are stored: see `Figures`. */
export class WakeCounts {
  readonly #now: () => number;
  readonly #pending = new Map<string, WakeCount>();

  /** @param now Wall-clock time, ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a wake, which took `ms`. */
  woken({ name, service }: RevisionName, how: WakeTier, ms: number): void {
    const minute = minuteOf(this.#now());
    const bucket = bucketOf(ms, FIRST_BUCKET);
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

/** Sums counts up by revision and kind, in the order in which they come first. */
export function summarize(counts: readonly Omit<WakeCount, "minute">[]): WakeSummary[] {
  const groups = Map.groupBy(counts, ({ how, revision }) => `${revision} ${how}`);
  return [...groups.values()].map((group) => {
    const { how, revision } = group[0]!;
    const byBucket = new Map<number, number>();
    for (const { bucket, count } of group) byBucket.set(bucket, (byBucket.get(bucket) ?? 0) + count);
    const sorted = [...byBucket].sort(([a], [b]) => a - b);
    return {
      revision,
      how,
      count: sorted.reduce((sum, [, count]) => sum + count, 0),
      p50Ms: quantileOf(sorted, 0.5),
      p99Ms: quantileOf(sorted, 0.99),
      histogram: sorted.map(([bucket, count]) => ({ upToMs: endOf(bucket), count })),
    };
  });
}
