// @ts-check
/// <reference lib="dom" />
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { html } from "../html.js";
import { plainText } from "../model/log_lines.js";

/**
 * Something that a reader starts, such as a change: whether it goes on, and why the last one failed.
 *
 * @returns {{ isBusy: boolean, error: Error | undefined, run: (act: () => Promise<void>) => Promise<void>, clear: () => void }}
 */
export function useAction() {
  const [state, setState] = useState(/** @type {{ isBusy: boolean, error?: Error }} */ ({ isBusy: false }));
  const run = async (/** @type {() => Promise<void>} */ act) => {
    setState({ isBusy: true });
    try {
      await act();
      setState({ isBusy: false });
    } catch (error) {
      setState({ isBusy: false, error: /** @type {Error} */ (error) });
    }
  };
  return { ...{ isBusy: state.isBusy, error: state.error }, run, clear: () => setState({ isBusy: false }) };
}

/**
 * Why something failed, with the last lines that an app wrote.
 *
 * @param {{ error: Error | undefined, except?: readonly string[] }} props `except`: the fields at which their errors are
 * shown already
 */
export function ErrorLine({ error, except = [] }) {
  if (error === undefined) return null;
  const fields = error instanceof ApiError ? error.fields : [];
  const others = fields.filter(({ field }) => !except.includes(field));
  const lines = fields.length === 0 ? [error.message] : others.map(({ field, reason }) => `${field}: ${reason}`);
  const output = error instanceof ApiError ? error.output : [];
  return html`
    <div class="failure" role="alert">
      ${lines.map((line) => html`<p class="error">${line}</p>`)}
      ${output.length > 0 && html`<${Output} lines=${output} />`}
    </div>
  `;
}

/**
 * The last lines that an app wrote.
 *
 * @param {{ lines: readonly string[] }} props
 */
export function Output({ lines }) {
  return html`<pre class="output" tabindex="0" role="group" aria-label="Last output">${
    lines.map(plainText).join("\n")
  }</pre>`;
}
