// @ts-check
/// <reference lib="dom" />
import { useRef, useState } from "preact/hooks";
import { servicePath } from "../api.js";
import { changeIdleSettings, together } from "../changes.js";
import { html } from "../html.js";
import { useEvents, useKept, useLoaded } from "../live.js";
import { amountText, changeText, countText } from "../model/format.js";
import { CHOICES, settingText, TITLES } from "../model/idle_settings.js";
import { parseRoute, routeHash, serviceHash } from "../model/route.js";
import { inKnownOrder, isChange, memoryUnit, sumsOf, unknownText } from "../model/what_if.js";
import { ErrorLine, useAction } from "../parts/action.js";
import { Table } from "../parts/table.js";

/** @import { Api } from "../api.js" */
/** @import { App } from "../app.js" */
/** @import { IdleSetting, IdleSettings } from "../model/idle_settings.js" */
/** @import { Route } from "../model/route.js" */
/** @import { ServiceWhatIf } from "../model/what_if.js" */
/** @import { Column } from "../parts/table.js" */

const ESTIMATES_MS = 300_000;
/** Changes often come together. */
const SETTLE_MS = 500;
const SETTINGS = /** @type {IdleSetting[]} */ (Object.keys(TITLES));

/**
 * What other idle times would have brought for all services, and a way to take them for one or for many. What is tried
 * and chosen is in the address, so that it is still there after a look at a service.
 *
 * @param {{ app: App, route: Route }} props
 */
export function WhatIfScreen({ app, route }) {
  const { api } = app;
  const goal = goalOf(route);
  const wanted = wantedOf(route, goal);
  const chosen = chosenOf(route);
  const [progress, setProgress] = useState("");
  const order = useRef(/** @type {string[]} */ ([]));
  const action = useAction();
  const loaded = useLoaded(() => loadEstimates(api, wanted), ESTIMATES_MS, [JSON.stringify(wanted)]);
  useEvents(app.events, ({ type }) => {
    if (/^service\.(created|changed|deleted)$/.test(type)) loaded.reload(SETTLE_MS);
  });
  const kept = useKept(loaded.value);
  if (kept === undefined) {
    return html`
      <h1 class="headline">What if</h1>
      <${ErrorLine} error=${loaded.error} />
    `;
  }

  const estimates = inKnownOrder(kept, order.current);
  order.current = estimates.map(({ service }) => service);
  const go = (/** @type {Record<string, string>} */ change) => {
    history.replaceState(null, "", routeHash({ screen: "what-if", query: { ...route.query, ...change } }));
    app.routeChanged();
  };
  const choose = (/** @type {Iterable<string>} */ names) => go({ chosen: [...names].join(",") });
  const changing = estimates.filter(isChange);
  const taken = changing.filter(({ service }) => chosen.has(service));
  const apply = (/** @type {readonly ServiceWhatIf[]} */ some) =>
    action.run(async () => {
      /** @type {Set<string>} */
      const applied = new Set();
      const steps = some.map(({ service, now, then }) => ({
        name: service,
        act: async () => {
          const done = await changeIdleSettings(api, service, now, then);
          applied.add(service);
          return done;
        },
      }));
      try {
        app.say(await together(steps, (at) => setProgress(`${at} of ${steps.length}: ${steps[at - 1]?.name}`)));
      } finally {
        setProgress("");
        // Meanwhile others may be chosen, or another screen.
        const now = parseRoute(location.hash);
        if (now.screen === "what-if") choose([...chosenOf(now)].filter((service) => !applied.has(service)));
        // They cannot be applied once more until the estimates come.
        loaded.set((all) => all?.map((one) => applied.has(one.service) ? { ...one, now: one.then } : one));
        loaded.reload();
      }
    });
  const isBusy = action.isBusy || loaded.value === undefined;
  return html`
    <h1 class="headline">What if all slept sooner, or later</h1>
    <p class="quiet">Estimated from the requests of the last days. Idle memory is what services take while no request is
      there; only that changes. Nothing changes until you apply it.
      ${estimates.some(({ canHibernate }) => !canHibernate) && " This machine cannot hibernate now."}</p>
    <div class="toolbar">
      <label>At most <input type="number" class="goal" min="0" max="1000" step="1" value=${goal ?? ""}
        disabled=${action.isBusy} onChange=${(/** @type {any} */ event) =>
          go({ maxColdStarts: event.target.value })} /> cold starts a day of each service</label>
      ${SETTINGS.map((key) =>
        html`<label>${TITLES[key]} <select disabled=${action.isBusy || (key === "stopAfter" && goal !== undefined)}
        onChange=${(/** @type {any} */ event) => go({ [key]: event.target.value })}>
          <option value="">${key === "stopAfter" && goal !== undefined ? "the shortest for it" : "as it is"}</option>
          ${
          CHOICES[key].map((choice) =>
            html`<option value=${choice} selected=${choice === wanted[key]}>${settingText(choice)}</option>`
          )
        }
        </select></label>`
      )}</div>
    <${Sums} estimates=${estimates} chosen=${chosen.size > 0 ? chosen : new Set(order.current)}
      title=${chosen.size > 0 ? `if ${countText(taken.length, "chosen service")} changed` : "if all changed"} />
    <section class="panel" aria-label="Services">
      <p class="actions">${api.mayChange &&
        html`
          <button type="button" class="primary" disabled=${isBusy || taken.length === 0}
            onClick=${() => apply(taken)}>Apply to ${countText(taken.length, "service")}</button>
          <button type="button" disabled=${isBusy || changing.length === taken.length}
            onClick=${() => choose(changing.map(({ service }) => service))}>Choose all that change</button>
          <button type="button" disabled=${action.isBusy || chosen.size === 0}
            onClick=${() => choose([])}>Choose none</button>
        `}
        <span class="quiet" role="status">${progress ||
          (api.mayChange
            ? "Applying deploys the same images with these settings, one after the other, and can be undone."
            : "Your token can only look: it cannot apply this.")}</span></p>
      <${ErrorLine} error=${action.error ?? loaded.error} />
      <${Table} kind="stack" columns=${columnsFor(api.mayChange)}>${estimates.map((estimate) =>
        html`
          <${Row} key=${estimate.service} estimate=${estimate} mayChange=${api.mayChange} isBusy=${isBusy}
            isChosen=${chosen.has(estimate.service)} onApply=${apply}
            onChoose=${(/** @type {string} */ service) =>
              choose(chosen.has(service) ? [...chosen].filter((name) => name !== service) : [...chosen, service])} />
        `
      )}<//>
      ${estimates.length === 0 && html`<p class="quiet">There are no services yet.</p>`}
    </section>
  `;
}

