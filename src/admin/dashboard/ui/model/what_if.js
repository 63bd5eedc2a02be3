// @ts-check
import { changedSettings } from "./idle_settings.js";

/** What other idle times would have brought, for one service and for several. */

/** @import { IdleSettings } from "./idle_settings.js" */
/** @typedef {IdleSettings & { coldStartsPerDay: number, wakesPerDay: { resume: number, hibernated: number }, gbHoursPerDay: number }} Outcome */
/** @typedef {{ days: number, canHibernate: boolean, minInstances: number, memory: { awakeBytes: number, pausedBytes: number, hibernatedBytes: number }, now: Outcome, then: Outcome }} WhatIf */
/** @typedef {WhatIf & { service: string }} ServiceWhatIf */
/** @typedef {{ coldStarts: number, gbHours: number }} Sum A day */

/**
 * The services that would have other settings than now.
 *
 * @param {readonly ServiceWhatIf[]} estimates
 * @param {ReadonlySet<string>} leftOut Those that stay as they are
 */
export function changedServices(estimates, leftOut) {
  return estimates.filter(({ service, now, then }) =>
    !leftOut.has(service) && Object.keys(changedSettings(now, then)).length > 0
  );
}

/**
 * What all services together bring now, and if those that are not left out change.
 *
 * @param {readonly ServiceWhatIf[]} estimates
 * @param {ReadonlySet<string>} leftOut
 * @returns {{ before: Sum, after: Sum }}
 */
export function sumsOf(estimates, leftOut) {
  const sum = (/** @type {(estimate: ServiceWhatIf) => Outcome} */ read) =>
    estimates.map(read).reduce(({ coldStarts, gbHours }, { coldStartsPerDay, gbHoursPerDay }) => ({
      coldStarts: coldStarts + coldStartsPerDay,
      gbHours: gbHours + gbHoursPerDay,
    }), { coldStarts: 0, gbHours: 0 });
  return { before: sum(({ now }) => now), after: sum(({ service, now, then }) => leftOut.has(service) ? now : then) };
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
