// @ts-check
/// <reference lib="dom" />
import { useEffect, useRef, useState } from "preact/hooks";
import { ErrorLine, useAction } from "../parts/action.js";
import { ApiError, ConnectionLost, servicePath } from "../api.js";
import { deploy, deployed } from "../changes.js";
import { allFaults, bodyOf, faultsOf, fieldOf, formOf, LABELS, reasonText, takenOver } from "../model/deploy_form.js";
import { NO_PROGRESS, progressAfter } from "../parts/deploy_progress.js";
import { html } from "../html.js";
import { useEvents } from "../live.js";
import { serviceHash } from "../model/route.js";
import { splitText } from "../model/shares.js";

/** @import { App } from "../app.js" */
/** @import { DeployForm, FieldError, FormField } from "../model/deploy_form.js" */
/** @import { Progress } from "../parts/deploy_progress.js" */
/** @import { Route } from "../model/route.js" */
/** @import { ServiceJson } from "../../../operations/services.ts" */

/**
 * Deploys a new service, or a new revision of one, and shows what that waits for and how it ends.
 *
 * @param {{ app: App, route: Route }} props
 */
export function DeployScreen({ app, route }) {
  const { api } = app;
  const { name } = route;
  const [found, setFound] = useState(
    /** @type {Found | undefined} */ (name === "" ? foundOf("", undefined) : undefined),
  );
  const loading = useAction();
  useEffect(() => {
    if (name === "") return;
    loading.run(async () => setFound(foundOf(name, await templateOf(api, name))));
  }, [name]);
  const title = name === "" ? "Deploy a service" : `Deploy ${name}`;
  if (!api.mayChange) {
    return html`
      <h1>${title}</h1>
      <p class="quiet">Your token can only look: it cannot deploy.</p>
    `;
  }
  return html`<h1>${title}</h1><${ErrorLine} error=${loading.error} />
    ${found && html`<${Form} app=${app} isNamed=${name !== ""} found=${found} />`}`;
}

/**
 * What the form begins with. `known` is the service whose settings it shows; empty for a new one.
 *
 * @typedef {{ base: DeployForm, known: string }} Found
 */

/**
 * @param {string} name
 * @param {Record<string, any> | undefined} template The latest revision's
 * @returns {Found}
 */
function foundOf(name, template) {
  return { base: formOf(name, template), known: template === undefined ? "" : name };
}

/** There is a service of the typed name, whose settings the form does not show yet. */
class ServiceFound extends Error {
  /** @param {Record<string, any>} template */
  constructor(template) {
    super("there is such a service");
    this.template = template;
  }
}

/**
 * @param {object} props
 * @param {App} props.app
 * @param {boolean} props.isNamed Whether the address of the screen names the service
 * @param {Found} props.found
 */
