// @ts-check
/// <reference lib="dom" />
import { Band, TipBox } from "../parts/band.js";
import { tellingLineOf } from "../failures.js";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { useCollected, useEvents, useLoaded, useNow } from "../live.js";
import { arranged, attention, headline, requestsText, SORTS, unusedBytes, withState } from "../model/overview.js";
import { routeHash, serviceHash } from "../model/route.js";
import { axisLabels, withSpell } from "../model/timeline.js";
import { clauseOf, sizeText } from "../model/format.js";

/** @import { App } from "../app.js" */
/** @import { Tip } from "../parts/band.js" */
/** @import { Activity } from "../model/overview.js" */
/** @import { Route } from "../model/route.js" */
/** @import { Timeline } from "../model/timeline.js" */

const ACTIVITY_MS = 5000;
const TIMELINES_MS = 300_000;
const MINUTE_MS = 60_000;
const WINDOW_MS = 24 * 60 * MINUTE_MS;
const UNUSED = "What one instance of each service takes while it is awake, without what they take now";
/** Changes often come together. */
const SETTLE_MS = 500;
/** If so many services have changed at once, all are asked for. */
const MANY = 10;

/**
 * All services: one number first, what needs attention, and what each did in the last day.
 *
 * @param {{ app: App, route: Route }} props
 */
export function ServicesScreen({ app, route }) {
  const { api, events } = app;
  const activities = useLoaded(() => api.get("/v1/activity"), ACTIVITY_MS, []);
  const timelines = useLoaded(() => api.get("/v1/timelines", { hours: 24 }), TIMELINES_MS, []);
  const now = useNow(MINUTE_MS);
  // Who woke a service is asked for that service alone.
  const refreshed = useCollected(SETTLE_MS, async (/** @type {string[]} */ names) => {
    if (names.length > MANY) return timelines.reload();
    const loaded = await Promise.all(names.map((service) => api.get("/v1/timelines", { hours: 24, service })));
    const fresh = new Map(loaded.flat().map((one) => [one.service, one]));
    timelines.set((all) => all?.map((/** @type {Timeline} */ one) => fresh.get(one.service) ?? one));
  });
  const [tip, setTip] = useState(/** @type {Tip | undefined} */ (undefined));
  useEvents(events, (event) => {
    const { data, type } = event;
    if (type === "service.state") {
      activities.set((all) => all && withState(all, data));
      timelines.set((all) => all && withSpell(all, data));
      refreshed.add(data.service);
    } else if (["service.created", "service.changed", "service.deleted"].includes(type)) {
      activities.reload(SETTLE_MS);
      timelines.reload(SETTLE_MS);
    }
  });

  const byName = useMemo(
    () => new Map((timelines.value ?? []).map((/** @type {Timeline} */ one) => [one.service, one])),
    [timelines.value],
  );
  const { q = "", sort = "name" } = route.query;
  const go = (/** @type {Record<string, string>} */ change) => {
    history.replaceState(null, "", routeHash({ query: { q, sort: sort === "name" ? "" : sort, ...change } }));
    app.routeChanged();
  };
  const all = /** @type {Activity[] | undefined} */ (activities.value);
  if (all === undefined) return html`<p class="quiet">${activities.error?.message ?? "…"}</p>`;
  if (all.length === 0) return html`<${NoServices} mayChange=${api.mayChange} />`;
  const unused = unusedBytes(all);
  const shown = arranged(all, q, sort, byName);
  const to = Math.floor(now / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  return html`
    <h1 class="headline">${headline(all, unused).map((part, at) =>
      html`<span title=${at === 2 ? UNUSED : undefined}>${at === 0 ? part : `, ${part}`}</span>`
    )}</h1>
    <${NeedsAttention} api=${api} all=${attention(all, [...byName.values()], now)} />
    <div class="toolbar">
      <${Filter} value=${q} onChange=${(/** @type {string} */ text) => go({ q: text })} />
      <label>Sort by <select value=${sort} onChange=${(/** @type {any} */ event) => go({ sort: event.target.value })}>
        ${Object.entries(SORTS).map(([key, text]) =>
          html`<option value=${key} selected=${key === sort}>${text}</option>`
        )}
      </select></label>
      <${Legend} />
    </div>
    <table class="sky" role="table" aria-label="Services and what they did in the last 24 hours">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Service</th>
          <th role="columnheader" scope="col">State</th>
          <th role="columnheader" scope="col"
            class="axis-cell"><span class="unseen">Last 24 hours</span><${Axis} from=${to - WINDOW_MS} to=${to} /></th>
          <th role="columnheader" scope="col" class="number"
            title="Its requests a second, or how long ago it was used">Last used</th>
          <th role="columnheader" scope="col" class="number">Memory</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${shown.map((one) =>
          html`
            <${Row} key=${one.service} activity=${one} timeline=${byName.get(one.service)}
              from=${to - WINDOW_MS} to=${to} now=${now} onTip=${setTip} />
          `
        )}
      </tbody>
    </table>
    ${shown.length === 0 && html`<p class="quiet">No service has “${q}” in its name or state.</p>`}
    <${TipBox} tip=${tip} />
  `;
}

/**
 * @param {object} props
 * @param {Activity} props.activity
 * @param {Timeline | undefined} props.timeline
 * @param {number} props.from
 * @param {number} props.to
 * @param {number} props.now
 * @param {(tip: Tip | undefined) => void} props.onTip
 */
function Row({ activity, timeline, from, to, now, onTip }) {
  const { service, state, failure, memoryBytes } = activity;
  const first = useRef(state);
  const requests = requestsText(activity, timeline, now);
  const memory = memoryBytes === 0 ? "–" : sizeText(memoryBytes);
  // What has not changed is not compared again.
  return useMemo(() =>
    html`
      <tr role="row">
        <th role="rowheader" scope="row"><a href=${serviceHash(service)}>${service}</a></th>
        <td role="cell" class="state-cell"><span key=${state} class=${`state ${state}${
          first.current === state ? "" : " changed"
        }`}
          title=${failure === undefined ? undefined : clauseOf(failure)}>${state}</span></td>
        <td role="cell" class="band-cell">
          <${Band} name=${service} timeline=${timeline} from=${from} to=${to} onTip=${onTip} />
        </td>
        <td role="cell" class="number">${requests}</td>
        <td role="cell" class="number">${memory}</td>
      </tr>
    `, [service, state, failure, timeline, from, to, requests, memory]);
}

/** @param {{ api: import("../api.js").Api, all: ReturnType<typeof attention> }} props */
function NeedsAttention({ api, all }) {
  if (all.length === 0) return null;
  return html`
    <section class="attention" aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      <ul>${all.map(({ service, what, detail, section }, at) =>
        html`
          <li key=${`${service} ${section}`}><a href=${serviceHash(service, section)}>
            <b>${service}</b> <strong>${what}</strong> <span>${detail}</span>
            ${at < MANY && html`
              <${LastLine} key=${detail} api=${api} service=${service}
                isDeploy=${section !== ""} />
            `}</a></li>
        `
      )}
      </ul>
    </section>
  `;
}

/**
 * What the app wrote last, which most often says why.
 *
 * @param {{ api: import("../api.js").Api, service: string, isDeploy: boolean }} props
 */
function LastLine({ api, service, isDeploy }) {
  const { value } = useLoaded(() => tellingLineOf(api, service, isDeploy), TIMELINES_MS, [service, isDeploy]);
  return value ? html`<code>${value}</code>` : null;
}

/** @param {{ value: string, onChange: (text: string) => void }} props */
function Filter({ value, onChange }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    const focus = (/** @type {KeyboardEvent} */ event) => {
      const { tagName } = /** @type {HTMLElement} */ (event.target);
      if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(tagName)) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", focus);
    return () => document.removeEventListener("keydown", focus);
  }, []);
  return html`
    <input type="search" ref=${input} value=${value} placeholder="Filter" aria-label="Filter by name or state"
      aria-keyshortcuts="/" onInput=${(/** @type {any} */ event) => onChange(event.target.value)} />
  `;
}

