import { DAY_MS } from "../../model/time.ts";
import type { Store } from "../store.ts";
import type { Costs } from "./costs.ts";
import type { IdleGaps } from "./idle_gaps.ts";
import { dayNumberOf } from "./periods.ts";
import type { CostRecord } from "./records.ts";
import type { Gaps, Idleness, TierBytes } from "./what_if.ts";

/** A hibernated instance that was never measured is taken to use this share of what it uses awake. */
const HIBERNATED_SHARE = 0.05;

/** What {@linkcode Estimates} works with. */
export interface EstimatesOptions {
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  readonly store: Pick<Store, "gaps">;
  readonly gaps: Pick<IdleGaps, "idle" | "pending">;
  readonly costs: Pick<Costs, "ofTiers">;
}

/** What is known of a service, for {@linkcode whatIf}. */
export interface Basis {
  readonly idleness: Idleness;
  /** For how many of the days that were asked for its requests have been counted. */
  readonly days: number;
  readonly bytes: TierBytes;
}

/** Finds what is known of a service, for estimates of what it would cost with other settings. */
export class Estimates {
  readonly #options: EstimatesOptions;

  constructor(options: EstimatesOptions) {
    this.#options = options;
  }

  /** What is known of the last days, with today. All is 0 if nothing is known. @throws {StoreUnavailable} */
  basisOf(service: string, days: number): Basis {
    const { costs, gaps, now, store } = this.#options;
    const bytes = tierBytesOf(costs.ofTiers(service));
    const idle = gaps.idle(service);
    if (idle === undefined) return { idleness: { gaps: [], seconds: 0, idleS: 0 }, days: 0, bytes };
    const sinceDay = dayNumberOf(now()) - days + 1;
    const pending = gaps.pending.gaps.filter((gap) => gap.service === service && gap.day >= sinceDay);
    const ms = Math.max(0, now() - Math.max(idle.since, sinceDay * DAY_MS));
    return {
      idleness: {
        gaps: byBucket([...store.gaps(service, sinceDay), ...pending]),
        seconds: ms / 1000,
        idleS: idle.idleMs / 1000,
      },
      days: ms / DAY_MS,
      bytes,
    };
  }
}

/** Sums gaps up by bucket, the shortest first. */
function byBucket(all: readonly Gaps[]): Gaps[] {
  const groups = Map.groupBy(all, ({ bucket }) => bucket);
  return Array.from(groups, ([bucket, some]) => ({
    bucket,
    count: some.reduce((sum, { count }) => sum + count, 0),
    seconds: some.reduce((sum, { seconds }) => sum + seconds, 0),
  })).sort((a, b) => a.bucket - b.bucket);
}

/** The RAM of one instance. A paused one that was never measured is taken to use as much as one that is awake. */
function tierBytesOf(
  known: Pick<CostRecord, "wholeBytes" | "pausedBytes" | "hibernatedBytes"> | undefined,
): TierBytes {
  const { wholeBytes: awakeBytes = 0 } = known ?? {};
  const pausedBytes = known?.pausedBytes ?? awakeBytes;
  const hibernatedBytes = known?.hibernatedBytes ?? Math.round(awakeBytes * HIBERNATED_SHARE);
  return { awakeBytes, pausedBytes: Math.min(pausedBytes, awakeBytes), hibernatedBytes };
}
