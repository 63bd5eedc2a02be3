import type { Revision } from "../../model/revision.ts";
import { gapEndOf } from "./idle_gaps.ts";
import type { GapCount } from "./records.ts";

/** When idle instances of a revision sleep deeper, and how many never do. */
export type IdleSettings = Pick<
  Revision,
  "minInstances" | "pauseAfterMs" | "hibernateAfterMs" | "stopAfterMs" | "stopHibernatedAfterMs"
>;

/** How much RAM an instance takes. */
export interface TierBytes {
  readonly awakeBytes: number;
  readonly pausedBytes: number;
  readonly hibernatedBytes: number;
}

/** Gaps between requests of about the same length, and the sum of their lengths. */
export type Gaps = Pick<GapCount, "bucket" | "count" | "seconds">;

/** When a service had no requests. */
export interface Idleness {
  readonly gaps: readonly Gaps[];
  /** The time in which the gaps have ended. */
  readonly seconds: number;
  /** For how long it has had no request until the end of that time, which may be longer than that time. */
  readonly idleS: number;
}

/** What a service would have cost. */
export interface WhatIf {
  readonly coldStartsPerDay: number;
  /** Wakes from a pause or a hibernation. */
  readonly wakesPerDay: { readonly resume: number; readonly hibernated: number };
  /** RAM, multiplied by the time; a GB has 10^9 bytes. */
  readonly gbHoursPerDay: number;
  /** The part of it in times of a second or more without a request: the only one that settings change. */
  readonly idleGbHoursPerDay: number;
}

/** For how long an instance is idle until it sleeps deeper, seconds; `Infinity` for never. */
interface Tiers {
  readonly pausedS: number;
  readonly hibernatedS: number;
  readonly stoppedS: number;
}

/**
 * When an idle instance sleeps deeper, if nothing else is there: no memory pressure, no operator and no deploy. The same
 * rules as those of the pool's decision.
 *
 * @param canHibernate Whether the machine can move memory to disk.
 */
function tiersOf(settings: IdleSettings, canHibernate: boolean): Tiers {
  const { hibernateAfterMs, minInstances, pauseAfterMs, stopAfterMs, stopHibernatedAfterMs } = settings;
  const never = { pausedS: Infinity, hibernatedS: Infinity, stoppedS: Infinity };
  if (minInstances > 0) return never;
  if (pauseAfterMs >= stopAfterMs) return { ...never, stoppedS: stopAfterMs / 1000 };
  const pausedS = pauseAfterMs / 1000;
  const hibernatedMs = Math.max(pauseAfterMs, hibernateAfterMs);
  if (!canHibernate || hibernatedMs >= stopAfterMs) return { ...never, pausedS, stoppedS: stopAfterMs / 1000 };
  return { pausedS, hibernatedS: hibernatedMs / 1000, stoppedS: stopHibernatedAfterMs / 1000 };
}

/** How {@linkcode whatIf} counts. */
export interface WhatIfOptions {
  readonly bytes: TierBytes;
  readonly canHibernate: boolean;
  /** By how many days to divide the counts. */
  readonly perDays: number;
}

/**
 * What a service would have cost with these settings, from when it had no requests. It counts as one instance, or as
 * `minInstances`: more instances for many requests at once are left out. Where memory goes to disk at the first pause
 * after a start, as the pool decides it, the next wake counts as one from hibernation; how often that is depends on the
 * order of the gaps, which is not known, so an average over all orders is taken.
 */
