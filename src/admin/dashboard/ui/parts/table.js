// @ts-check
import { html } from "../html.js";

/**
 * The title of a column, and what kind it is: `number` for one whose values are aligned by their digits, `unseen` for a
 * title that only screen readers tell.
 *
 * @typedef {string | readonly [title: string, kind: "number" | "unseen"]} Column
 */

/**
 * A table, which the keyboard can scroll too where it is wider than the page.
 *
 * @param {{ columns: readonly Column[], kind?: string, children?: unknown }} props `kind`: its class; `stack` for one
 * whose rows become blocks on a phone
 */
export function Table({ columns, kind, children }) {
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Table">
      <table class=${kind}>
        <thead>
          <tr>${columns.map(headOf)}</tr>
        </thead>
        <tbody>${children}</tbody>
      </table>
    </div>
  `;
}

/** @param {Column} column */
function headOf(column) {
  const [title, kind] = typeof column === "string" ? [column] : column;
  return kind === "unseen"
    ? html`<th scope="col"><span class="unseen">${title}</span></th>`
    : html`<th scope="col" class=${kind}>${title}</th>`;
}
