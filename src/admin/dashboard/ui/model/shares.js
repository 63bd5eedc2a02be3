// @ts-check

/** The shares of a service's revisions while somebody moves them: they always sum to 100. */

/** @typedef {{ revision: string, percent: number, tag?: string | undefined }} Target */
/** @typedef {{ revision: string, percent: number, tag: string }} Share A tag that is empty is none */

const LATEST = "latest";

/**
 * One share for each part of the split, and for each revision that has none.
 *
 * @param {readonly Target[]} traffic
 * @param {string} latest What `latest` stands for
 * @param {readonly string[]} revisions The names of all, newest first
 * @returns {Share[]}
 */
export function sharesOf(traffic, latest, revisions) {
  const named = new Set(traffic.map(({ revision }) => revision));
  if (named.has(LATEST)) named.add(latest);
  return [
    ...traffic.map(({ revision, percent, tag = "" }) => ({ revision, percent, tag })),
    ...revisions.filter((revision) => !named.has(revision)).map((revision) => ({ revision, percent: 0, tag: "" })),
  ];
}

/**
 * The split that shares stand for. What has neither traffic nor a tag is left out, but `latest`: with 0, it says that
 * later revisions get no traffic.
 *
 * @param {readonly Share[]} shares
 * @returns {Target[]}
 */
export function trafficOf(shares) {
  return shares.filter(({ percent, revision, tag }) => percent > 0 || tag !== "" || revision === LATEST)
    .map(({ percent, revision, tag }) => tag === "" ? { revision, percent } : { revision, percent, tag });
}

/**
 * The shares after one has been moved: the others shrink or grow in proportion, by largest remainders. If all others
 * have nothing, the first of them takes the rest.
 *
 * @param {readonly number[]} percents Whole numbers that sum to 100
 * @param {number} at Which one is moved
 * @param {number} value
 */
export function moveShare(percents, at, value) {
  if (percents.length < 2) return [...percents];
  const moved = Math.min(100, Math.max(0, Math.round(value) || 0));
  const rest = 100 - moved;
  const before = percents.map((percent, index) => index === at ? 0 : percent);
  const sum = before.reduce((total, percent) => total + percent, 0);
  const first = at === 0 ? 1 : 0;
  const exact = before.map((percent, index) => sum === 0 ? (index === first ? rest : 0) : percent * rest / sum);
  const whole = exact.map(Math.floor);
  const left = rest - whole.reduce((total, percent) => total + percent, 0);
  const byRemainder = exact.map((_, index) => index).filter((index) => index !== at)
    .sort((a, b) => (exact[b] ?? 0) % 1 - (exact[a] ?? 0) % 1 || a - b);
  for (const index of byRemainder.slice(0, left)) whole[index] = (whole[index] ?? 0) + 1;
  whole[at] = moved;
  return whole;
}

/**
 * A split as short as a button has room for: its only revision, or the shares: `latest`, `90/10`.
 *
 * @param {readonly Target[]} traffic
 */
export function shortSplit(traffic) {
  const parts = traffic.filter(({ percent }) => percent > 0);
  return parts.length === 1
    ? parts.map(({ revision }) => revision).join()
    : parts.map(({ percent }) => percent).join("/");
}

/**
 * A split as the command line writes it: `latest 90%, web-00001 10% (old)`.
 *
 * @param {readonly Target[]} traffic
 */
export function splitText(traffic) {
  return traffic.map(({ revision, percent, tag }) => `${revision} ${percent}%${tag ? ` (${tag})` : ""}`)
    .join(", ") || "-";
}
