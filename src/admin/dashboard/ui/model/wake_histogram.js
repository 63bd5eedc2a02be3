// @ts-check

/** How long wakes took, as bars. Cold starts take a hundred times as long as others, so that each kind has its own. */

/** @typedef {"cold" | "resume" | "hibernated"} How */
/**
 * @typedef {object} WakeSummary
 * @property {string} revision
 * @property {How} how
 * @property {number} count
 * @property {number} p50Ms
 * @property {number} p99Ms
 * @property {readonly { readonly upToMs: number, readonly count: number }[]} histogram
 */
/** @typedef {{ fromMs: number, upToMs: number, count: number }} Bar */

/** Each entry of a histogram ends at a fourth root of 2 times the end of the one before. */
const RATIO = 2 ** 0.25;

/**
 * The wakes of all revisions by kind; kinds without wakes are left out.
 *
 * @param {readonly WakeSummary[]} wakes
 * @returns {{ how: How, count: number, bars: Bar[], p50Ms: number, p99Ms: number }[]}
 */
export function wakesByKind(wakes) {
  return /** @type {How[]} */ (["cold", "hibernated", "resume"]).flatMap((how) => {
    const own = wakes.filter((wake) => wake.how === how);
    const bars = barsOf(own.flatMap(({ histogram }) => histogram));
    const count = bars.reduce((sum, bar) => sum + bar.count, 0);
    if (count === 0) return [];
    return [{ how, count, bars, p50Ms: middleOf(bars, 0.5 * count), p99Ms: middleOf(bars, 0.99 * count) }];
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
 * @param {readonly { upToMs: number, count: number }[]} entries
 * @returns {Bar[]}
 */
function barsOf(entries) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { upToMs, count } of entries) {
    const step = Math.round(Math.log(upToMs) / Math.log(RATIO)); // the ends are rounded in the answer
    counts.set(step, (counts.get(step) ?? 0) + count);
  }
  if (counts.size === 0) return [];
  const [first, last] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
  return Array.from({ length: last - first + 1 }, (_, at) => first + at).map((step) => ({
    ...{ fromMs: RATIO ** (step - 1), upToMs: RATIO ** step, count: counts.get(step) ?? 0 },
  }));
}

/**
 * The middle of the bar that has the wake of a rank.
 *
 * @param {readonly Bar[]} bars
 * @param {number} rank
 */
function middleOf(bars, rank) {
  let below = 0;
  const bar = bars.find(({ count }) => (below += count) >= rank) ?? bars[bars.length - 1];
  return bar === undefined ? 0 : Math.sqrt(bar.fromMs * bar.upToMs);
}