function Form({ app, isNamed, found }) {
  const action = useAction();
  const element = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [{ base, known }, setFound] = useState(found);
  const [form, setForm] = useState(found.base);
  const [faults, setFaults] = useState(/** @type {FieldError[]} */ ([]));
  const [progress, setProgress] = useState(NO_PROGRESS);
  const [outcome, setOutcome] = useState(/** @type {ServiceJson | undefined} */ (undefined));
  const typedName = form.name.trim();
  useEvents(app.events, (event) => {
    if (action.isBusy && event.data.service === typedName) setProgress((before) => progressAfter(before, event));
  });
  const errors = [...faults, ...(action.error instanceof ApiError ? action.error.fields : [])];
  const reasonsOf = (/** @type {FormField} */ field) => errors.filter((error) => fieldOf(error.field) === field);
  useEffect(() => {
    /** @type {HTMLElement | null | undefined} */
    const wrong = element.current?.querySelector("[aria-invalid=true]");
    wrong?.focus();
  }, [action.error, faults]);
  const takeOver = (/** @type {string} */ name, /** @type {Record<string, any> | undefined} */ template) => {
    const next = foundOf(name, template);
    setFound(next);
    setForm((typed) => ({ ...takenOver(typed, base, next.base), name: typed.name }));
  };
  const lookUp = async () => {
    if (isNamed || typedName === "" || typedName === known) return;
    const template = await templateOf(app.api, typedName).catch(() => undefined);
    if (template !== undefined || known !== "") takeOver(typedName, template);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const found = faultsOf(form);
    setFaults(found);
    setOutcome(undefined);
    setProgress(NO_PROGRESS);
    // The API says what else is wrong, so that all is told at once.
    if (found.length > 0) return void refusalsOf(app.api, form).then((more) => setFaults(allFaults(found, more)));
    action.run(async () => {
      /** @type {Record<string, any> | undefined} */
      let body;
      try {
        const { before, after } = await deploy(app.api, typedName, (template) => {
          if (template !== undefined && typedName !== known) throw new ServiceFound(template);
          // Somebody may have changed the service since the form was filled: only what is typed replaces that.
          const latest = template === undefined ? form : takenOver(form, base, formOf(typedName, template));
          return body = bodyOf(latest, template);
        });
        setOutcome(after);
        takeOver(typedName, body);
        if (after.latestRevision === before?.latestRevision) {
          return app.say({ text: `${after.latestRevision} is the latest already` });
        }
        app.say(deployed(app.api, before, after));
      } catch (error) {
        if (!(error instanceof ServiceFound)) throw error;
        takeOver(typedName, error.template);
      }
    });
  };
  const field = (/** @type {FormField} */ name) => ({
    ...{ name, value: form[name], reasons: reasonsOf(name).map(reasonText), isBusy: action.isBusy },
    onChange: (/** @type {string} */ value) => setForm({ ...form, [name]: value }),
  });
  return html`
    <form class="deploy-form" ref=${element} onSubmit=${submit} novalidate>
      ${!isNamed && html`
        <${Field} ...${field("name")} onLeave=${lookUp}
          help="Lower-case letters, digits and hyphens: the first label of its address" />
        <p class="note" role="status">${known !== "" && outcome === undefined &&
          html`There is a service <a class="link" href=${serviceHash(known)}>${known}</a>: this makes a new revision of
          it. What you have not typed is as it has it.`}</p>
      `}
      <${Field} ...${field(
        "image",
      )}  help="Such as ghcr.io/acme/shop:1.0; found on this machine, or pulled" />
      <${Field} ...${field("env")}  lines=${3} help=${known === ""
        ? "A line KEY=VALUE each"
        : "A line KEY=VALUE each; the others stay as they are"} />
      <div class="fields">
        <${Field} ...${field("port")}  help="Where the app listens" />
        <${Field} ...${field("memory")}  help="Such as 256m or 1g" />
        <${Field} ...${field(
          "concurrency",
        )}  help="Requests at once per instance; 0 is any number" />
        <${Field} ...${field("minInstances")}  help="How many always run" />
        <${Field} ...${field("maxInstances")}  help="How many may run" />
        ${known !== "" &&
          html`
            <${Field} ...${field("traffic")} help="How much the new revision gets; empty: the share of latest" />
          `}
        <${Field} ...${field("tag")}  help="An address of its own, TAG--NAME" />
      </div>
      <p class="actions"><button type="submit" class="primary" disabled=${action.isBusy}>${action.isBusy
        ? "Deploying…"
        : isNamed || known === ""
        ? "Deploy"
        : `Deploy a new revision of ${known}`}</button>
        <span class="quiet">If the new revision does not become ready, nothing changes.</span></p>
    </form>
    <${ProgressLines} progress=${progress} isBusy=${action.isBusy} />
    <${Outcome} name=${typedName} error=${action.error} deployed=${outcome} />
  `;
}

