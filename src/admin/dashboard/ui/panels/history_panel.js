// @ts-check
/// <reference lib="dom" />
import { useState } from "preact/hooks";
import { ErrorLine, Output, useAction } from "../parts/action.js";
import { servicePath } from "../api.js";
import { setTraffic } from "../changes.js";
import { ago, dateText, durationText } from "../model/format.js";
import { changeText, splitBefore } from "../model/history_text.js";
import { html } from "../html.js";
import { useLoaded, useNow } from "../live.js";
import { Table } from "../parts/table.js";
import { shortSplit, splitText } from "../model/shares.js";

/** @import { Entry } from "../model/history_text.js" */
/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { Target } from "../model/shares.js" */
/** @import { RevisionJson } from "../../../operations/revisions.ts" */
/** @import { DeployJson } from "../../../operations/deploys.ts" */

const MINUTE_MS = 60_000;
/** Revisions do not change. */
const LONG_MS = 3_600_000;
const LIMIT = 50;
/** A new row comes after a click, and moves the others: a second click must not hit what comes under the pointer. */
const REST_MS = 2000;

/**
 * Who changed the service and how, and how its deploys ended.
 *
 * @param {PanelProps & { deploys: readonly DeployJson[] }} props
 */
export function HistoryPanel({ app, service, reload, deploys }) {
  const { name, etag } = service;
  const now = useNow(MINUTE_MS);
  const history = useLoaded(() => app.api.get(servicePath(name, "history"), { limit: LIMIT }), MINUTE_MS, [name, etag]);
  const revisions = useLoaded(() => loadRevisions(app.api, name), LONG_MS, [name, service.latestRevision]);
  const action = useAction();
  const [isResting, setResting] = useState(false);
  /** @type {Entry[]} */
  const entries = history.value ?? [];
  const goBack = (/** @type {readonly Target[]} */ traffic) =>
    action.run(async () => {
      setResting(true);
      setTimeout(() => setResting(false), REST_MS);
      app.say(await setTraffic(app.api, service, traffic));
      reload();
    });
  return html`
    <section class="panel" aria-labelledby="changes">
      <h2 id="changes">Changes</h2>
      <${Table} kind="stack" columns=${[
        ...["When", "By", "Action", "What"],
        ...(app.api.mayChange ? [["Undo", "unseen"]] : []),
      ]}>${entries.map((entry) => {
        const split = splitBefore(entry, service);
        return html`<tr>
          <td class="when" title=${ago(entry.at, now)}>${
          dateText(entry.at)
        }</td><td>${entry.by}</td><td>${entry.action}</td>
          <td class="wide">${changeText(entry, revisions.value)}</td>
          ${
          app.api.mayChange && html`<td class="number">${
            split !== undefined && html`
              <button type="button" disabled=${action.isBusy || isResting}
                title=${`Roll back to ${splitText(split)}`} onClick=${() => goBack(split)}>Roll back to ${shortSplit(
                  split,
                )}</button>
            `
          }</td>`
        }
        </tr>`;
      })}<//>
      <${ErrorLine} error=${action.error ?? history.error} />
    </section>
    <${DeployList} deploys=${deploys} now=${now} />
  `;
}

/**
 * The revisions that are still there, by their names.
 *
 * @param {import("../api.js").Api} api
 * @param {string} name
 * @returns {Promise<Map<string, RevisionJson>>}
 */
async function loadRevisions(api, name) {
  /** @type {{ name: string }[]} */
  const list = await api.get(servicePath(name, "revisions"));
  return new Map(
    await Promise.all(
      list.map(async (
        one,
      ) => /** @type {const} */ ([one.name, await api.get(servicePath(name, "revisions", one.name))])),
    ),
  );
}

/**
 * How the deploys of a service ended, newest first.
 *
 * @param {{ deploys: readonly DeployJson[], now: number }} props
 */
export function DeployList({ deploys, now }) {
  return html`
    <section class="panel" aria-labelledby="deploys">
      <h2 id="deploys">Deploys</h2>
      ${deploys.length === 0 && html`<p class="quiet">None is kept.</p>`}
      <ul class="deploys">
        ${deploys.map((deploy) => html`<${Deploy} key=${deploy.startedAt} deploy=${deploy} now=${now} />`)}
      </ul>
    </section>
  `;
}

/** @param {{ deploy: DeployJson, now: number }} props */
function Deploy({ deploy, now }) {
  const { by, durationMs, image, outcome, output, reason, revision = "-", startedAt } = deploy;
  const line = html`<span class="when" title=${ago(startedAt, now)}>${dateText(startedAt)}</span>
    <span class=${outcome === "deployed" ? "quiet" : "error"}>${outcome}</span>
    <span>${revision}</span> <span class="quiet">${image}, by ${by}, ${durationText(durationMs)}</span>`;
  return html`
    <li>${line} ${reason !== undefined && html`<p>${reason}</p>`}
      ${output.length > 0 && html`
        <details>
          <summary>Last output</summary>
          <${Output} lines=${output} />
        </details>
      `}
    </li>
  `;
}