export function whatIf(
  { gaps, idleS, seconds }: Idleness,
  settings: IdleSettings,
  { bytes, canHibernate, perDays }: WhatIfOptions,
): WhatIf {
  const tiers = tiersOf(settings, canHibernate);
  const atLeast = (leastS: number) => gaps.reduce((sum, gap) => sum + countAtLeast(gap, leastS), 0);
  const [cold, deep, asleep] = [atLeast(tiers.stoppedS), atLeast(tiers.hibernatedS), atLeast(tiers.pausedS)];
  // An instance that is never paused is stopped from `ready`.
  const all = Math.max(cold, asleep);
  const hibernated = Math.max(0, deep - cold);
  const resume = all - cold - hibernated;
  const reclaimed = canReclaim(settings, canHibernate) && all > 0 ? cold * resume / all : 0;
  const { idleBytes, inUseBytes } = averageBytes({ gaps, idleS, seconds }, settings, tiers, bytes);
  return {
    coldStartsPerDay: cold / perDays,
    wakesPerDay: { resume: (resume - reclaimed) / perDays, hibernated: (hibernated + reclaimed) / perDays },
    gbHoursPerDay: (idleBytes + inUseBytes) * 24 / 1e9,
    idleGbHoursPerDay: idleBytes * 24 / 1e9,
  };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The times to stop after that {@linkcode shortestStopMs} chooses from. */
const STOPS_MS: readonly number[] = [
  ...[5, 10, 15, 20, 30, 45, 60, 90].map((minutes) => minutes * MINUTE_MS),
  ...[2, 3, 4, 6, 8, 12, 18, 24, 48, 168, 336].map((hours) => hours * HOUR_MS),
  Infinity,
];
/** Fewer gaps tell nothing about a day. */
const MIN_GAPS = 5;

/**
 * The shortest time to stop after, hibernated or not, with which a service would have had at most so many cold starts a
 * day; `undefined` where too few gaps are recorded to tell, and where instances never stop.
 */
export function shortestStopMs(
  idleness: Idleness,
  settings: IdleSettings,
  options: WhatIfOptions,
  maxColdStartsPerDay: number,
): number | undefined {
  const count = idleness.gaps.reduce((sum, gap) => sum + gap.count, 0);
  if (count < MIN_GAPS || settings.minInstances > 0) return undefined;
  return STOPS_MS.find((stopAfterMs) => {
    const { coldStartsPerDay } = whatIf(
      idleness,
      { ...settings, stopAfterMs, stopHibernatedAfterMs: stopAfterMs },
      options,
    );
    return coldStartsPerDay <= maxColdStartsPerDay;
  });
}

/** Whether memory goes to disk at the first pause after a start. */
function canReclaim({ minInstances, ...settings }: IdleSettings, canHibernate: boolean): boolean {
  const { hibernateAfterMs, pauseAfterMs, stopAfterMs } = settings;
  return canHibernate && minInstances === 0 && Math.max(pauseAfterMs, hibernateAfterMs) < stopAfterMs;
}

/** The average of the RAM in the time of the gaps. What is no gap of a second or more, the instance is in use. */
function averageBytes(
  { gaps, idleS, seconds }: Idleness,
  { minInstances }: IdleSettings,
  tiers: Tiers,
  bytes: TierBytes,
): { readonly idleBytes: number; readonly inUseBytes: number } {
  const during = (idleS: number) => byteSeconds(idleS, tiers, bytes);
  const ended = gaps.reduce((sum, gap) => sum + gap.count * during(gap.seconds / gap.count), 0);
  const before = Math.max(0, idleS - seconds); // this part of the present gap is not of the time that is asked for
  const inGaps = gaps.reduce((sum, gap) => sum + gap.seconds, 0);
  const inUse = Math.max(0, seconds - inGaps - (idleS - before));
  const all = inGaps + (idleS - before) + inUse;
  if (all === 0) return { idleBytes: 0, inUseBytes: 0 };
  const instances = Math.max(1, minInstances);
  return {
    idleBytes: (ended + during(idleS) - during(before)) / all * instances,
    inUseBytes: inUse * bytes.awakeBytes / all * instances,
  };
}

/** The RAM of an instance that is idle for a time, multiplied by that time. */
function byteSeconds(idleS: number, { hibernatedS, pausedS, stoppedS }: Tiers, bytes: TierBytes): number {
  const within = (from: number, to: number) => Math.max(0, Math.min(idleS, to) - Math.min(idleS, from));
  return within(0, Math.min(pausedS, stoppedS)) * bytes.awakeBytes +
    within(pausedS, Math.min(hibernatedS, stoppedS)) * bytes.pausedBytes +
    within(hibernatedS, stoppedS) * bytes.hibernatedBytes;
}

/**
 * How many gaps of a bucket are at least so long. If the bucket has both longer and shorter ones, they are taken to be
 * spread evenly around their mean; so one gap counts as what it is.
 */
function countAtLeast({ bucket, count, seconds }: Gaps, leastS: number): number {
  const mean = seconds / count;
  const [shortest, longest] = [bucket === 0 ? 1 : gapEndOf(bucket - 1), gapEndOf(bucket)];
  if (leastS <= shortest) return count;
  if (leastS > longest) return 0;
  const half = count === 1 ? 0 : Math.min(mean - shortest, longest - mean);
  if (half <= 0 || half === Infinity) return mean >= leastS ? count : 0;
  return count * Math.min(1, Math.max(0, (mean + half - leastS) / (2 * half)));
}
