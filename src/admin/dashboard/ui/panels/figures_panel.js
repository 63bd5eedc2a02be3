// @ts-check
/// <reference lib="dom" />
import { useMemo } from "preact/hooks";
import { servicePath } from "../api.js";
import { Chart } from "../parts/chart.js";
import { durationText, numberText } from "../model/format.js";
import { html } from "../html.js";
import { useLoaded } from "../live.js";
import { routeHash } from "../model/route.js";
import { figuresText, seriesOf } from "../model/series.js";

/** @import { PanelProps } from "../screens/service_screen.js" */

const RANGES = {
  "": { text: "24 hours", step: "minute", minutes: 24 * 60, everyMs: 60_000 },
  "7d": { text: "7 days", step: "hour", minutes: 7 * 24 * 60, everyMs: 600_000 },
  "90d": { text: "90 days", step: "hour", minutes: 90 * 24 * 60, everyMs: 600_000 },
};
const COUNTS = [{ label: "requests", color: "--accent", filled: true }, {
  label: "errors",
  color: "--bad",
  filled: true,
}];
const TIMES = [{ label: "p50", color: "--accent" }, { label: "p99", color: "--muted" }];

/**
 * Requests, errors and how long answers took, over time.
 *
 * @param {PanelProps} props
 */
export function FiguresPanel({ app, route, service: { name } }) {
  const { range = "" } = route.query;
  const { everyMs, minutes, step } = RANGES[/** @type {keyof typeof RANGES} */ (range)] ?? RANGES[""];
  const { value } = useLoaded(
    () => app.api.get(servicePath(name, "activity"), { step, minutes }),
    everyMs,
    [name, range],
  );
  const series = useMemo(() => value && seriesOf(value), [value]);
  const text = value === undefined ? "" : figuresText(value);
  const counts = useMemo(() => series && [series.times, series.requests, series.errors], [series]);
  const times = useMemo(() => series && [series.times, series.p50, series.p99], [series]);
  const hasNone = value?.points.every((/** @type {{ requests: number }} */ { requests }) => requests === 0);
  return html`
    <section class="panel" aria-labelledby="figures">
      <h2 id="figures">Over time</h2>
      <p class="ranges">${Object.entries(RANGES).map(([key, { text }]) =>
        html`
          <a href=${routeHash({ screen: "service", name, query: { range: key } })}
            aria-current=${key === range ? "true" : undefined}>${text}</a>
        `
      )}</p>
      ${hasNone && html`<p class="quiet">No requests in this time.</p>`}
      ${counts && times && !hasNone && html`
        <${Chart} title=${`Requests and errors a ${step}`} text=${text} data=${counts} lines=${COUNTS} show=${numberText} />
        <${Chart} title="Time to an answer’s head" text=${text} data=${times} lines=${TIMES} show=${durationText}
          isLog />
      `}
    </section>
  `;
}
