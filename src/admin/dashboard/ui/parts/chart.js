// @ts-check
/// <reference lib="dom" />
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { html } from "../html.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color The name of a variable of the style sheet
 * @property {boolean} [filled]
 */

/**
 * Series over time, as a picture.
 *
 * @param {object} props
 * @param {string} props.title
 * @param {string} props.text The picture in words
 * @param {(number[] | (number | null)[])[]} props.data Times in s since 1970, then a series for each line
 * @param {readonly Line[]} props.lines
 * @param {(value: number) => string} props.show
 * @param {boolean} [props.isLog] Whether ten times as much is as far up everywhere, for values that differ widely
 */
export function Chart({ title, text, data, lines, show, isLog = false }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    let plot = draw(element, data, lines, { show, isLog });
    const redraw = () => {
      plot.destroy();
      plot = draw(element, data, lines, { show, isLog });
    };
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    dark.addEventListener("change", redraw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", redraw);
      plot.destroy();
    };
  }, [data]);
  return html`
    <figure class="chart">
      <figcaption>${title}</figcaption>
      <div ref=${box} role="img" aria-label=${`${title}: ${text}`}></div>
    </figure>
  `;
}

const HEIGHT = 150;

/**
 * @param {HTMLElement} element
 * @param {(number[] | (number | null)[])[]} data
 * @param {readonly Line[]} lines
 * @param {{ show: (value: number) => string, isLog: boolean }} options
 */
function draw(element, data, lines, { show, isLog }) {
  const style = getComputedStyle(element);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  /** @type {any} */
  const options = {
    width: element.clientWidth,
    height: HEIGHT,
    cursor: { y: false, points: { size: 5 } },
    axes: [
      { ...axis, values: TIMES },
      {
        ...axis,
        size: 58,
        ...(isLog ? { splits: powersOfTen } : {}),
        values: (/** @type {unknown} */ _, /** @type {(number | null)[]} */ ticks) =>
          ticks.map((tick) => tick === null ? "" : show(tick)),
      },
    ],
    scales: { y: isLog ? { distr: 3 } : { range: fromZero } },
    series: [
      { value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      ...lines.map(({ color: name, filled, label }) => ({
        label,
        stroke: color(name),
        width: 1.25,
        points: { show: false },
        ...(filled ? { fill: `color-mix(in srgb, ${color(name)} 25%, transparent)` } : {}),
        value: (/** @type {unknown} */ _, /** @type {number | null} */ value) => value === null ? "-" : show(value),
      })),
    ],
  };
  return new uPlot(options, /** @type {any} */ (data), element);
}

/**
 * @param {unknown} _
 * @param {number} __
 * @param {number} max
 * @returns {[number, number]}
 */
function fromZero(_, __, max) {
  return [0, 1.08 * max || 1];
}

/**
 * @param {unknown} _
 * @param {number} __
 * @param {number} min
 * @param {number} max
 */
function powersOfTen(_, __, min, max) {
  const first = Math.round(Math.log10(min));
  return Array.from({ length: Math.round(Math.log10(max)) - first + 1 }, (_, at) => 10 ** (first + at));
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** The labels of the time axis: by the clock, and at midnight with the day. */
const TIMES = [
  [24 * HOUR, "{MMM} {D}", null, null, null, null, null, null, 1],
  [HOUR, "{HH}:{mm}", null, null, "\n{MMM} {D}", null, null, null, 1],
  [MINUTE, "{HH}:{mm}", null, null, "\n{MMM} {D}", null, null, null, 1],
];
