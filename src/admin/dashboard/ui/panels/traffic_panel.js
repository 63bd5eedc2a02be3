// @ts-check
/// <reference lib="dom" />
import { useMemo, useRef, useState } from "preact/hooks";
import { ErrorLine, useAction } from "../parts/action.js";
import { servicePath } from "../api.js";
import { rollBack, setTraffic } from "../changes.js";
import { html } from "../html.js";
import { useLoaded, useNow } from "../live.js";
import { ago } from "../model/format.js";
import { isSplitChange } from "../model/history_text.js";
import { moveShare, sharesOf, splitText, trafficOf } from "../model/shares.js";

/** @import { PanelProps } from "../screens/service_screen.js" */
/** @import { Entry } from "../model/history_text.js" */
/** @import { Share } from "../model/shares.js" */

const REVISIONS_MS = 60_000;
/** How many changes are looked through for the last one of the shares. */
const HISTORY = 50;
/** More revisions without traffic or tag are shown on demand. */
const SHOWN = 4;

/**
 * How the requests are split among the revisions. Moving one share moves the others, so that they always sum to 100.
 *
 * @param {PanelProps} props
 */
export function TrafficPanel({ app, service, reload }) {
  const { name, traffic, latestRevision, previousTraffic, tagUrls = {}, convention } = service;
  const revisions = useLoaded(
    () => app.api.get(servicePath(name, "revisions")),
    REVISIONS_MS,
    [name, latestRevision],
  );
  const now = useNow(REVISIONS_MS);
  const history = useLoaded(
    () => app.api.get(servicePath(name, "history"), { limit: HISTORY }),
    REVISIONS_MS,
    [name, service.etag],
  );
  /** @type {Entry | undefined} */
  const last = previousTraffic && history.value?.find(isSplitChange);
  const names = (revisions.value ?? []).map((/** @type {{ name: string }} */ one) => one.name);
  const key = JSON.stringify([traffic, latestRevision, names]);
  const present = useMemo(() => sharesOf(traffic, latestRevision, names), [key]);
  const [draft, setDraft] = useState(/** @type {{ of: string, shares: Share[] } | undefined} */ (undefined));
  const [isWhole, setWhole] = useState(false);
  const action = useAction();
  // While a slider is dragged, the others keep the proportions that they had before.
  const base = useRef(/** @type {number[] | undefined} */ (undefined));
  const mayChange = app.api.mayChange && convention === undefined;

  const shares = draft?.of === key ? draft.shares : present;
  const isChanged = JSON.stringify(shares) !== JSON.stringify(present);
  const set = (/** @type {Share[]} */ next) => setDraft({ of: key, shares: next });
  const move = (/** @type {number} */ at, /** @type {number} */ value) => {
    const percents = moveShare(base.current ?? shares.map(({ percent }) => percent), at, value);
    set(shares.map((share, index) => ({ ...share, percent: percents[index] ?? 0 })));
  };
  const hold = () => base.current = shares.map(({ percent }) => percent);
  const release = () => base.current = undefined;
  const tag = (/** @type {number} */ at, /** @type {string} */ text) =>
    set(shares.map((share, index) => index === at ? { ...share, tag: text.trim() } : share));
  const apply = (/** @type {() => Promise<import("../changes.js").Done>} */ change) =>
    action.run(async () => {
      app.say(await change());
      setDraft(undefined);
      reload();
    });

  const used = shares.map((share, at) => ({ share, at }))
    .filter(({ share, at }) => share.percent > 0 || share.tag !== "" || at < traffic.length);
  const others = shares.map((share, at) => ({ share, at })).filter((one) => !used.some(({ at }) => at === one.at));
  const shown = [...used, ...(isWhole ? others : others.slice(0, Math.max(0, SHOWN - used.length)))];
  return html`
    <section class="panel" aria-labelledby="traffic">
      <h2 id="traffic">Traffic</h2>
      <ul class="shares">
        ${shown.map(({ share, at }) =>
          html`
            <${ShareRow} key=${share.revision} share=${share} latest=${latestRevision}
              url=${tagUrls[share.tag]} isFixed=${!mayChange || shares.length < 2} mayTag=${mayChange}
              onMove=${(/** @type {number} */ value) => move(at, value)} onHold=${hold} onRelease=${release}
              onTag=${(/** @type {string} */ text) => tag(at, text)} />
          `
        )}
      </ul>
      ${shown.length < shares.length && html`<button type="button" class="plain" onClick=${() => setWhole(true)}>
        Show ${shares.length - shown.length} more</button>`}
      ${mayChange && html`
        <p class="actions">
          <button type="button" class="primary" disabled=${!isChanged || action.isBusy}
            onClick=${() => apply(() => setTraffic(app.api, service, trafficOf(shares)))}>Apply</button>
          <button type="button" disabled=${!isChanged || action.isBusy} onClick=${() =>
            setDraft(undefined)}>Cancel</button>
          <button type="button" class="last" disabled=${action.isBusy || previousTraffic === undefined}
            title=${previousTraffic && "Undoes the last change of the shares"}
            onClick=${() => apply(() => rollBack(app.api, service))}>Roll back${previousTraffic &&
              ` to ${splitText(previousTraffic)}`}</button>
          ${last &&
            html`<span class="quiet" title=${last.at}>It undoes what ${last.by} did ${ago(last.at, now)}.</span>`}
          ${previousTraffic === undefined && html`<span class="quiet">It has had no other shares to go back to.</span>`}
        </p>
      `}
      ${convention && app.api.mayChange &&
        html`<p class="quiet">Nobody has declared ${name}: it is there by its image's name.
        A deploy makes it a service with revisions.</p>`}
      <${ErrorLine} error=${action.error} />
    </section>
  `;
}

/**
 * @param {object} props
 * @param {Share} props.share
 * @param {string} props.latest
 * @param {string | undefined} props.url
 * @param {boolean} props.isFixed
 * @param {boolean} props.mayTag
 * @param {(value: number) => void} props.onMove
 * @param {() => void} props.onHold
 * @param {() => void} props.onRelease
 * @param {(text: string) => void} props.onTag
 */
function ShareRow({ share, latest, url, isFixed, mayTag, onMove, onHold, onRelease, onTag }) {
  const { percent, revision, tag } = share;
  const isLatest = revision === "latest";
  const read = (/** @type {any} */ event) => onMove(event.target.valueAsNumber || 0);
  return html`
    <li>
      <span class="revision">${revision}${isLatest && html`<span class="quiet"> ${latest}</span>`}</span>
      ${url !== undefined && html`
        <a class=${mayTag ? "open" : "tag"} href=${url} title=${url}>${mayTag ? `open ${tag}` : tag}</a>
      `}
      ${mayTag && html`
        <input class="tag-name" value=${tag} placeholder="tag" aria-label=${`Tag of ${revision}`}
          onInput=${(/** @type {any} */ event) => onTag(event.target.value)} />
      `}
      <span class="percent">
        ${isFixed ? html`<span>${percent}</span>` : html`
          <input type="number" min="0" max="100" value=${percent}
            aria-label=${`Percent of ${revision}`} onChange=${read} />
        `}%
      </span>
      <input type="range" min="0" max="100" value=${percent} disabled=${isFixed} aria-label=${`Share of ${revision}`}
        aria-valuetext=${`${percent}%`} onInput=${read} onPointerDown=${onHold} onPointerUp=${onRelease}
        onKeyDown=${onRelease} />
    </li>
  `;
}
