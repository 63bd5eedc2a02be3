// @ts-check
/// <reference lib="dom" />
import { useEffect, useState } from "preact/hooks";
import { ErrorLine, useAction } from "../parts/action.js";
import { servicePath } from "../api.js";
import { changeIdleSettings } from "../changes.js";
import { amountText, changeText, countText, numberText, sizeText, spanText } from "../model/format.js";
import { html } from "../html.js";
import { memoryUnit } from "../model/what_if.js";
import { changedSettings, choicesFor, placeOf, settingMs, settingText, TITLES } from "../model/idle_settings.js";

/** @import { IdleSetting, IdleSettings } from "../model/idle_settings.js" */
/** @import { PanelProps } from "../screens/service_screen.js" */

/** @import { Outcome, WhatIf } from "../model/what_if.js" */

const SETTLE_MS = 120;
/** The times to stop after that are compared. */
const STOPS = ["5m", "10m", "15m", "20m", "30m", "45m", "1h", "90m", "2h", "3h", "6h", "12h", "24h"];
const HELP = {
  pauseAfter: "Its memory stays, its processor time ends. The next request waits some milliseconds.",
  hibernateAfter: "Its memory moves to the disk. The next request waits a moment longer.",
  stopAfter: "It takes nothing. The next request is a cold start.",
};

/**
 * What other idle times would have brought over the recorded requests, and a way to take them.
 *
 * @param {PanelProps} props
 */
