// @ts-check
import { countText, dateText, durationText } from "./format.js";

/** What a service did by minute or hour, as series for a chart. */

/**
 * @typedef {object} Point
 * @property {string} at
 * @property {number} requests
 * @property {number} errors
 * @property {number} [p50Ms]
 * @property {number} [p99Ms]
 */
/** @typedef {{ step: "minute" | "hour", from: string, to: string, points: Point[] }} Figures */
/** @typedef {{ times: number[], requests: number[], errors: number[], p50: (number | null)[], p99: (number | null)[] }} Series */

/**
 * One entry for each minute or hour, also for those in which nothing was: no requests, and no latency. Times are s since
 * 1970.
 *
 * @param {Figures} figures
 * @returns {Series}
 */
export function seriesOf({ step, from, to, points }) {
  const stepMs = step === "minute" ? 60_000 : 3_600_000;
  const byTime = new Map(points.map((point) => [Math.floor(Date.parse(point.at) / stepMs), point]));
  /** @type {Series} */
  const series = { times: [], requests: [], errors: [], p50: [], p99: [] };
  const last = Math.floor(Date.parse(to) / stepMs);
  for (let at = Math.floor(Date.parse(from) / stepMs); at <= last; at++) {
    const point = byTime.get(at);
    series.times.push(at * stepMs / 1000);
    series.requests.push(point?.requests ?? 0);
    series.errors.push(point?.errors ?? 0);
    series.p50.push(point?.p50Ms ?? null);
    series.p99.push(point?.p99Ms ?? null);
  }
  return series;
}

/**
 * The charts in words: `4210 requests, the most at 2026-11-29 14:02: 61 a minute; 2 errors; p99 at most 812ms`.
 *
 * @param {Figures} figures
 */
export function figuresText({ step, points }) {
  const sum = (/** @type {(point: Point) => number} */ read) => points.reduce((total, point) => total + read(point), 0);
  const requests = sum((point) => point.requests);
  if (requests === 0) return "no requests";
  const busiest = points.reduce((best, point) => point.requests > best.requests ? point : best);
  const slowest = Math.max(...points.map(({ p99Ms = 0 }) => p99Ms));
  return [
    `${countText(requests, "request")}, the most at ${dateText(busiest.at)}: ${busiest.requests} a ${step}`,
    countText(sum((point) => point.errors), "error"),
    ...(slowest > 0 ? [`p99 at most ${durationText(slowest)}`] : []),
  ].join("; ");
}
