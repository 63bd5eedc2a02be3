// @ts-check
/// <reference lib="dom" />
import { ErrorLine } from "../parts/action.js";
import { servicePath } from "../api.js";
import { html } from "../html.js";
import { useLoaded } from "../live.js";
import { fieldText, settingsOf } from "../model/settings.js";

/** @import { PanelProps } from "../screens/service_screen.js" */

const SETTINGS_MS = 300_000;

/**
 * How instances of the latest revision are started, and the limits that hold for them.
 *
 * @param {PanelProps} props
 */
export function SettingsPanel({ app, service: { name, latestRevision, imageChanged } }) {
  const path = servicePath(name, "revisions", latestRevision);
  const { value, error } = useLoaded(() => app.api.get(path), SETTINGS_MS, [name, latestRevision]);
  if (value === undefined) return html`<${ErrorLine} error=${error} />`;
  /** @type {string[]} */
  const warnings = [
    ...imageChanged ? ["The image was built anew since: a deploy takes it."] : [],
    ...value.warnings,
  ];
  return html`
    <section class="panel" aria-labelledby="settings">
      <h2 id="settings">Settings of ${latestRevision}</h2>
      ${warnings.map((warning) => html`<p class="error">${warning}</p>`)}
      <dl class="settings-list">${settingsOf(value).map(({ name, text, from }) =>
        html`
          <div>
            <dt title=${name}>${fieldText(name)}</dt>
            <dd>${text} ${from !== undefined && html`<span class="quiet">(${from})</span>`}</dd>
          </div>
        `
      )}</dl>
    </section>
  `;
}
