/** How long a window of observations is at most, ms. */
const LONGEST_WINDOW_MS = 60_000;

/** How many instances of a revision are started or resumed at once at most: more would only slow one another down. */
const MOST_COMING = 10;

/** What was seen of a revision. */
export interface Observation {
  /** In the clock's ms. */
  readonly at: number;
  /** The most requests that there were at once, in flight and waiting, since the observation before. */
  readonly peak: number;
}

/** A revision as it is now. */
export interface Situation {
  /** In the clock's ms. */
  readonly now: number;
  /** How many requests there are, in flight and waiting. */
  readonly demand: number;
  /** How many requests an instance serves at once; 0 for any number. */
  readonly concurrency: number;
  readonly ready: number;
  /** How many instances are being started or resumed. */
  readonly coming: number;
  readonly paused: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** What was seen lately, oldest first. */
  readonly window: readonly Observation[];
  /** For how long fewer instances have to be enough before there are fewer, ms. */
  readonly stableFor: number;
}

/** How many instances more there should be, or fewer. */
export interface Decision {
  /** How many are to be resumed or started. */
  readonly start: number;
  /** How many of the ready ones are to be stopped. */
  readonly stop: number;
}

/**
 * Decides how many instances a revision should have. It grows at once, by what is missing for the demand that there is: who
 * waits must not wait for a window. It shrinks by one at a time, and only when fewer would have been enough for the largest
 * demand of a whole window: what comes again and again keeps what it needs.
 */
export function decide(situation: Situation): Decision {
  const { coming, concurrency, demand, maxInstances, minInstances, paused, ready } = situation;
  const wanted = needed(demand, concurrency);
  const most = paused + Math.max(0, maxInstances - ready - coming - paused);
  const missing = Math.min(most, wanted - ready - coming);
  const start = Math.max(0, Math.min(missing, MOST_COMING - coming));
  if (start > 0 || coming > 0 || !isStable(situation)) return { start, stop: 0 };
  const peak = situation.window.reduce((most, observation) => Math.max(most, observation.peak), demand);
  // The last one is not too many: it is for the idle tiers to say when nobody needs it.
  const enough = Math.max(needed(peak, concurrency), minInstances, 1);
  return { start: 0, stop: ready > enough ? 1 : 0 };
}

/** For how long fewer instances have to be enough: no longer than an instance may be idle. @param stopAfter In ms. */
export function stableFor(stopAfter: number): number {
  return Math.min(LONGEST_WINDOW_MS, stopAfter);
}

/** Adds what was seen last, and takes out what is older than the window needs. */
export function observe(window: readonly Observation[], last: Observation, stableFor: number): Observation[] {
  const first = window.findLastIndex(({ at }) => at <= last.at - stableFor);
  return [...window.slice(Math.max(0, first)), last];
}

function needed(demand: number, concurrency: number): number {
  if (concurrency === 0) return demand > 0 ? 1 : 0;
  return Math.ceil(demand / concurrency);
}

/** Whether the window is as long as it has to be. */
function isStable({ now, stableFor, window }: Situation): boolean {
  return window[0] !== undefined && window[0].at <= now - stableFor;
}
