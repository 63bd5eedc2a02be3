// @ts-check
/// <reference lib="dom" />
import { useState } from "preact/hooks";
import { servicePath } from "../api.js";
import { changeTemplate, together } from "../changes.js";
import { html } from "../html.js";
import { useEvents, useKept, useLoaded } from "../live.js";
import { amountText, changeText, countText } from "../model/format.js";
import { changedSettings, CHOICES, settingText, TITLES } from "../model/idle_settings.js";
import { serviceHash } from "../model/route.js";
import { changedServices, memoryUnit, sumsOf } from "../model/what_if.js";
import { ErrorLine, useAction } from "../parts/action.js";
import { Table } from "../parts/table.js";

/** @import { Api } from "../api.js" */
/** @import { App } from "../app.js" */
/** @import { IdleSetting, IdleSettings } from "../model/idle_settings.js" */
/** @import { ServiceWhatIf } from "../model/what_if.js" */
/** @import { Column } from "../parts/table.js" */

const ESTIMATES_MS = 300_000;
/** Changes often come together. */
const SETTLE_MS = 500;
const SETTINGS = /** @type {IdleSetting[]} */ (Object.keys(TITLES));

/**
 * What other idle times would have brought for all services, and a way to take them for one or for many.
 *
 * @param {{ app: App }} props
 */
export function WhatIfScreen({ app }) {
  const { api } = app;
  const [wanted, setWanted] = useState(/** @type {Partial<IdleSettings>} */ ({}));
  const [leftOut, setLeftOut] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [progress, setProgress] = useState("");
  const action = useAction();
  const loaded = useLoaded(() => loadEstimates(api, wanted), ESTIMATES_MS, [JSON.stringify(wanted)]);
  useEvents(app.events, ({ type }) => {
    if (/^service\.(created|changed|deleted)$/.test(type)) loaded.reload(SETTLE_MS);
  });
  const estimates = useKept(loaded.value);
  if (estimates === undefined) {
    return html`
      <h1 class="headline">What if</h1>
      <${ErrorLine} error=${loaded.error} />
    `;
  }

  const changed = changedServices(estimates, leftOut);
  const apply = (/** @type {readonly ServiceWhatIf[]} */ chosen) =>
    action.run(async () => {
      const steps = chosen.map(({ service, now, then }) => ({
        name: service,
        act: () => changeTemplate(api, service, (template) => ({ ...template, ...changedSettings(now, then) })),
      }));
      try {
        app.say(await together(steps, (at) => setProgress(`${at} of ${steps.length}: ${steps[at - 1]?.name}`)));
      } finally {
        setProgress("");
        loaded.reload();
      }
    });
  const choose = (/** @type {string} */ service) => {
    const next = new Set(leftOut);
    if (!next.delete(service)) next.add(service);
    setLeftOut(next);
  };
  const isBusy = action.isBusy || loaded.value === undefined;
  return html`
    <h1 class="headline">What if all slept sooner, or later</h1>
    <p class="quiet">Estimated from the requests of the last days. Nothing changes until you apply it.
      ${estimates.some(({ canHibernate }) => !canHibernate) && " This machine cannot hibernate now."}</p>
    <div class="toolbar">${SETTINGS.map((key) =>
      html`<label>${TITLES[key]} <select disabled=${action.isBusy} onChange=${(/** @type {any} */ event) =>
        setWanted({ ...wanted, [key]: event.target.value || undefined })}>
          <option value="">as it is</option>
          ${CHOICES[key].map((choice) => html`<option value=${choice}>${settingText(choice)}</option>`)}
        </select></label>`
    )}</div>
    <${Sums} estimates=${estimates} leftOut=${leftOut} />
    <section class="panel" aria-label="Services">
      <p class="actions">${api.mayChange &&
        html`
          <button type="button" class="primary" disabled=${isBusy || changed.length === 0}
            onClick=${() => apply(changed)}>Apply to ${countText(changed.length, "service")}</button>
        `}
        <span class="quiet" role="status">${progress ||
          (api.mayChange
            ? "Applying deploys the same images with these settings, one after the other, and can be undone."
            : "Your token can only look: it cannot apply this.")}</span></p>
      <${ErrorLine} error=${action.error ?? loaded.error} />
      <${Table} columns=${columnsFor(api.mayChange)}>${estimates.map((estimate) =>
        html`
          <${Row} key=${estimate.service} estimate=${estimate} mayChange=${api.mayChange} isBusy=${isBusy}
            isLeftOut=${leftOut.has(estimate.service)} onChoose=${choose} onApply=${apply} />
        `
      )}<//>
      ${estimates.length === 0 && html`<p class="quiet">There are no services yet.</p>`}
    </section>
  `;
}

/** @param {{ estimates: readonly ServiceWhatIf[], leftOut: ReadonlySet<string> }} props */
function Sums({ estimates, leftOut }) {
  const { before, after } = sumsOf(estimates, leftOut);
  const { factor, unit } = memoryUnit(before.gbHours, after.gbHours);
  const sums = [
    [`Memory of all, ${unit}-hours a day`, factor * before.gbHours, factor * after.gbHours],
    ["Cold starts of all a day", before.coldStarts, after.coldStarts],
  ];
  return html`<dl class="facts" aria-live="polite">${
    sums.map(([title, now, then]) =>
      html`
        <div>
          <dt>${title}</dt>
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
 * @param {boolean} props.isLeftOut
 * @param {(service: string) => void} props.onChoose
 * @param {(chosen: readonly ServiceWhatIf[]) => void} props.onApply
 */
function Row({ estimate, mayChange, isBusy, isLeftOut, onChoose, onApply }) {
  const { service, days, minInstances, now, then } = estimate;
  const isChanged = changedServices([estimate], new Set()).length > 0;
  const { factor, unit } = memoryUnit(now.gbHoursPerDay, then.gbHoursPerDay);
  return html`
    <tr>
      <th scope="row">${mayChange && html`
        <input type="checkbox" aria-label=${`Change ${service}`}
          checked=${!isLeftOut} onChange=${() => onChoose(service)} />
      `}
        <a href=${serviceHash(service, "what-if")}>${service}</a></th>
      <td class="number">${days === 0 ? "-" : fromTo(now.coldStartsPerDay, then.coldStartsPerDay)}</td>
      <td class="number">${days === 0
        ? "-"
        : html`${fromTo(factor * now.gbHoursPerDay, factor * then.gbHoursPerDay)} ${unit}-h`}</td>
      <td class="number">${settingText(now.stopAfter)}</td>
      ${mayChange && html`<td class="number">${
        minInstances > 0 ? html`<span class="quiet">always runs</span>` : html`
          <button type="button" disabled=${isBusy || !isChanged} aria-label=${`Apply to ${service}`}
            onClick=${() => onApply([estimate])}>Apply</button>
        `
      }</td>`}
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
    ["Memory a day", "number"],
    ["Stops after now", "number"],
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
 * The estimates of all services; those that take most memory first.
 *
 * @param {Api} api
 * @param {Partial<IdleSettings>} wanted
 * @returns {Promise<ServiceWhatIf[]>}
 */
async function loadEstimates(api, wanted) {
  /** @type {{ service: string }[]} */
  const services = await api.get("/v1/activity");
  const estimates = await Promise.all(services.map(async ({ service }) => ({
    ...await api.find(servicePath(service, "what-if"), wanted), // it may be gone, or never have worked
    service,
  })));
  return estimates.filter(({ now }) => now !== undefined)
    .sort((a, b) => b.now.gbHoursPerDay - a.now.gbHoursPerDay || (a.service < b.service ? -1 : 1));
}
