// @ts-check
/// <reference lib="dom" />
import { useState } from "preact/hooks";
import { countText, dateText, durationText } from "../model/format.js";
import { html } from "../html.js";
import { useEvents, useLoaded } from "../live.js";
import { Table } from "../parts/table.js";
import { causeText, howText } from "../model/timeline.js";
import { wakesByKind, withRoom } from "../model/wake_histogram.js";

/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { Wake } from "../model/timeline.js" */
/** @import { Bar } from "../model/wake_histogram.js" */

const WAKES_MS = 30_000;
const SETTLE_MS = 500;
const LIMIT = 500;
const CHART_HEIGHT = 60;

/**
 * How often and how fast instances woke, and who woke them.
 *
 * @param {PanelProps} props
 */
export function WakesPanel({ app, service: { name } }) {
  const [filter, setFilter] = useState("");
  const log = useLoaded(() => app.api.get("/v1/wakes", { service: name, limit: LIMIT }), WAKES_MS, [name]);
  useEvents(app.events, ({ type, data }) => {
    if (type !== "service.state" || data.service !== name) return;
    log.reload(SETTLE_MS);
  });
  /** @type {Wake[]} */
  const wakes = log.value ?? [];
  const kinds = wakesByKind(wakes);
  const period = wakes.length < LIMIT ? "in the last 24 hours" : `the last ${LIMIT} of 24 hours`;
  const shown = wakes.filter((wake) => rowText(wake).toLowerCase().includes(filter.toLowerCase()));
  return html`
    <section class="panel" aria-labelledby="times">
      <h2 id="times">How long requests waited for wakes, ${period}</h2>
      ${log.value?.length === 0 && html`<p class="quiet">There were no wakes.</p>`}
      <div class="histograms">${kinds.map(({ how, count, bars, p50Ms, p99Ms }) =>
        html`
          <figure key=${how} class="histogram">
            <figcaption><h3>${howText(how)}</h3> ${countText(count, "wake")}</figcaption>
            <${Bars} bars=${withRoom(bars)} />
            <p><span>p50 <strong>${durationText(p50Ms)}</strong></span> <span>p99 <strong>${durationText(
              p99Ms,
            )}</strong></span></p>
          </figure>
        `
      )}</div>
    </section>
    <section class="panel" aria-labelledby="log">
      <h2 id="log">Who woke it</h2>
      <p class="toolbar"><input type="search" placeholder="Filter" aria-label="Filter the wakes" value=${filter}
        onInput=${(/** @type {any} */ event) => setFilter(event.target.value)} />
        <span class="quiet">${filter === ""
          ? `Those that worked, ${period}; starts that failed are not listed`
          : `${shown.length} of ${wakes.length}`}</span></p>
      <${Table} kind="stack" columns=${["When", "How", ["Waited", "number"], "Who", "Revision"]}>${shown.map((wake) =>
        html`
          <tr>
            <td class="when">${dateText(wake.at)}</td>
            <td>${howText(wake.how)}</td>
            <td class="number">${durationText(wake.ms)}</td>
            <td class="wide">${causeText(wake.by)}</td>
            <td>${wake.revision}</td>
          </tr>
        `
      )}<//>
    </section>
  `;
}

/** @param {{ bars: readonly Bar[] }} props */
function Bars({ bars }) {
  const most = Math.max(...bars.map(({ count }) => count));
  const [first, last] = [bars[0], bars[bars.length - 1]];
  const text = bars.filter(({ count }) => count > 0)
    .map(({ count, upToMs }) => `${count} up to ${durationText(upToMs)}`).join(", ");
  return html`
    <svg role="img" aria-label=${text} viewBox=${`0 0 ${bars.length} ${CHART_HEIGHT}`} preserveAspectRatio="none">
      ${bars.map(({ count }, at) => {
        const height = count === 0 ? 0 : Math.max(1, CHART_HEIGHT * count / most);
        return html`<rect x=${at + 0.08} width="0.84" y=${CHART_HEIGHT - height} height=${height} />`;
      })}
    </svg>
    <p class="ends" aria-hidden="true"><span>${durationText(first?.fromMs ?? 0)}</span><span>${durationText(
      last?.upToMs ?? 0,
    )}</span></p>
  `;
}

/** @param {Wake} wake */
function rowText({ at, by, how, revision }) {
  return [dateText(at), howText(how), causeText(by), revision].join(" ");
}