/**
 * The services of the address.
 *
 * @param {Route} route
 * @returns {ReadonlySet<string>}
 */
function chosenOf({ query }) {
  return new Set((query["chosen"] ?? "").split(",").filter((name) => name !== ""));
}

/**
 * How many cold starts a day each service may have, by the address.
 *
 * @param {Route} route
 */
function goalOf({ query }) {
  const { maxColdStarts = "" } = query;
  return /^(\d{1,3}|1000)$/.test(maxColdStarts) ? maxColdStarts : undefined;
}

/**
 * What to ask for: the settings of the address that are offered, and the goal in place of a time to stop after.
 *
 * @param {Route} route
 * @param {string | undefined} maxColdStarts
 * @returns {Partial<IdleSettings> & { maxColdStarts?: string }}
 */
function wantedOf({ query }, maxColdStarts) {
  const settings = SETTINGS.flatMap((key) => {
    const value = query[key];
    return value !== undefined && CHOICES[key].includes(value) ? [[key, value]] : [];
  });
  if (maxColdStarts === undefined) return Object.fromEntries(settings);
  return { ...Object.fromEntries(settings.filter(([key]) => key !== "stopAfter")), maxColdStarts };
}

/** @param {{ estimates: readonly ServiceWhatIf[], chosen: ReadonlySet<string>, title: string }} props */
function Sums({ estimates, chosen, title }) {
  const { before, after } = sumsOf(estimates, chosen);
  const { factor, unit } = memoryUnit(before.idleGbHours, after.idleGbHours, before.inUseGbHours);
  const sums = [
    [`Idle memory, ${unit}-hours a day, ${title}`, factor * before.idleGbHours, factor * after.idleGbHours],
    [`Memory in use, ${unit}-hours a day`, factor * before.inUseGbHours, factor * before.inUseGbHours],
    [`Cold starts a day, ${title}`, before.coldStarts, after.coldStarts],
  ];
  return html`<dl class="facts" aria-live="polite">${
    sums.map(([term, now, then]) =>
      html`
        <div>
          <dt>${term}</dt>
          <dd>${fromTo(Number(now), Number(then))}${now !== then &&
            html`<span class="quiet"> ${changeText(Number(now), Number(then))}</span>`}</dd>
        </div>
      `
    )
  }</dl>`;
}

