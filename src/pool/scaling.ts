import type { Revision } from "../model/revision.ts";

const LONGEST_WINDOW_MS = 60_000;

/** How many instances of a revision start or resume at once: more would slow one another down. */
export const MOST_COMING = 10;

/** A past observation of a revision's demand. */
export interface Observation {
  /** Clock ms. */
  readonly at: number;
  /** The most requests at once, in flight and waiting, since the previous observation. */
  readonly peak: number;
}

/** A revision as it is now. */
export interface Situation {
  /** Clock ms. */
  readonly now: number;
  readonly demand: number;
  /** How many requests an instance serves at once; 0 for any number. */
  readonly concurrency: number;
  readonly ready: number;
  readonly coming: number;
  readonly paused: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Recent observations, oldest first. */
  readonly window: readonly Observation[];
  /** For how long fewer instances must have been enough before one is stopped. */
  readonly stableForMs: number;
}

/** How many instances to add or stop. */
export interface Scale {
  readonly start: number;
  readonly stop: number;
}

/**
 * Decides how many instances a revision should have. It adds at once all that the demand needs, since requests must not
 * wait for a window. It stops one at a time, and only if fewer would have been enough for the peak of a whole window,
 * so that a recurring load keeps its instances.
 */
export function scale(situation: Situation): Scale {
  const { coming, concurrency, demand, maxInstances, minInstances, paused, ready } = situation;
  const wanted = needed(demand, concurrency);
  const most = paused + Math.max(0, maxInstances - ready - coming - paused);
  const missing = Math.min(most, wanted - ready - coming);
  const start = Math.max(0, Math.min(missing, MOST_COMING - coming));
  if (start > 0 || coming > 0 || !isStable(situation)) return { start, stop: 0 };
  const peak = situation.window.reduce((most, observation) => Math.max(most, observation.peak), demand);
  // The last one is never surplus: its idle time decides when it stops.
  const enough = Math.max(needed(peak, concurrency), minInstances, 1);
  return { start: 0, stop: ready > enough ? 1 : 0 };
}

/** Whether this number of ready instances may be too many, so that the demand must be observed. */
export function isShrinkable(ready: number, { concurrency, minInstances }: Revision): boolean {
  return concurrency > 0 && ready > Math.max(1, minInstances);
}

/** For how long fewer instances must be enough, ms: at most as long as an instance may be idle. */
export function stableForMs(stopAfterMs: number): number {
  return Math.min(LONGEST_WINDOW_MS, stopAfterMs);
}

/** Adds an observation, and removes those that the window no longer needs. */
export function observe(window: readonly Observation[], last: Observation, stableForMs: number): Observation[] {
  const first = window.findLastIndex(({ at }) => at <= last.at - stableForMs);
  return [...window.slice(Math.max(0, first)), last];
}

function needed(demand: number, concurrency: number): number {
  if (concurrency === 0) return demand > 0 ? 1 : 0;
  return Math.ceil(demand / concurrency);
}

function isStable({ now, stableForMs, window }: Situation): boolean {
  return window[0] !== undefined && window[0].at <= now - stableForMs;
}
