// @ts-check
/// <reference lib="dom" />
import { useEffect, useMemo, useState } from "preact/hooks";
import { ErrorLine, useAction } from "../parts/action.js";
import { servicePath } from "../api.js";
import { changeTemplate, deploy, deployed } from "../changes.js";
import { problemOf, rebased, templateFields, variablesOf } from "../model/environment.js";
import { Table } from "../parts/table.js";
import { ago } from "../model/format.js";
import { html } from "../html.js";
import { useKept, useLoaded, useNow } from "../live.js";

/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { Template } from "../changes.js" */
/** @import { Variable } from "../model/environment.js" */
/** @import { RevisionJson } from "../../../operations/revisions.ts" */
/** @import { SecretJson } from "../../../operations/secrets.ts" */

const MINUTE_MS = 60_000;

/**
 * The variables of the latest revision, and the secrets, which can be written and not read.
 *
 * @param {PanelProps} props
 */
export function EnvironmentPanel({ app, service, reload }) {
  const { etag, latestRevision, name } = service;
  const revision = useLoaded(
    () => app.api.get(servicePath(name, "revisions", latestRevision)),
    MINUTE_MS,
    [name, latestRevision],
  );
  const secrets = useLoaded(() => app.api.get("/v1/secrets"), MINUTE_MS, [name]);
  const [draft, setDraft] = useState(/** @type {Draft | undefined} */ (undefined));
  const [isShown, setShown] = useState(false);
  const action = useAction();
  /** @type {RevisionJson | undefined} */
  const shown = useKept(revision.value);
  const present = useMemo(() => variablesOf(shown?.template ?? {}), [shown]);
  const of = shown?.name ?? "";
  useEffect(() => {
    // Somebody has deployed meanwhile.
    setDraft((draft) => draft && draft.of !== of ? onTopOf(draft, of, present) : draft);
  }, [of, present]);
  if (shown === undefined) return html`<${ErrorLine} error=${revision.error} />`;

  const variables = draft?.variables ?? present;
  const set = (/** @type {Variable[]} */ next) =>
    setDraft((draft) => ({ of, base: present, note: "", ...draft, variables: next }));
  const { mayChange } = app.api;
  const problem = problemOf(variables);
  const isChanged = !isSame(variables, present);
  const save = (/** @type {Event} */ event) => {
    event.preventDefault();
    action.run(async () => {
      const change = (/** @type {Template} */ template) => ({ ...template, ...templateFields(variables) });
      app.say(await changeTemplate(app.api, name, change, { etag }));
      setDraft(undefined);
      reload();
    });
  };
  return html`
    <section class="panel" aria-labelledby="variables">
      <h2 id="variables">Variables of ${of}</h2>
      <div role="status">${draft?.note && html`<p class="attention calm">${draft.note}</p>`}</div>
      ${!mayChange && html`<p class="quiet">Your token can only look: values are hidden.</p>`}
      <form onSubmit=${save}>
        <${Table} kind="variables" columns=${[
          "Name",
          "Value",
          ...(mayChange ? [["Remove", "unseen"]] : []),
        ]}>${variables.map((one, at) =>
          html`
            <${VariableRow} key=${at} variable=${one} mayChange=${mayChange} isShown=${isShown}
              secrets=${secrets.value ?? []}
              onChange=${(/** @type {Partial<Variable>} */ change) =>
                set(variables.map((other, index) => index === at ? { ...other, ...change } : other))}
              onRemove=${() => set(variables.filter((_, index) => index !== at))} />
          `
        )}<//>
        ${variables.length === 0 && html`<p class="quiet">There are none.</p>`}
        ${mayChange && html`
          <p class="actions">
            <button type="button" onClick=${() =>
              set([...variables, { name: "", value: "", secret: false }])}>Add a variable</button>
            <button type="button" onClick=${() =>
              set([...variables, {
                name: "",
                value: secrets.value?.[0]?.name ?? "",
                secret: true,
              }])}>Add a secret</button>
            <label class="check"><input type="checkbox" checked=${isShown} onChange=${() =>
              setShown(!isShown)} /> Show values</label>
          </p>
          <p class="actions">
            <button type="submit" class="primary" disabled=${!isChanged || problem !== undefined ||
              action.isBusy || of !== latestRevision}>${action.isBusy ? "Deploying…" : "Deploy"}</button>
            <button type="button" disabled=${!isChanged || action.isBusy} onClick=${() =>
              setDraft(undefined)}>Cancel</button>
            <span class="quiet">${problem ?? (isChanged ? "Makes a new revision, which can be undone." : "")}</span>
          </p>
        `}
        <${ErrorLine} error=${action.error} />
      </form>
    </section>
    <${SecretsPanel} app=${app} name=${name} secrets=${secrets.value ?? []} used=${present.filter(({ secret }) =>
      secret
    )}
      reload=${() => {
        secrets.reload();
        reload();
      }} />
  `;
}

/**
 * Edits of variables. `of` is the revision that has the variables `base`, which they change.
 *
 * @typedef {{ of: string, base: readonly Variable[], variables: Variable[], note: string }} Draft
 */

/**
 * The edits after somebody else has deployed a revision; `undefined` if it has all that they would change.
 *
 * @param {Draft} draft
 * @param {string} revision
 * @param {readonly Variable[]} now The variables of that revision
 * @returns {Draft | undefined}
 */