export function WhatIfPanel({ app, service, reload }) {
  const { name } = service;
  const [wanted, setWanted] = useState(/** @type {Partial<IdleSettings>} */ ({}));
  const [estimate, setEstimate] = useState(/** @type {WhatIf | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {Error | undefined} */ (undefined));
  const action = useAction();
  useEffect(() => {
    let isCurrent = true; // an earlier answer may come later
    const timer = setTimeout(() => {
      app.api.get(servicePath(name, "what-if"), wanted).then((value) => {
        if (!isCurrent) return;
        setEstimate(value);
        setError(undefined);
      }, (failure) => isCurrent && setError(failure));
    }, SETTLE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [JSON.stringify(wanted), service.latestRevision]);
  if (estimate === undefined) {
    return html`
      <section class="panel" aria-label="What if">
        <${ErrorLine} error=${error} />
      </section>
    `;
  }

  const { canHibernate, days, memory, minInstances, now, then } = estimate;
  const settings = {
    pauseAfter: now.pauseAfter,
    hibernateAfter: now.hibernateAfter,
    stopAfter: now.stopAfter,
    ...wanted,
  };
  const isChanged = Object.keys(changedSettings(now, settings)).length > 0;
  const apply = () =>
    action.run(async () => {
      app.say(await changeIdleSettings(app.api, name, now, settings));
      setWanted({});
      reload();
    });
  return html`
    <section class="panel" aria-labelledby="what-if">
      <h2 id="what-if">What if it slept sooner, or later</h2>
      <p class="quiet">${days === 0
        ? "No requests are recorded yet, so that there is nothing to estimate from."
        : `Estimated from the requests of the last ${daysText(days)}. An instance takes ${
          sizeText(memory.awakeBytes)
        } while it is awake, ${sizeText(memory.pausedBytes)} paused and ${
          sizeText(memory.hibernatedBytes)
        } hibernated.`}
        ${!canHibernate && " This machine cannot move memory to the disk now: hibernating has no effect."}
        ${minInstances > 0 && ` It always runs ${countText(minInstances, "instance")}, which do not sleep.`}</p>
      <div class="what-if">
        <div class="settings">${/** @type {IdleSetting[]} */ (Object.keys(TITLES)).map((
          key,
        ) =>
          html`
            <${Setting} key=${key} name=${key} now=${now[key]} value=${settings[key]}
              onChange=${(/** @type {string} */ value) => setWanted({ ...wanted, [key]: value })} />
          `
        )}</div>
        <div>
          <${Outcomes} now=${now} then=${then} isChanged=${isChanged} />
          <${Stops} app=${app} name=${name} days=${days} value=${settings.stopAfter} key=${service.latestRevision}
            onChoose=${(/** @type {string} */ stopAfter) => setWanted({ ...wanted, stopAfter })} />
        </div>
      </div>
      <p class="actions">
        ${app.api.mayChange &&
          html`<button type="button" class="primary" disabled=${!isChanged || action.isBusy} onClick=${apply}>
          ${action.isBusy ? "Deploying…" : "Apply"}</button>`}
        <button type="button" disabled=${!isChanged || action.isBusy} onClick=${() => setWanted({})}>Reset</button>
        <span class="quiet">${app.api.mayChange
          ? "Applying is a deploy of the same image, which can be undone."
          : "Your token can only look: it cannot apply this."}</span>
      </p>
      <${ErrorLine} error=${action.error ?? error} />
    </section>
  `;
}

/** @param {{ name: IdleSetting, now: string, value: string, onChange: (value: string) => void }} props */
function Setting({ name, now, value, onChange }) {
  const choices = choicesFor(name, now);
  const read = (/** @type {any} */ event) => onChange(choices[event.target.valueAsNumber] ?? now);
  return html`
    <div class="setting">
      <label for=${name}>${TITLES[name]}</label>
      <span class="chosen">${settingText(value)}${settingText(value) !== settingText(now) &&
        html`<span class="quiet"> now ${settingText(now)}</span>`}</span>
      <input id=${name} type="range" min="0" max=${choices.length - 1} value=${placeOf(choices, value)}
        aria-valuetext=${settingText(value)} aria-describedby=${`${name}-help`} onInput=${read} />
      <p id=${`${name}-help`} class="quiet">${HELP[name]}</p>
    </div>
  `;
}

/** @param {{ now: Outcome, then: Outcome, isChanged: boolean }} props */
function Outcomes({ now, then, isChanged }) {
  const { factor, unit } = memoryUnit(now.gbHoursPerDay, then.gbHoursPerDay);
  const inUse = now.gbHoursPerDay - now.idleGbHoursPerDay; // idle times do not change it
  const rows = [
    ["Cold starts a day", now.coldStartsPerDay, then.coldStartsPerDay],
    ["Wakes from hibernated a day", now.wakesPerDay.hibernated, then.wakesPerDay.hibernated],
    ["Wakes from paused a day", now.wakesPerDay.resume, then.wakesPerDay.resume],
    [`Idle memory, ${unit}-hours a day`, factor * now.idleGbHoursPerDay, factor * then.idleGbHoursPerDay],
    [`Memory in use, ${unit}-hours a day`, factor * inUse, factor * inUse],
  ];
  return html`
    <table class="outcomes">
      <thead>
        <tr>
          <td></td>
          <th scope="col" class="number">Now</th>
          <th scope="col" class="number">Then</th>
          <th scope="col" class="number">Change</th>
        </tr>
      </thead>
      <tbody aria-live="polite">${rows.map(([title, before, after]) =>
        html`
          <tr>
            <th scope="row">${title}</th>
            <td class="number">${amountText(Number(before))}</td>
            <td class="number strong">${isChanged ? amountText(Number(after)) : "–"}</td>
            <td class="number">${isChanged ? changeText(Number(before), Number(after)) : ""}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

/**
 * What times to stop after would have brought, on demand, to choose one.
 *
 * @param {object} props
 * @param {import("../app.js").App} props.app
 * @param {string} props.name
 * @param {number} props.days
 * @param {string} props.value
 * @param {(stopAfter: string) => void} props.onChoose
 */
function Stops({ app, name, days, value, onChoose }) {
  const [rows, setRows] = useState(/** @type {Outcome[]} */ ([]));
  const action = useAction();
  const load = () =>
    action.run(async () => {
      /** @type {WhatIf[]} */
      const all = await Promise.all(STOPS.map((stopAfter) => app.api.get(servicePath(name, "what-if"), { stopAfter })));
      setRows(all.map(({ then }) => then));
    });
  if (days === 0) return null;
  if (rows.length === 0) {
    return html`
      <p class="actions"><button type="button" disabled=${action.isBusy} onClick=${load}>Compare times to
          stop after</button></p>
      <${ErrorLine} error=${action.error} />
    `;
  }
  return html`
    <table class="outcomes">
      <thead>
        <tr>
          <th scope="col">Stop after</th>
          <th scope="col" class="number">Cold starts</th>
          <th scope="col" class="number">Idle MB-hours</th>
          <td></td>
        </tr>
      </thead>
      <tbody>${rows.map(({ coldStartsPerDay, idleGbHoursPerDay, stopAfter }) =>
        html`
          <tr>
            <th scope="row">${settingText(stopAfter)}</th>
            <td class="number">${amountText(coldStartsPerDay)}</td>
            <td class="number">${amountText(1000 * idleGbHoursPerDay)}</td>
            <td class="number"><button type="button" class="plain" disabled=${settingMs(stopAfter) === settingMs(value)}
              aria-label=${`Choose ${settingText(stopAfter)}`} onClick=${() => onChoose(stopAfter)}>choose</button></td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

/** @param {number} days */
function daysText(days) {
  return days < 1 ? spanText(days * 86_400_000) : countText(Number(numberText(days)), "day");
}
