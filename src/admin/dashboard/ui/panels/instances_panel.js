// @ts-check
/// <reference lib="dom" />
import { age, ago, shortId, sizeText } from "../model/format.js";
import { html } from "../html.js";
import { useEvents, useLoaded, useNow } from "../live.js";
import { Table } from "../parts/table.js";
import { routeHash } from "../model/route.js";

/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { Column } from "../parts/table.js" */
/** @import { InstanceJson } from "../../../operations/instances.ts" */

/** @type {readonly Column[]} */
const COLUMNS = [
  ...["Id", "State"],
  ...["In flight", "Memory", "Swap", "Age", "Last used"].map((title) => /** @type {const} */ ([title, "number"])),
  ["Log", "unseen"],
];
const INSTANCES_MS = 10_000;
const SETTLE_MS = 300;
const NOW_MS = 10_000;

/**
 * The instances that run or sleep, with a way to the log of each.
 *
 * @param {PanelProps} props
 */
export function InstancesPanel({ app, service: { name, state } }) {
  const now = useNow(NOW_MS);
  const { value, reload } = useLoaded(() => app.api.get("/v1/instances", { service: name }), INSTANCES_MS, [name]);
  useEvents(app.events, ({ type, data }) => {
    if (type.startsWith("instance.") && data.service === name) reload(SETTLE_MS);
  });
  /** @type {InstanceJson[]} */
  const instances = value ?? [];
  return html`
    <section class="panel" aria-labelledby="instances">
      <h2 id="instances">Instances</h2>
      ${instances.length === 0
        ? html`<p class="quiet">${value && (state === "failing" ? "None." : "None; the next request starts one.")}</p>`
        : html`
          <${Table} columns=${COLUMNS}>${instances.map((one) =>
            html`
              <tr key=${one.id}>
                <th scope="row" title=${one.id}>${shortId(one.id, name)}</th>
                <td><span class=${`state ${one.state}`} title=${one.failure}>${one.state}</span></td>
                <td class="number">${one.inFlight}</td>
                <td class="number">${one.memoryBytes === undefined ? "-" : sizeText(one.memoryBytes)}</td>
                <td class="number">${sizeText(one.swapBytes ?? 0)}</td>
                <td class="number">${age(one.startedAt, now)}</td>
                <td class="number">${ago(one.lastUsedAt, now)}</td>
                <td class="number"><a class="link" href=${logHash(
                  name,
                  one.id,
                )} aria-label=${`Log of ${one.id}`}>log</a></td>
              </tr>
            `
          )}<//>
        `}
    </section>
  `;
}

/**
 * @param {string} name
 * @param {string} instance
 */
function logHash(name, instance) {
  return routeHash({ screen: "service", name, section: "logs", query: { instance } });
}