function onTopOf({ variables: edited, base }, revision, now) {
  const { variables, both } = rebased(edited, base, now);
  if (isSame(variables, now) && variables.every(({ name }) => name !== "")) return undefined;
  const note = [
    `${revision} has been deployed meanwhile. Your edits are kept, and all else is as it is there.`,
    ...(both.length === 0 ? [] : [`It has changed ${both.join(", ")} too, which yours would replace.`]),
    "Deploy to take them, or Cancel to see the variables as they are.",
  ].join(" ");
  return { of: revision, base: now, variables, note };
}

/**
 * @param {readonly Variable[]} one
 * @param {readonly Variable[]} other
 */
function isSame(one, other) {
  const [first, second] = [one, other].map((variables) => JSON.stringify(variablesOf(templateFields(variables))));
  return first === second;
}

/**
 * @param {object} props
 * @param {Variable} props.variable
 * @param {boolean} props.mayChange
 * @param {boolean} props.isShown
 * @param {readonly SecretJson[]} props.secrets
 * @param {(change: Partial<Variable>) => void} props.onChange
 * @param {() => void} props.onRemove
 */
function VariableRow({ variable: { name, value, secret }, mayChange, isShown, secrets, onChange, onRemove }) {
  if (!mayChange) {
    return html`
      <tr>
        <th scope="row">${name}</th>
        <td>${secret ? `the secret ${value}` : value}</td>
      </tr>
    `;
  }
  const label = name === "" ? "the new variable" : name;
  const names = [...new Set([...secrets.map((one) => one.name), value])].filter((one) => one !== "");
  return html`
    <tr>
      <th scope="row"><input value=${name} aria-label=${`Name of ${label}`} placeholder="NAME" pattern="[A-Za-z_][A-Za-z0-9_]*"
          autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) =>
            onChange({ name: event.target.value })} /></th>
      <td>${secret
        ? html`<label>the secret <select aria-label=${`Secret of ${label}`} onChange=${(/** @type {any} */ event) =>
          onChange({ value: event.target.value })}>
          ${names.map((one) => html`<option value=${one} selected=${one === value}>${one}</option>`)}</select></label>`
        : html`
          <input class="value" type=${isShown
            ? "text"
            : "password"} value=${value} aria-label=${`Value of ${label}`} autocomplete="off"
            spellcheck=${false} onInput=${(/** @type {any} */ event) => onChange({ value: event.target.value })} />
        `}</td>
      <td><button type="button" class="plain" aria-label=${`Remove ${label}`} onClick=${onRemove}>Remove</button></td>
    </tr>
  `;
}

/**
 * @param {object} props
 * @param {import("../app.js").App} props.app
 * @param {string} props.name
 * @param {readonly SecretJson[]} props.secrets
 * @param {readonly Variable[]} props.used
 * @param {() => void} props.reload
 */
function SecretsPanel({ app, name, secrets, used, reload }) {
  const now = useNow(MINUTE_MS);
  const [secret, setSecret] = useState("");
  const [value, setValue] = useState("");
  const action = useAction();
  // The template stays as it is, so that only its former revision has the former value.
  const renew = async () => {
    const { after, before } = await deploy(app.api, name, (template = {}) => template);
    if (after.latestRevision === before?.latestRevision) return { text: `${name} has the latest values already` };
    return deployed(app.api, before, after);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    action.run(async () => {
      const { version } = await app.api.json("PUT", `/v1/secrets/${encodeURIComponent(secret)}`, { body: value });
      setValue("");
      app.say({
        text: `${secret} is set (${version === 1 ? "new" : `value ${version}`}); it takes effect with the next deploy`,
      });
      reload();
    });
  };
  const isUsed = used.some((one) => one.value === secret);
  return html`
    <section class="panel" aria-labelledby="secrets">
      <h2 id="secrets">Secrets</h2>
      <p class="quiet">Values are stored encrypted and never shown.</p>
      ${secrets.length > 0 && html`
        <${Table} columns=${["Name", ["Version", "number"], ["Set", "number"]]}>${secrets.map((one) =>
          html`
            <tr key=${one.name}>
              <th scope="row">${one.name}</th>
              <td class="number">${one.version}</td>
              <td class="number">${ago(one.createdAt, now)}</td>
            </tr>
          `
        )}<//>
      `}
      ${app.api.mayChange && html`<form class="secret" onSubmit=${submit}>
        <label>Name <input required value=${secret} list="secret-names" autocomplete="off" spellcheck=${false}
          onInput=${(/** @type {any} */ event) => setSecret(event.target.value.trim())} /></label>
        <datalist id="secret-names">${secrets.map((one) => html`<option value=${one.name}></option>`)}</datalist>
        <label>New value <input type="password" required value=${value} autocomplete="new-password"
          onInput=${(/** @type {any} */ event) => setValue(event.target.value)} /></label>
        <button type="submit" disabled=${action.isBusy}>Set</button>
        ${
        isUsed && html`<button type="button" disabled=${action.isBusy} onClick=${() =>
          action.run(async () => {
            app.say(await renew());
            reload();
          })}>Deploy ${name} with it</button>`
      }
      </form>`}
      <${ErrorLine} error=${action.error} />
    </section>
  `;
}
