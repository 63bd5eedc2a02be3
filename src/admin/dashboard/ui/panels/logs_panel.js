// @ts-check
/// <reference lib="dom" />
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ErrorLine } from "../parts/action.js";
import { servicePath } from "../api.js";
import { countText, momentText, shortId } from "../model/format.js";
import { RENEWING } from "../live.js";
import { html } from "../html.js";
import { LineSplitter, matching, merged, plainText } from "../model/log_lines.js";
import { routeHash, serviceHash } from "../model/route.js";

/** @import { App } from "../app.js" */
/** @import { LogLine } from "../model/log_lines.js" */
/** @import { DeployJson } from "../../../operations/deploys.ts" */
/** @import { PanelProps } from "../screens/service_screen.js" */

const TAIL = 200;
const RETRY_MS = 2000;
/** Lines that come together are shown together. */
const GATHER_MS = 100;
/** So near to the end, px, the reader is taken to follow. */
const NEAR_PX = 24;

/**
 * What the instances write, as they write it.
 *
 * @param {PanelProps & { deploys: readonly DeployJson[] }} props
 */
export function LogsPanel({ app, route, service: { name }, deploys }) {
  const { instance = "", q = "" } = route.query;
  const [isPaused, setPaused] = useState(false);
  const [lines, error] = useLog(app, name);
  const held = useRef(lines);
  if (!isPaused) held.current = lines;
  const shown = useMemo(() => matching(held.current, q, instance), [held.current, q, instance]);
  const instances = [...new Set([...lines.map((line) => line.instance), ...(instance === "" ? [] : [instance])])];
  const failed = deploys.find(({ outcome, output }) => outcome === "failed" && output.length > 0);
  const newer = isPaused ? new Set(lines).difference(new Set(held.current)).size : 0;
  const go = (/** @type {Record<string, string>} */ change) => {
    const query = { instance, q, ...change };
    history.replaceState(null, "", routeHash({ screen: "service", name, section: "logs", query }));
    app.routeChanged();
  };

  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const follows = useRef(true);
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && follows.current) element.scrollTop = element.scrollHeight;
  }, [shown]);
  const scrolled = (/** @type {any} */ { currentTarget: element }) => {
    follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
  };
  return html`
    <section class="panel" aria-labelledby="logs">
      <h2 id="logs" class="unseen">Logs</h2>
      <p class="toolbar">
        <input type="search" placeholder="Search" aria-label="Search the log" value=${q}
          onInput=${(/** @type {any} */ event) => go({ q: event.target.value })} />
        <label>Instance <select onChange=${(/** @type {any} */ event) => go({ instance: event.target.value })}>
          <option value="">all</option>
          ${instances.map((id) => html`<option value=${id} selected=${id === instance}>${id}</option>`)}
        </select></label>
        <button type="button" aria-pressed=${isPaused} onClick=${() => setPaused(!isPaused)}>${isPaused
          ? "Resume"
          : "Pause"}</button>
        <span class="quiet">${isPaused
          ? `${newer > 0 ? countText(newer, "new line") : "paused"}`
          : "following"}${q !== "" &&
          `, ${shown.length} found`}</span>
      </p>
      <div class="log" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label=${`Output of ${name}`}>
        ${shown.map((line) =>
          html`<${Line} key=${line} line=${line} from=${instance === "" ? shortId(line.instance, name) : ""} />`
        )}
        ${shown.length === 0 && html`<p class="quiet">${q === "" ? "Nothing is written yet." : "No line has this text."}
          ${
          q === "" && failed && html`
            What the app wrote in the deploy that failed at ${momentText(
              failed.startedAt,
              Date.now(),
            )} is in the${" "}<a class="link"
              href=${serviceHash(name, "history")}>history</a>.
          `
        }</p>`}
      </div>
      <${ErrorLine} error=${error} />
    </section>
  `;
}

/** @param {{ line: LogLine, from: string }} props `from`: whose line it is; empty if all are of the same instance */
function Line({ line, from }) {
  return useMemo(() => {
    const time = line.time === undefined ? "" : momentText(line.time, Date.now());
    return html`<p class=${line.stream} title=${line.instance}><span class="from"><time>${time}</time> ${from}</span>${
      plainText(line.text)
    }</p>`;
  }, [line, from]);
}

/**
 * The last lines of the instances, and those that they write from now on, while the page can be seen.
 *
 * @param {App} app
 * @param {string} name
 * @returns {[lines: readonly LogLine[], error: Error | undefined]}
 */
function useLog(app, name) {
  const [lines, setLines] = useState(/** @type {readonly LogLine[]} */ ([]));
  const [error, setError] = useState(/** @type {Error | undefined} */ (undefined));
  useEffect(() => {
    /** @type {AbortController | undefined} */
    let reading;
    /** @type {import("../live.js").Timer} */
    let timer;
    const begin = () => {
      clearTimeout(timer);
      reading?.abort();
      reading = undefined;
      if (document.hidden) return;
      const { signal } = reading = new AbortController();
      let isFirst = true;
      const took = (/** @type {LogLine[]} */ more) => {
        // The last lines come again after a pause.
        const begins = isFirst;
        isFirst = false;
        setLines((before) => merged(begins ? [] : before, more));
        setError(undefined);
      };
      readLog(app, name, signal, took).catch((failure) => signal.aborted || setError(failure)).finally(() => {
        if (!signal.aborted) timer = setTimeout(begin, RETRY_MS);
      });
    };
    begin();
    for (const type of RENEWING) document.addEventListener(type, begin);
    return () => {
      for (const type of RENEWING) document.removeEventListener(type, begin);
      clearTimeout(timer);
      reading?.abort();
    };
  }, [name]);
  return [lines, error];
}

/**
 * @param {App} app
 * @param {string} name
 * @param {AbortSignal} signal
 * @param {(lines: LogLine[]) => void} took
 */
async function readLog({ api }, name, signal, took) {
  const options = { query: { follow: true, tail: TAIL }, accept: "application/x-ndjson", signal };
  const { body } = await api.send("GET", servicePath(name, "logs"), options);
  if (body === null) return;
  const splitter = new LineSplitter();
  /** @type {LogLine[]} */
  let gathered = [];
  /** @type {import("../live.js").Timer} */
  let timer;
  const pass = () => {
    timer = undefined;
    const lines = gathered;
    gathered = [];
    if (!signal.aborted) took(lines);
  };
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    gathered.push(...splitter.push(value));
    timer ??= setTimeout(pass, GATHER_MS);
  }
}
