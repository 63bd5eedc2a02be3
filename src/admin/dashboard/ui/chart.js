// @ts-check
/// <reference lib="dom" />
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { html } from "./html.js";

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
 */
export function Chart({ title, text, data, lines, show }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    let plot = draw(element, data, lines, show);
    const redraw = () => {
      plot.destroy();
      plot = draw(element, data, lines, show);
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
 * @param {(value: number) => string} show
 */
function draw(element, data, lines, show) {
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
      { ...axis, size: 58, values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) => ticks.map(show) },
    ],
    scales: {
      y: {
        range: (/** @type {unknown} */ _, /** @type {number} */ __, /** @type {number} */ max) => [0, 1.08 * max || 1],
      },
    },
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

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** The labels of the time axis: by the clock, and at midnight with the day. */
const TIMES = [
  [24 * HOUR, "{MMM} {D}", null, null, null, null, null, null, 1],
  [HOUR, "{HH}:{mm}", null, null, "\n{MMM} {D}", null, null, null, 1],
  [MINUTE, "{HH}:{mm}", null, null, "\n{MMM} {D}", null, null, null, 1],
];
