// @ts-check
/// <reference lib="dom" />
import { useEffect, useState } from "preact/hooks";
import { ErrorLine, Output, useAction } from "../parts/action.js";
import { servicePath } from "../api.js";
import { Band, TipBox } from "../parts/band.js";
import { NO_PROGRESS, progressAfter, waitingText } from "../parts/deploy_progress.js";
import { EnvironmentPanel } from "../panels/environment_panel.js";
import { failingRevision } from "../failures.js";
import { FiguresPanel } from "../panels/figures_panel.js";
import { ago, durationText, numberText, sizeText } from "../model/format.js";
import { DeployList, HistoryPanel } from "../panels/history_panel.js";
import { html } from "../html.js";
import { InstancesPanel } from "../panels/instances_panel.js";
import { useEvents, useLoaded, useNow } from "../live.js";
import { LogsPanel } from "../panels/logs_panel.js";
import { failingText } from "../model/overview.js";
import { RevisionsPanel } from "../panels/revisions_panel.js";
import { routeHash, serviceHash } from "../model/route.js";
import { volumeCommand } from "../model/settings.js";
import { SettingsPanel } from "../panels/settings_panel.js";
import { Axis, Legend } from "./services_screen.js";
import { withSpell } from "../model/timeline.js";
import { TrafficPanel } from "../panels/traffic_panel.js";
import { WakesPanel } from "../panels/wakes_panel.js";
import { WhatIfPanel } from "../panels/what_if_panel.js";

/** @import { App } from "../app.js" */
/** @import { Tip } from "../parts/band.js" */
/** @import { Activity } from "../model/overview.js" */
/** @import { Route } from "../model/route.js" */
/** @import { Timeline } from "../model/timeline.js" */
/** @import { DeployJson } from "../../../operations/deploys.ts" */
/** @import { RevisionJson } from "../../../operations/revisions.ts" */
/** @import { ServiceJson } from "../../../operations/services.ts" */

/**
 * What each part of the screen gets.
 *
 * @typedef {object} PanelProps
 * @property {App} app
 * @property {Route} route
 * @property {ServiceJson} service
 * @property {() => void} reload Call it after a change of the service
 */

const SERVICE_MS = 30_000;
const ACTIVITY_MS = 5000;
const TIMELINE_MS = 60_000;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const SETTLE_MS = 300;
/** In the words of `cless describe`. */
const SAVED = "of the memory of one that is always awake, since its first start";

/** The parts of the screen, by their addresses. */
const SECTIONS = {
  "": { title: "Overview", Panel: OverviewPanel },
  "logs": { title: "Logs", Panel: LogsPanel },
  "wakes": { title: "Wakes", Panel: WakesPanel },
  "what-if": { title: "What if", Panel: WhatIfPanel },
  "revisions": { title: "Revisions", Panel: RevisionsPanel },
  "environment": { title: "Environment", Panel: EnvironmentPanel },
  "history": { title: "History", Panel: HistoryPanel },
};

/**
 * One service: what it does and did, and everything that can be changed.
 *
 * @param {{ app: App, route: Route }} props
 */
export function ServiceScreen({ app, route }) {
  const { api, events } = app;
  const { name } = route;
  const section = Object.hasOwn(SECTIONS, route.section) ? /** @type {keyof typeof SECTIONS} */ (route.section) : "";
  const { value, error, reload } = useLoaded(() => loadService(api, name), SERVICE_MS, [name]);
  const timeline = useLoaded(() => api.get("/v1/timelines", { hours: 24, service: name }), TIMELINE_MS, [name]);
  useEvents(events, ({ type, data }) => {
    if (data.service !== name) return;
    if (type === "service.state") timeline.set((all) => all && withSpell(all, data));
    if (/^(service\.(created|changed|deleted|state)|traffic|revision\.(ready|failed|deleted))/.test(type)) {
      reload(SETTLE_MS);
      timeline.reload(SETTLE_MS);
    }
  });
  if (value === undefined) {
    return html`
      <h1 class="title">${name}</h1>
      <${ErrorLine} error=${error} />
    `;
  }
  const { service, deploys, failing } = value;
  if (service === undefined) return html`<${NeverWorked} app=${app} name=${name} deploys=${deploys} />`;
  const { Panel } = SECTIONS[section];
  const props = { app, route, service, reload: () => reload() };
  return html`
    <${Head} ...${props} />
    <${Failure} app=${app} service=${service} failing=${failing} deploys=${deploys} />
    <${Day} name=${name} timeline=${timeline.value?.[0]} />
    <nav class="tabs" aria-label=${`Parts of ${name}`}>
      ${Object.entries(SECTIONS).map(([key, { title }]) =>
        html`
          <a href=${serviceHash(name, key)} aria-current=${key === section ? "page" : undefined}>${title}</a>
        `
      )}
    </nav>
    <${Panel} key=${section} ...${props} deploys=${deploys} />
  `;
}

/**
 * The service with its deploys, and why its latest revision fails. There may be only deploys: it never worked then.
 *
 * @param {import("../api.js").Api} api
 * @param {string} name
 * @returns {Promise<{ service?: ServiceJson | undefined, deploys: DeployJson[], failing?: RevisionJson | undefined }>}
 */
