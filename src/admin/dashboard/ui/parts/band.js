// @ts-check
/// <reference lib="dom" />
import { useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import {
  BAND_HEIGHT,
  bandPaths,
  bandText,
  deployTicks,
  marksOf,
  markText,
  nearestMark,
  spellsBetween,
  wakeDots,
} from "../model/timeline.js";
import { clauseOf, clockText } from "../model/format.js";
import { serviceHash } from "../model/route.js";

/** @import { Mark, Timeline } from "../model/timeline.js" */

/** How near the pointer must be to a wake, px: dots are smaller than anybody can hit. */
const REACH_PX = 12;
/** A finger is less exact. */
const TOUCH_REACH_PX = 22;
const HOWS = /** @type {const} */ (["resume", "hibernated", "cold"]);

/**
 * What a service did in the last hours, as a band. Pointing at a wake, or walking through them by the arrow keys, tells
 * who woke it.
 *
 * @param {object} props
 * @param {string} props.name
 * @param {Timeline | undefined} props.timeline
 * @param {number} props.from ms since 1970
 * @param {number} props.to ms since 1970
 * @param {(tip: Tip | undefined) => void} props.onTip
 */
export function Band({ name, timeline, from, to, onTip }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [chosen, setChosen] = useState(-1);
  const drawing = useMemo(() => timeline && drawingOf(timeline, from, to), [timeline, from, to]);
  const marks = useMemo(() => timeline ? marksOf(timeline, from) : [], [timeline, from]);
  const text = useMemo(() => timeline ? bandText(timeline, from, to) : "", [timeline, from, to]);
  if (timeline === undefined) return html`<div class="band"></div>`;

  const width = (to - from) / 60_000;
  const show = (/** @type {number} */ at, /** @type {number} */ x, /** @type {string[]} */ lines) => {
    const { left, top, width: shown } = /** @type {HTMLElement} */ (box.current).getBoundingClientRect();
    setChosen(at);
    onTip({ x: left + x / width * shown, y: top, lines });
  };
  const hide = () => {
    setChosen(-1);
    onTip(undefined);
  };
  const point = (/** @type {PointerEvent} */ event) => {
    const { left, width: shown } = /** @type {HTMLElement} */ (box.current).getBoundingClientRect();
    const x = (event.clientX - left) / shown * width;
    const reach = event.pointerType === "touch" ? TOUCH_REACH_PX : REACH_PX;
    const mark = nearestMark(marks, x, reach / shown * width);
    if (mark !== undefined) return show(marks.indexOf(mark), mark.x, markText(mark));
    show(-1, x, spellLines(timeline, from, to, from + x * 60_000));
  };
  const follow = () => {
    const mark = marks[chosen];
    if (mark !== undefined) location.hash = serviceHash(name, mark.wake === undefined ? "history" : "wakes");
  };
  // A finger that is lifted leaves too, and there is no pointing without a tap: the text stays until the next one.
  const leave = (/** @type {PointerEvent} */ { pointerType }) => {
    if (pointerType !== "touch") hide();
  };
  const click = (/** @type {any} */ { pointerType }) => {
    if (pointerType !== "touch") follow();
  };
  const walk = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") return follow();
    if (event.key === "Escape") return hide();
    const last = marks.length - 1;
    const present = chosen === -1 ? last + 1 : chosen;
    const next = { ArrowLeft: present - 1, ArrowRight: present + 1, Home: 0, End: last }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    const at = Math.min(last, Math.max(0, next));
    const mark = /** @type {Mark} */ (marks[at]);
    show(at, mark.x, markText(mark));
  };

  const mark = marks[chosen];
  const label = `${name}, the last ${Math.round((to - from) / 3_600_000)} hours: ${text}`;
  const access = marks.length === 0 ? { role: "img", "aria-label": label } : {
    ...{ role: "slider", tabindex: 0, "aria-label": `${label}; arrow keys go through them, and Enter leads to more` },
    ...{ "aria-valuemin": 0, "aria-valuemax": marks.length, "aria-valuenow": chosen + 1 },
    "aria-valuetext": mark === undefined ? "none chosen" : markText(mark).join(", "),
  };
  return html`
    <div class=${`band${mark === undefined ? "" : " marked"}`} ref=${box} ...${access} onPointerMove=${point}
      onPointerDown=${point} onPointerLeave=${leave} onPointerCancel=${hide} onClick=${click}
      onKeyDown=${walk} onBlur=${hide}>
      <svg viewBox="0 0 ${width} ${BAND_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
        ${drawing}
        ${mark && html`<path class="cursor" d="M${mark.x} 0V${BAND_HEIGHT}" />`}
      </svg>
    </div>
  `;
}

/** @typedef {{ x: number, y: number, lines: string[] }} Tip */

/**
 * What is told about the place that is pointed at.
 *
 * @param {{ tip: Tip | undefined }} props
 */
export function TipBox({ tip }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const place = (/** @type {HTMLElement | null} */ element) => {
    box.current = element;
    if (element === null || tip === undefined) return;
    const { offsetWidth, offsetHeight } = element;
    const left = Math.max(8, Math.min(tip.x - offsetWidth / 2, document.documentElement.clientWidth - offsetWidth - 8));
    const above = tip.y - offsetHeight - 8;
    element.style.left = `${left}px`;
    element.style.top = `${above < 8 ? tip.y + 36 : above}px`;
  };
  if (tip === undefined) return null;
  const [first, ...rest] = tip.lines;
  return html`
    <div class="tip" aria-hidden="true" ref=${place}>
      <strong>${first}</strong>${rest.map((line) => html`<span>${line}</span>`)}
    </div>
  `;
}

/**
 * @param {Timeline} timeline
 * @param {number} from
 * @param {number} to
 */
function drawingOf({ spells, deploys, wakes }, from, to) {
  return html`
    ${bandPaths(spells, from, to).map(({ state, path }) => html`<path class=${`spell ${state}`} d=${path} />`)}
    <path class="deploy" d=${deployTicks(deploys, true, from)} />
    <path class="deploy failed" d=${deployTicks(deploys, false, from)} />
    ${HOWS.map((how) => html`<path class=${`wake ${how}`} d=${wakeDots(wakes, how, from)} />`)}
  `;
}

/**
 * What the service did at a time.
 *
 * @param {Timeline} timeline
 * @param {number} from
 * @param {number} to
 * @param {number} at ms since 1970
 */
function spellLines(timeline, from, to, at) {
  const spell = spellsBetween(timeline.spells, from, to).find((spell) => spell.from <= at && at < spell.to);
  if (spell === undefined) return [clockText(at)];
  const end = spell.to >= to ? "now" : clockText(spell.to);
  return [
    `${spell.state}, ${clockText(spell.from)} – ${end}`,
    ...(spell.state === "unknown" ? ["cless was not running"] : []),
    ...(spell.failure === undefined ? [] : [clauseOf(spell.failure)]),
  ];
}
