// @ts-check
import { countText } from "./format.js";
import { changedSettings } from "./idle_settings.js";

/** What other idle times would have brought, for one service and for several. */

/** @import { IdleSettings } from "./idle_settings.js" */
/** @typedef {IdleSettings & { coldStartsPerDay: number, wakesPerDay: { resume: number, hibernated: number }, gbHoursPerDay: number, idleGbHoursPerDay: number }} Outcome */
/** @typedef {{ days: number, canHibernate: boolean, minInstances: number, gaps: { count: number }[], memory: { awakeBytes: number, pausedBytes: number, hibernatedBytes: number }, now: Outcome, then: Outcome }} WhatIf */
/** @typedef {WhatIf & { service: string, state: string }} ServiceWhatIf */
/** @typedef {{ coldStarts: number, idleGbHours: number, inUseGbHours: number }} Sum A day */

/**
 * Why there is nothing to estimate the outcome for a service from; `undefined` where there is.
 *
 * @param {ServiceWhatIf} estimate
 */
export function unknownText({ gaps, minInstances, state }) {
  if (minInstances > 0) return `always runs ${countText(minInstances, "instance")}`;
  if (state === "failing") return "it fails: there is nothing to estimate";
  const count = gaps.reduce((sum, gap) => sum + gap.count, 0);
  return count < MIN_GAPS ? `too little is recorded: ${countText(count, "time")} without a request` : undefined;
}

/** Fewer times without a request tell nothing about a day: the API chooses no time to stop after from them. */
const MIN_GAPS = 5;

/**
 * Whether a service would have other settings than now, with another outcome as far as it is known.
 *
 * @param {ServiceWhatIf} estimate
 */
export function isChange(estimate) {
  const { now, then } = estimate;
  if (unknownText(estimate) !== undefined) return false;
  return Object.keys(changedSettings(now, then)).length > 0 && OUTCOMES.some((read) => read(now) !== read(then));
}

/** @type {readonly ((outcome: Outcome) => number)[]} */
const OUTCOMES = [
  ({ coldStartsPerDay }) => coldStartsPerDay,
  ({ gbHoursPerDay }) => gbHoursPerDay,
  ({ wakesPerDay }) => wakesPerDay.resume,
  ({ wakesPerDay }) => wakesPerDay.hibernated,
];

/**
 * What all services together bring now, and if those that are chosen change.
 *
 * @param {readonly ServiceWhatIf[]} estimates
 * @param {ReadonlySet<string>} chosen
 * @returns {{ before: Sum, after: Sum }}
 */
export function sumsOf(estimates, chosen) {
  const sum = (/** @type {(estimate: ServiceWhatIf) => Outcome} */ read) =>
    estimates.map(read).reduce(
      ({ coldStarts, idleGbHours, inUseGbHours }, { coldStartsPerDay, gbHoursPerDay, idleGbHoursPerDay }) => ({
        coldStarts: coldStarts + coldStartsPerDay,
        idleGbHours: idleGbHours + idleGbHoursPerDay,
        inUseGbHours: inUseGbHours + gbHoursPerDay - idleGbHoursPerDay,
      }),
      { coldStarts: 0, idleGbHours: 0, inUseGbHours: 0 },
    );
  return {
    before: sum(({ now }) => now),
    after: sum((estimate) => chosen.has(estimate.service) && isChange(estimate) ? estimate.then : estimate.now),
  };
}

/**
 * Estimates in the order in which the reader knows the services, so that none comes under a pointer that is still. New
 * services stand at the end, those with most memory first.
 *
 * @param {readonly ServiceWhatIf[]} estimates
 * @param {readonly string[]} known
 * @returns {ServiceWhatIf[]}
 */
export function inKnownOrder(estimates, known) {
  const place = new Map(known.map((service, at) => [service, at]));
  const placeOf = (/** @type {ServiceWhatIf} */ { service }) => place.get(service) ?? known.length;
  return estimates.toSorted((a, b) =>
    placeOf(a) - placeOf(b) || b.now.gbHoursPerDay - a.now.gbHoursPerDay || (a.service < b.service ? -1 : 1)
  );
}

/**
 * The unit of memory over time in which none of the amounts is 0.0.
 *
 * @param {...number} gbHours
 * @returns {{ unit: "GB" | "MB", factor: number }}
 */
export function memoryUnit(...gbHours) {
  return Math.max(...gbHours) < 1 ? { unit: "MB", factor: 1000 } : { unit: "GB", factor: 1 };
}