async function loadService(api, name) {
  const [service, deploys] = await Promise.all([
    api.find(servicePath(name)),
    api.find(servicePath(name, "deploys")),
  ]);
  if (service === undefined && deploys === undefined) throw new Error(`there is no service ${name}`);
  const failing = service?.state === "failing" ? await failingRevision(api, name) : undefined;
  return { service, deploys: deploys ?? [], failing };
}

/** @param {PanelProps} props */
function Head({ app, route, service, reload }) {
  const { name, state, url } = service;
  const action = useAction();
  const isAsleep = ["asleep", "paused", "hibernated"].includes(state);
  useEffect(action.clear, [route.section]);
  const change = (/** @type {"wake" | "sleep"} */ what) =>
    action.isBusy || action.run(async () => {
      await app.api.send("POST", servicePath(name, what));
      app.say({ text: `${name} ${what === "wake" ? "is awake" : "sleeps"}` });
      reload();
    });
  return html`
    <div class="title">
      <h1>${name}</h1>
      <span key=${state} class=${`state ${state}`}>${state}</span>
      <a class="address" href=${url}>${url.replace(/^https?:\/\//, "")}</a>
      ${app.api.mayChange && html`<span class="actions">
        ${
        isAsleep || state === "failing"
          ? html`<button type="button" aria-disabled=${action.isBusy} onClick=${() => change("wake")}>Wake</button>`
          : html`<button type="button" aria-disabled=${action.isBusy} onClick=${() => change("sleep")}>Sleep</button>`
      }
        <a class="button" href=${routeHash({ screen: "deploy", name })}>Deploy</a>
      </span>`}
    </div>
    ${action.error && html`
      <div class="dismissable">
        <${ErrorLine} error=${state === "failing" ? new Error("It did not wake, see below.") : action.error} />
        <button type="button" class="plain" aria-label="Close" onClick=${action.clear}>✕</button>
      </div>
    `}
    <${Facts} app=${app} service=${service} />
  `;
}

/** @param {{ app: App, service: ServiceJson }} props */
function Facts({ app, service }) {
  const { value } = useLoaded(() => app.api.get("/v1/activity"), ACTIVITY_MS, []);
  /** @type {Activity | undefined} */
  const now = value?.find((/** @type {Activity} */ one) => one.service === service.name);
  const { cost, maintenance } = service;
  const memory = now?.memoryBytes ?? cost?.memoryBytes ?? 0;
  const swap = now?.swapBytes ?? cost?.swapBytes ?? 0;
  const saved = cost && cost.usedByteSeconds + cost.savedByteSeconds > 0
    ? Math.max(0, Math.floor(100 * cost.savedByteSeconds / (cost.usedByteSeconds + cost.savedByteSeconds)))
    : undefined;
  const facts = [
    ["Requests", now ? `${numberText(now.requestsPerSecond)}/s` : "-"],
    ["p50", now?.p50Ms === undefined ? "-" : durationText(now.p50Ms)],
    ["p99", now?.p99Ms === undefined ? "-" : durationText(now.p99Ms)],
    ["In flight", now ? String(now.inFlight) + (now.waiting > 0 ? `, ${now.waiting} wait` : "") : "-"],
    ["Memory", sizeText(memory)],
    ["Swap", sizeText(swap)],
    saved === undefined ? ["Saved", "-"] : ["Saved", `${saved}%`, SAVED, `${SAVED}, ${ago(cost?.since, Date.now())}`],
    ...(maintenance === undefined ? [] : [["Maintenance", maintenance]]),
  ];
  return html`<dl class="facts">${
    facts.map(([term, text, title, of]) =>
      html`
        <div title=${title}>
          <dt>${term}</dt>
          <dd>${text}${of && html`${" "}<span class="of">${of}</span>`}</dd>
        </div>
      `
    )
  }</dl>`;
}

/**
 * Why the service fails, or that its last deploy did not work.
 *
 * @param {{ app: App, service: ServiceJson, failing: RevisionJson | undefined, deploys: readonly DeployJson[] }} props
 */
function Failure({ app, service, failing, deploys }) {
  const now = useNow(MINUTE_MS);
  if (service.state === "deploying") return html`<${Deploying} app=${app} service=${service} deploys=${deploys} />`;
  if (service.state === "failing") {
    const { failure } = failing ?? {};
    const command = failing && volumeCommand(failing.template.volumes ?? []);
    return html`
      <section class="attention" aria-label="Failure">
        <h2>${failingText(service.failingSince, now)}</h2>
        <p>${failure?.reason ?? service.failure}</p>
        ${failing && failure &&
          html`<p class="quiet">${failing.name}, ${failure.count === 1 ? "once" : `${failure.count} times in a row`}, ${
            ago(failure.at, now)
          }</p>`}
        ${failure && failure.output.length > 0 && html`<${Output} lines=${failure.output} />`}
        ${command && html`<p>Where cless runs, this reaches the volumes without the app:${" "}
          <code class="wide">${command}</code></p>`}
      </section>
    `;
  }
  const last = deploys.find(({ outcome }) => outcome !== "running");
  if (last === undefined || last.outcome === "deployed") return null;
  return html`<${LastDeploy} deploy=${last} now=${now} />`;
}