/** @param {{ progress: Progress, isBusy: boolean }} props */
function ProgressLines({ progress: { lines, live }, isBusy }) {
  if (lines.length === 0 && !isBusy) return null;
  return html`
    <section class="panel" aria-label="Progress">
      <ol class="progress" aria-live="polite">${lines.map((line) => html`<li>${line}</li>`)}</ol>
      ${isBusy && html`<p class="quiet live">${live || "…"}</p>`}
    </section>
  `;
}

/** @param {{ name: string, error: Error | undefined, deployed: ServiceJson | undefined }} props */
function Outcome({ name, error, deployed }) {
  if (error instanceof ConnectionLost) {
    return html`
      <div class="attention">
        <p>The connection is lost. The deploy goes on:
            <a class="link" href=${serviceHash(name, "history")}>the history of ${name}</a> shows how it ended.</p>
      </div>
    `;
  }
  if (error !== undefined) {
    const shown = error instanceof ApiError
      ? error.fields.filter(({ field }) => fieldOf(field) !== undefined).map(({ field }) => field)
      : [];
    return html`<div class="attention"><h2>Not deployed</h2><${ErrorLine} error=${error} except=${shown} />
      ${
      shown.length > 0 &&
      html`<p>${shown.length === 1 ? "A field is wrong" : `${shown.length} fields are wrong`}, see above.</p>`
    }</div>`;
  }
  if (deployed === undefined) return null;
  const { latestRevision, tagUrls = {}, traffic, url } = deployed;
  return html`
    <section class="panel" aria-label="Outcome">
      <h2>${latestRevision} is deployed</h2>
      <p>traffic: ${splitText(traffic)}</p>
      <ul>${[url, ...Object.values(tagUrls)].map((one) => html`<li><a class="link" href=${one}>${one}</a></li>`)}</ul>
      <p class="actions"><a class="button" href=${serviceHash(name)}>Show ${name}</a></p>
    </section>
  `;
}

/**
 * What the API finds wrong with the form, without a deploy.
 *
 * @param {import("../api.js").Api} api
 * @param {DeployForm} form
 * @returns {Promise<FieldError[]>}
 */
async function refusalsOf(api, form) {
  const path = servicePath(form.name.trim() || "new");
  try {
    await api.json("PUT", path, { body: bodyOf(form), query: { dryRun: true } });
    return [];
  } catch (error) {
    return error instanceof ApiError ? error.fields : [];
  }
}

/**
 * @param {object} props
 * @param {FormField} props.name
 * @param {string} props.help
 * @param {string} props.value
 * @param {readonly string[]} props.reasons What is wrong with the value
 * @param {boolean} props.isBusy
 * @param {number} [props.lines]
 * @param {(value: string) => void} props.onChange
 * @param {() => void} [props.onLeave]
 */
function Field({ name, help, value, reasons, isBusy, lines, onChange, onLeave }) {
  const props = {
    ...{ id: `field-${name}`, name, value, disabled: isBusy, autocomplete: "off", spellcheck: false },
    ...{ "aria-describedby": `help-${name}`, "aria-invalid": reasons.length > 0 ? "true" : undefined },
    onInput: (/** @type {any} */ event) => onChange(event.target.value),
    onBlur: onLeave,
  };
  return html`
    <div class="field">
      <label for=${props.id}>${LABELS[name]}</label>
      ${lines === undefined ? html`<input ...${props} />` : html`<textarea rows=${lines} ...${props}></textarea>`}
      <p id=${`help-${name}`} class=${reasons.length > 0 ? "error" : "quiet"}>${reasons.length > 0
        ? reasons.join("; ")
        : help}</p>
    </div>
  `;
}

/**
 * The template of the latest revision; `undefined` if there is no such service: it never worked, or is new.
 *
 * @param {import("../api.js").Api} api
 * @param {string} name
 */
async function templateOf(api, name) {
  const service = await api.find(servicePath(name));
  return service && (await api.get(servicePath(name, "revisions", service.latestRevision))).template;
}