/**
 * @param {object} props
 * @param {ServiceWhatIf} props.estimate
 * @param {boolean} props.mayChange
 * @param {boolean} props.isBusy
 * @param {boolean} props.isChosen
 * @param {(service: string) => void} props.onChoose
 * @param {(some: readonly ServiceWhatIf[]) => void} props.onApply
 */
function Row({ estimate, mayChange, isBusy, isChosen, onChoose, onApply }) {
  const { service, now, then } = estimate;
  const unknown = unknownText(estimate);
  const [before, after] = [now.idleGbHoursPerDay, then.idleGbHoursPerDay];
  const inUse = now.gbHoursPerDay - before;
  const { factor, unit } = memoryUnit(before, after, inUse);
  const stops = [now, then].map(({ stopAfter }) => settingText(stopAfter));
  return html`
    <tr>
      <th scope="row">${mayChange && html`
        <input type="checkbox" aria-label=${`Choose ${service}`} checked=${isChosen}
          onChange=${() => onChoose(service)} />
      `}
        <a href=${serviceHash(service, "what-if")}>${service}</a></th>
      ${unknown === undefined
        ? html`
          <td class="number" data-title="Cold starts a day">${fromTo(now.coldStartsPerDay, then.coldStartsPerDay)}</td>
          <td class="number" data-title="Idle memory a day">${fromTo(
            factor * before,
            factor * after,
          )} ${unit}-h${before !== after &&
            html`${" "}<span class="quiet">${changeText(1000 * before, 1000 * after)}</span>`}</td>
          <td class="number" data-title="In use">${amountText(factor * inUse)} ${unit}-h</td>
          <td class="number" data-title="Stops after">${stops[0]}${stops[0] !== stops[1] &&
            html`${" "}→ <strong>${stops[1]}</strong>`}</td>
        `
        : html`<td class="wide" colspan="4">${unknown}</td>`}
      ${mayChange && html`
        <td class="number">
          <button type="button" disabled=${isBusy || !isChange(estimate)} aria-label=${`Apply to ${service}`}
            title=${isChange(estimate) ? undefined : "Nothing would change"}
            onClick=${() => onApply([estimate])}>Apply</button>
        </td>
      `}
    </tr>
  `;
}

/**
 * @param {boolean} mayChange
 * @returns {readonly Column[]}
 */
function columnsFor(mayChange) {
  return [
    "Service",
    ["Cold starts a day", "number"],
    ["Idle memory a day", "number"],
    ["In use", "number"],
    ["Stops after", "number"],
    ...(mayChange ? [/** @type {const} */ (["Apply", "unseen"])] : []),
  ];
}

/**
 * @param {number} now
 * @param {number} then
 */
function fromTo(now, then) {
  const [before, after] = [amountText(now), amountText(then)];
  return before === after ? before : html`${before} → <strong>${after}</strong>`;
}

/**
 * The estimates of all services.
 *
 * @param {Api} api
 * @param {Partial<IdleSettings> & { maxColdStarts?: string }} wanted
 * @returns {Promise<ServiceWhatIf[]>}
 */
async function loadEstimates(api, wanted) {
  /** @type {{ service: string, state: string }[]} */
  const services = await api.get("/v1/activity");
  const estimates = await Promise.all(services.map(async ({ service, state }) => ({
    ...await api.find(servicePath(service, "what-if"), wanted), // it may be gone, or never have worked
    ...{ service, state },
  })));
  return estimates.filter(({ now }) => now !== undefined);
}