/**
 * What the deploy that is under way waits for.
 *
 * @param {{ app: App, service: ServiceJson, deploys: readonly DeployJson[] }} props
 */
function Deploying({ app, service: { name, waiting }, deploys }) {
  const [progress, setProgress] = useState(NO_PROGRESS);
  useEvents(app.events, (event) => {
    if (event.data.service === name) setProgress((before) => progressAfter(before, event));
  });
  const deploy = deploys.find(({ outcome }) => outcome === "running");
  const first = waiting && waitingText({ ...waiting, at: new Date().toISOString() });
  return html`
    <section class="attention calm" aria-label="Deploy">
      <h2>Deploying ${deploy?.revision ?? name}</h2>
      ${deploy && html`<p class="quiet">${deploy.image}, by ${deploy.by}</p>`}
      <ol class="progress">${progress.lines.map((line) => html`<li>${line}</li>`)}</ol>
      <p class="live">${progress.live || (progress.lines.length === 0 && first) || "…"}</p>
    </section>
  `;
}

/** @param {{ deploy: DeployJson, now: number }} props */
function LastDeploy({ deploy: { by, durationMs, image, outcome, output, reason, revision, startedAt }, now }) {
  return html`
    <section class="attention" aria-label="Last deploy">
      <h2>Last deploy ${outcome}</h2>
      <p>${revision && `${revision} `}after ${durationText(durationMs)}: ${reason ?? "-"}
        <span class="quiet wide"> (${image}, ${ago(startedAt, now)}, by ${by})</span></p>
      ${output.length > 0 && html`<${Output} lines=${output} />`}
    </section>
  `;
}

/** @param {{ name: string, timeline: Timeline | undefined }} props */
function Day({ name, timeline }) {
  const now = useNow(MINUTE_MS);
  const [tip, setTip] = useState(/** @type {Tip | undefined} */ (undefined));
  const to = Math.floor(now / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  return html`
    <section class="day" aria-label="Last 24 hours">
      <${Axis} from=${to - DAY_MS} to=${to} />
      <${Band} name=${name} timeline=${timeline} from=${to - DAY_MS} to=${to} onTip=${setTip} />
      <${Legend} />
      <${TipBox} tip=${tip} />
    </section>
  `;
}

/** @param {PanelProps} props */
function OverviewPanel(props) {
  return html`
    <div class="columns">
      <${TrafficPanel} ...${props} />
      <${InstancesPanel} ...${props} />
    </div>
    <${FiguresPanel} ...${props} />
    <${SettingsPanel} ...${props} />
    ${props.app.api.mayChange && html`<${DeletePanel} ...${props} />`}
  `;
}

/** @param {PanelProps} props */
function DeletePanel({ app, service: { name, etag } }) {
  const [typed, setTyped] = useState("");
  const action = useAction();
  const remove = (/** @type {Event} */ event) => {
    event.preventDefault();
    action.run(async () => {
      await app.api.send("DELETE", servicePath(name), { ifMatch: etag });
      app.say({ text: `${name} is deleted` });
      location.hash = routeHash({});
    });
  };
  return html`
    <details class="delete">
      <summary>Delete ${name}…</summary>
      <form onSubmit=${remove}>
        <p>Deletes the service with its revisions, and stops its instances. Secrets and volumes stay, and its history: ${" "}<code>cless history ${name}</code> shows it.</p>
        <label>Type <strong>${name}</strong> to delete it
          <input value=${typed} autocomplete="off" onInput=${(/** @type {any} */ event) =>
            setTyped(event.target.value)} />
        </label>
        <button type="submit" class="danger" disabled=${typed !== name || action.isBusy}>
          ${action.isBusy ? "Waiting for the last requests…" : "Delete"}</button>
        <${ErrorLine} error=${action.error} />
      </form>
    </details>
  `;
}

/** @param {{ app: App, name: string, deploys: readonly DeployJson[] }} props */
function NeverWorked({ app, name, deploys }) {
  const action = useAction();
  const remove = () =>
    action.run(async () => {
      await app.api.send("DELETE", servicePath(name));
      app.say({ text: `${name} is deleted` });
      location.hash = routeHash({});
    });
  const now = useNow(MINUTE_MS);
  const [last] = deploys;
  return html`
    <div class="title"><h1>${name}</h1><span class="state failing">${last?.outcome === "running"
      ? "deploying"
      : "never worked"}</span></div>
    ${last && html`<${LastDeploy} deploy=${last} now=${now} />`}
    ${deploys.length > 1 && html`<${DeployList} deploys=${deploys} now=${now} />`}
    ${app.api.mayChange && html`
      <p class="panel actions">
        <a class="button" href=${routeHash({ screen: "deploy", name })}>Deploy it again</a>
        <button type="button" class="danger" disabled=${action.isBusy || last?.outcome === "running"}
          onClick=${remove}>Delete ${name}</button>
      </p>
    `}
    <${ErrorLine} error=${action.error} />
  `;
}
