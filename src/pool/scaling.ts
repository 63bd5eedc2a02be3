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

/** How many instances some simultaneous requests need. */
export function needed(demand: number, concurrency: number): number {
  return concurrency === 0 ? 1 : Math.ceil(demand / concurrency);
}
