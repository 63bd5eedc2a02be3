// @ts-check

/** How long wakes took, as bars. Cold starts take a hundred times as long as others, so that each kind has its own. */

/** @import { Wake } from "./timeline.js" */
/** @typedef {{ fromMs: number, upToMs: number, count: number }} Bar */

/** Each bar ends at a fourth root of 2 times the end of the one before. */
const RATIO = 2 ** 0.25;

/**
 * The wakes of a log by kind, with their exact times; kinds without wakes are left out.
 *
 * @param {readonly Pick<Wake, "how" | "ms">[]} wakes
 */
export function wakesByKind(wakes) {
  return /** @type {const} */ (["cold", "hibernated", "resume"]).flatMap((how) => {
    const times = wakes.filter((wake) => wake.how === how).map(({ ms }) => ms).sort((a, b) => a - b);
    if (times.length === 0) return [];
    return [{
      how,
      count: times.length,
      bars: barsOf(times),
      p50Ms: quantileOf(times, 0.5),
      p99Ms: quantileOf(times, 0.99),
    }];
  });
}

/**
 * A few bars with empty ones on both sides, so that they are not wider than those of another histogram.
 *
 * @param {readonly Bar[]} bars Without gaps
 * @returns {Bar[]}
 */
export function withRoom(bars) {
  const [first, last] = [bars[0], bars[bars.length - 1]];
  if (first === undefined || last === undefined) return [];
  const missing = Math.max(0, MIN_BARS - bars.length);
  const left = Array.from({ length: Math.floor(missing / 2) }, (_, at) => barAt(first.upToMs * RATIO ** -(at + 1)));
  const right = Array.from({ length: Math.ceil(missing / 2) }, (_, at) => barAt(last.upToMs * RATIO ** (at + 1)));
  return [...left.reverse(), ...bars, ...right];
}

const MIN_BARS = 8;

/** @param {number} upToMs */
function barAt(upToMs) {
  return { fromMs: upToMs / RATIO, upToMs, count: 0 };
}

/**
 * The bars without gaps, also where there were no wakes in between.
 *
 * @param {readonly number[]} times ms, at least one
 * @returns {Bar[]}
 */
function barsOf(times) {
  const steps = times.map(stepOf);
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  return Array.from({ length: last - first + 1 }, (_, at) => ({
    ...barAt(RATIO ** (first + at)),
    count: steps.filter((step) => step === first + at).length,
  }));
}

/** The bar of a time; shorter times than 1 ms are in the first one. @param {number} ms */
function stepOf(ms) {
  return Math.max(0, Math.ceil(Math.log(ms) / Math.log(RATIO) - 1e-9));
}

/**
 * The time that a share of wakes took at most.
 *
 * @param {readonly number[]} times ms, sorted
 * @param {number} share
 */
function quantileOf(times, share) {
  return times[Math.ceil(share * times.length) - 1] ?? 0;
}
