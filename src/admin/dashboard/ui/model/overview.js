// @ts-check
import { age, ago, clauseOf, numberText, sizeText } from "./format.js";

/** What the list of services shows: its first line, what needs attention, and which services in which order. */

/** @import { Timeline } from "./timeline.js" */
/**
 * @typedef {object} Activity
 * @property {string} service
 * @property {string} state
 * @property {string} [failure]
 * @property {string} [failingSince]
 * @property {number} requestsPerSecond
 * @property {number} errorsPerSecond
 * @property {number} [p50Ms]
 * @property {number} [p99Ms]
 * @property {number} inFlight
 * @property {number} waiting
 * @property {Record<string, number>} instances
 * @property {number} memoryBytes
 * @property {number} swapBytes
 * @property {number} awakeBytes
 * @property {{ cold: number, resume: number, hibernated: number }} wakes
 * @property {number[]} perMinute
 */
/** @typedef {{ service: string, what: string, detail: string, section: string }} Attention */

const AWAKE = ["ready", "starting", "deploying"];
/** The order of states in a list that is sorted by state. */
const STATES = ["failing", "deploying", "starting", "ready", "paused", "hibernated", "asleep"];

/** The ways to sort, with their names. */
export const SORTS = { name: "name", state: "state", requests: "requests", memory: "memory", wake: "last wake" };

/**
 * How much memory is not used now: what one instance of each service takes while it is awake, without what the services
 * use.
 *
 * @param {readonly Activity[]} activities
 */
export function unusedBytes(activities) {
  return activities.reduce((sum, { awakeBytes, memoryBytes }) => sum + Math.max(0, awakeBytes - memoryBytes), 0);
}

/**
 * The first line: `43 services, 3 awake, 5.1 GiB not used`.
 *
 * @param {readonly Activity[]} activities
 * @param {number} unused bytes
 */
export function headline(activities, unused) {
  const { length } = activities;
  const awake = activities.filter(({ state }) => AWAKE.includes(state)).length;
  return [
    `${length} ${length === 1 ? "service" : "services"}`,
    `${awake} awake`,
    ...(unused >= 2 ** 20 ? [`${sizeText(unused)} not used`] : []),
  ];
}

/**
 * What needs attention: what fails, and services whose last deploy did not work.
 *
 * @param {readonly Activity[]} activities
 * @param {readonly Timeline[]} timelines
 * @param {number} now ms since 1970
 * @returns {Attention[]}
 */
export function attention(activities, timelines, now) {
  const failing = activities.filter(({ state }) => state === "failing").map((one) => {
    return {
      service: one.service,
      what: failingText(one.failingSince, now).toLowerCase(),
      detail: clauseOf(one.failure ?? ""),
      section: "",
    };
  });
  const failed = timelines.flatMap(({ service, deploys }) => {
    const last = deploys.at(-1);
    if (last === undefined || last.outcome === "deployed") return [];
    const detail = `${last.revision ?? "the deploy"} by ${last.by}, ${age(last.at, now)} ago`;
    return [{ service, what: `deploy ${last.outcome}`, detail, section: "history" }];
  });
  return [...failing, ...failed];
}

/**
 * For how long a service fails: `Failing for 3m`.
 *
 * @param {string | undefined} since ISO 8601
 * @param {number} now ms since 1970
 */
export function failingText(since, now) {
  const length = age(since, now);
  return `Failing${/\d/.test(length) ? ` for ${length}` : ""}`;
}

/**
 * The services whose name or state contains a text, sorted.
 *
 * @param {readonly Activity[]} activities
 * @param {string} filter
 * @param {string} sort
 * @param {ReadonlyMap<string, Timeline>} timelines
 * @returns {Activity[]}
 */
export function arranged(activities, filter, sort, timelines) {
  const wanted = filter.trim().toLowerCase();
  const found = activities.filter(({ service, state }) => service.includes(wanted) || state.startsWith(wanted));
  const key = KEYS[/** @type {keyof typeof KEYS} */ (sort)] ?? KEYS.name;
  return found.map((one) => ({ one, rank: key(one, timelines.get(one.service)) }))
    .sort((a, b) => a.rank - b.rank || (a.one.service < b.one.service ? -1 : 1))
    .map(({ one }) => one);
}

/** @type {Record<keyof typeof SORTS, (one: Activity, timeline: Timeline | undefined) => number>} */
const KEYS = {
  name: () => 0,
  state: ({ state }) => (STATES.indexOf(state) + STATES.length) % STATES.length,
  requests: ({ perMinute, requestsPerSecond }) =>
    -requestsPerSecond - perMinute.reduce((sum, count) => sum + count, 0) / 1e6,
  memory: ({ memoryBytes }) => -memoryBytes,
  wake: (_, timeline) => -lastWake(timeline),
};

/** @param {Timeline | undefined} timeline */
function lastWake(timeline) {
  return Date.parse(timeline?.wakes.at(-1)?.at ?? "") || 0;
}

/**
 * How much is requested, or how long ago the last request was, as far as it is known: `12/s`, `3m ago`.
 *
 * @param {Activity} activity
 * @param {Timeline | undefined} timeline
 * @param {number} now ms since 1970
 */
export function requestsText({ perMinute, requestsPerSecond }, timeline, now) {
  if (requestsPerSecond > 0) return `${numberText(requestsPerSecond)}/s`;
  const minutes = perMinute.toReversed().findIndex((count) => count > 0);
  if (minutes === 0) return "now";
  if (minutes > 0) return `${minutes}m ago`;
  // A service that is awake had its last request before it was paused.
  const spells = timeline?.spells ?? [];
  const last = spells.findLastIndex(({ state }) => state === "ready");
  if (last === -1) return "–";
  return ago(spells[last + 1]?.from ?? spells[last]?.from, now);
}

/**
 * The activities after a change of a service's state.
 *
 * @param {readonly Activity[]} activities
 * @param {Record<string, any>} change The data of an event `service.state`
 */
export function withState(activities, { service, state, failure, failingSince }) {
  return activities.map((one) => {
    if (one.service !== service) return one;
    const { failure: _, failingSince: __, ...rest } = one;
    return { ...rest, state, ...(failure === undefined ? {} : { failure, failingSince }) };
  });
}
