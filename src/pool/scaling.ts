import type { Revision } from "../model/revision.ts";

const LONGEST_WINDOW_MS = 60_000;

/** How many instances of a revision are started or resumed at once: more would only slow one another down. */
const MOST_COMING = 10;

/** What was seen of a revision. */
export interface Observation {
  /** Clock ms. */
  readonly at: number;
  /** The most requests at once, in flight and waiting, since the observation before. */
  readonly peak: number;
}

/** A revision as it is now. */
export interface Situation {
  /** Clock ms. */
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
  /** For how long fewer instances have to be enough before one is stopped. */
  readonly stableForMs: number;
}

/** How many instances more there should be, or fewer. */
export interface Scale {
  /** How many are to be resumed or started. */
  readonly start: number;
  /** How many of the ready ones are to be stopped. */
  readonly stop: number;
}

/**
 * Decides how many instances a revision should have. It grows at once by what the present demand lacks: requests must not
 * wait for a window. It shrinks by one at a time, and only if fewer would have been enough for the largest demand of a
 * whole window, so that load that comes again and again keeps its instances.
 */
export function scale(situation: Situation): Scale {
  const { coming, concurrency, demand, maxInstances, minInstances, paused, ready } = situation;
  const wanted = needed(demand, concurrency);
  const most = paused + Math.max(0, maxInstances - ready - coming - paused);
  const missing = Math.min(most, wanted - ready - coming);
  const start = Math.max(0, Math.min(missing, MOST_COMING - coming));
  if (start > 0 || coming > 0 || !isStable(situation)) return { start, stop: 0 };
  const peak = situation.window.reduce((most, observation) => Math.max(most, observation.peak), demand);
  // The last one is not surplus: when it is stopped depends on how long it has been idle.
  const enough = Math.max(needed(peak, concurrency), minInstances, 1);
  return { start: 0, stop: ready > enough ? 1 : 0 };
}

/** Whether so many ready instances could be too many, so that the demand has to be watched. */
export function isShrinkable(ready: number, { concurrency, minInstances }: Revision): boolean {
  return concurrency > 0 && ready > Math.max(1, minInstances);
}

/** For how long fewer instances have to be enough, ms: no longer than an instance may be idle. */
export function stableForMs(stopAfterMs: number): number {
  return Math.min(LONGEST_WINDOW_MS, stopAfterMs);
}

/** Adds the last observation, and removes those that are older than the window needs. */
export function observe(window: readonly Observation[], last: Observation, stableForMs: number): Observation[] {
  const first = window.findLastIndex(({ at }) => at <= last.at - stableForMs);
  return [...window.slice(Math.max(0, first)), last];
}

function needed(demand: number, concurrency: number): number {
  if (concurrency === 0) return demand > 0 ? 1 : 0;
  return Math.ceil(demand / concurrency);
}

/** Whether the window is as long as it has to be. */
function isStable({ now, stableForMs, window }: Situation): boolean {
  return window[0] !== undefined && window[0].at <= now - stableForMs;
}
