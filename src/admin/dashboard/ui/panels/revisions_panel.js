// @ts-check
/// <reference lib="dom" />
import { useEffect, useState } from "preact/hooks";
import { ErrorLine } from "../parts/action.js";
import { servicePath } from "../api.js";
import { age } from "../model/format.js";
import { html } from "../html.js";
import { useLoaded, useNow } from "../live.js";
import { fieldText } from "../model/settings.js";
import { Table } from "../parts/table.js";
import { differences } from "../model/template_diff.js";

/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { RevisionJson, RevisionSummaryJson } from "../../../operations/revisions.ts" */

const REVISIONS_MS = 60_000;
const MINUTE_MS = 60_000;

/**
 * The revisions, and what has changed between two of them.
 *
 * @param {PanelProps} props
 */
export function RevisionsPanel({ app, service: { name, latestRevision } }) {
  const now = useNow(MINUTE_MS);
  const { value, error } = useLoaded(() => app.api.get(servicePath(name, "revisions")), REVISIONS_MS, [
    name,
    latestRevision,
  ]);
  /** @type {RevisionSummaryJson[]} */
  const revisions = value ?? [];
  const [pair, setPair] = useState(/** @type {{ before?: string, after?: string }} */ ({}));
  const after = pair.after ?? revisions[0]?.name;
  const before = pair.before ?? revisions[1]?.name;
  return html`
    <section class="panel" aria-labelledby="revisions">
      <h2 id="revisions">Revisions</h2>
      <${Table} kind="stack" columns=${[
        "Name",
        ["Traffic", "number"],
        "Tag",
        "Image",
        ["Age", "number"],
        "Failed",
      ]}>${revisions.map((one) =>
        html`
          <tr key=${one.name}>
            <th scope="row">${one.name}${one.latest && html`<span class="pill">latest</span>`}</th>
            <td class="number">${one.percent > 0 ? `${one.percent}%` : "-"}</td>
            <td>${one.tag ?? "-"}</td>
            <td class="wide">${one.image}</td>
            <td class="number">${age(one.createdAt, now)}</td>
            <td class="wide">${one.failure ? html`<span class="error">${one.failure.reason}</span>` : "-"}</td>
          </tr>
        `
      )}<//>
      <${ErrorLine} error=${error} />
    </section>
    ${after !== undefined && before !== undefined && html`
      <section class="panel" aria-labelledby="changed">
        <h2 id="changed">What changed</h2>
        <p class="toolbar">
          <${Choice} label="from" revisions=${revisions} value=${before} onChange=${(/** @type {string} */ name) =>
            setPair({ after, before: name })} />
          <${Choice} label="to" revisions=${revisions} value=${after} onChange=${(/** @type {string} */ name) =>
            setPair({ before, after: name })} />
        </p>
        <${Differences} api=${app.api} name=${name} before=${before} after=${after} />
      </section>
    `}
  `;
}

/** @param {{ label: string, revisions: readonly RevisionSummaryJson[], value: string, onChange: (name: string) => void }} props */
function Choice({ label, revisions, value, onChange }) {
  return html`<label>${label} <select onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
    ${revisions.map(({ name }) => html`<option value=${name} selected=${name === value}>${name}</option>`)}
  </select></label>`;
}

/** @param {{ api: import("../api.js").Api, name: string, before: string, after: string }} props */
function Differences({ api, name, before, after }) {
  const [found, setFound] = useState(/** @type {ReturnType<typeof differences> | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {Error | undefined} */ (undefined));
  useEffect(() => {
    let isCurrent = true;
    /** @type {(revision: string) => Promise<RevisionJson>} */
    const load = (revision) => api.get(servicePath(name, "revisions", revision));
    Promise.all([load(before), load(after)]).then(([old, now]) => {
      if (isCurrent) setFound(differences(old, now));
    }, setError);
    return () => isCurrent = false;
  }, [name, before, after]);
  const [isShown, setShown] = useState(false);
  if (found === undefined) return html`<${ErrorLine} error=${error} />`;
  const isVariable = (/** @type {string} */ field) => field.startsWith("env ");
  const shown = (/** @type {string} */ field, /** @type {string} */ text) =>
    isVariable(field) && !isShown && text !== "-" && !text.startsWith("the secret ") ? "••••••" : text;
  if (found.length === 0) return html`<p class="quiet">Nothing: they are the same.</p>`;
  return html`
    <${Table} columns=${["Field", before, after]}>${found.map(({ field, before, after }) =>
      html`
        <tr key=${field}>
          <th scope="row" title=${field}>${fieldText(field)}</th>
          <td class="wide">
            <del>${shown(field, before)}</del>
          </td>
          <td class="wide">
            <ins>${shown(field, after)}</ins>
          </td>
        </tr>
      `
    )}<//>
    ${api.mayChange && found.some(({ field }) => isVariable(field)) && html`<p class="actions">
      <label class="check"><input type="checkbox" checked=${isShown} onChange=${() => setShown(!isShown)} /> Show
      values</label></p>`}
    ${!api.mayChange &&
      html`<p class="quiet">Your token can only look: values of variables and words of the command are hidden, so that
      changes of these are not shown.</p>`}
  `;
}