/** @param {{ from: number, to: number }} props */
export function Axis({ from, to }) {
  const width = (to - from) / MINUTE_MS;
  return html`<span class="axis" aria-hidden="true">${
    axisLabels(from, to, 6).map(({ x, text }) =>
      html`
        <span key=${text} ref=${(/** @type {HTMLElement | null} */ label) =>
          label && (label.style.left = `${100 * x / width}%`)}>${text}</span>
      `
    )
  }<span class="now">now</span></span>`;
}

/** What the colours, heights and dots of a band mean. */
export function Legend() {
  return html`<ul class="legend" aria-label="What the bands show">
    ${
    Object.entries(SAMPLES).map(([state, path]) =>
      html`<li><svg viewBox="0 0 10 24" aria-hidden="true">
      <path class=${`spell ${state}`} d=${path} /></svg>${state}</li>`
    )
  }
    <li><svg viewBox="0 0 10 24" aria-hidden="true"><path class="wake cold" d="M5 14h0" /></svg>cold start</li>
    <li><svg viewBox="0 0 10 24" aria-hidden="true"><path class="wake" d="M5 14h0" /></svg>other wake</li>
    <li><svg viewBox="0 0 10 24" aria-hidden="true"><path class="deploy" d="M5 6V22" /></svg>deploy</li>
    <li><svg viewBox="0 0 10 24" aria-hidden="true"><path class="deploy failed" d="M5 6V22" /></svg>failed deploy</li>
  </ul>`;
}

/** Each state as high as in a band. */
const SAMPLES = {
  ...{ ready: "M0 22v-15h10v15z", paused: "M0 22v-9h10v9z", hibernated: "M0 22v-5h10v5z" },
  ...{ asleep: "M0 22v-2h10v2z", failing: "M0 22v-15h10v15z", unknown: "M0 22v-2h10v2z" },
};

/** @param {{ mayChange: boolean }} props */
function NoServices({ mayChange }) {
  return html`
    <h1 class="headline">No services yet</h1>
    <p>${mayChange ? html`<a href=${routeHash({ screen: "deploy" })}>Deploy the first one</a>, or` : "To make one:"}
      <code>cless deploy NAME --image IMAGE</code></p>
  `;
}
