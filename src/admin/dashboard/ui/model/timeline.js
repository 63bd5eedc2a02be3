// @ts-check
import { clockText, countText, durationText, spanText } from "./format.js";

/**
 * Lays out what a service did in the last hours. A band is drawn in its own units: a minute is 1 wide, whatever the
 * width on the page.
 */

/** @typedef {{ state: string, from: string, failure?: string }} Spell */
/** @typedef {{ at: string, outcome: string, revision?: string, by: string }} Deploy */
/**
 * @typedef {object} WakeCause
 * @property {"request" | "operator" | "deploy" | "minimum" | "unknown"} kind
 * @property {string} [name]
 * @property {string} [method]
 * @property {string} [host]
 * @property {string} [path]
 * @property {string} [network]
 * @property {string} [userAgent]
 * @property {boolean} [robot]
 */
/** @typedef {{ at: string, revision: string, how: "cold" | "resume" | "hibernated", ms: number, by: WakeCause }} Wake */
/** @typedef {{ service: string, from: string, spells: Spell[], deploys: Deploy[], wakes: Wake[] }} Timeline */
/** @typedef {{ at: number, x: number, wake?: Wake, deploy?: Deploy }} Mark */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** How high a band is, with the strip for the wakes at its top. */
export const BAND_HEIGHT = 24;
/** How high each state is, from the bottom: the more wakeful, the higher, so that colours are not needed to tell. */
const HEIGHTS = {
  ready: 15,
  deploying: 15,
  starting: 15,
  failing: 15,
  paused: 9,
  hibernated: 5,
  asleep: 1,
  unknown: 1,
};
/** What would be too narrow to see is this wide, minutes. */
const MIN_WIDTHS = { ready: 2, deploying: 3, starting: 1, failing: 4, paused: 0, hibernated: 0, asleep: 0, unknown: 0 };

/** The states in the order in which they are drawn: what matters most is on top. */
export const BAND_STATES = /** @type {(keyof typeof HEIGHTS)[]} */ ([
  ...["unknown", "asleep", "hibernated", "paused", "ready", "starting", "deploying", "failing"],
]);

/**
 * The spells with their ends, from the beginning of the window on.
 *
 * @param {readonly Spell[]} spells
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 */
export function spellsBetween(spells, from, to) {
  return spells.map(({ state, from: begin, failure }, at) => {
    const next = spells[at + 1];
    const end = next === undefined ? to : Date.parse(next.from);
    return { state, failure, from: Math.max(from, Date.parse(begin)), to: Math.min(to, end) };
  }).filter((spell) => spell.to > spell.from);
}

/**
 * The timelines after a change of a service's state.
 *
 * @param {readonly Timeline[]} timelines
 * @param {Record<string, any>} change The data of an event `service.state`
 * @returns {Timeline[]}
 */
export function withSpell(timelines, { service, state, failure, at }) {
  return timelines.map((one) => {
    if (one.service !== service || one.spells.at(-1)?.state === state) return one;
    return { ...one, spells: [...one.spells, { state, from: at, ...(failure === undefined ? {} : { failure }) }] };
  });
}

/**
 * An SVG path for each state that occurs.
 *
 * @param {readonly Spell[]} spells
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 * @returns {{ state: string, path: string }[]}
 */
export function bandPaths(spells, from, to) {
  /** @type {Map<string, string[]>} */
  const byState = new Map();
  const right = minutes(to - from);
  for (const spell of spellsBetween(spells, from, to)) {
    const state = stateOf(spell.state);
    const left = minutes(spell.from - from);
    const width = Math.max(minutes(spell.to - spell.from), MIN_WIDTHS[state]);
    const end = Math.min(right, left + width);
    const pieces = byState.get(state) ?? [];
    pieces.push(`M${short(left)} ${BAND_HEIGHT}v-${HEIGHTS[state]}H${short(end)}v${HEIGHTS[state]}z`);
    byState.set(state, pieces);
  }
  return BAND_STATES.flatMap((state) => {
    const pieces = byState.get(state);
    return pieces === undefined ? [] : [{ state, path: pieces.join("") }];
  });
}

/**
 * The dots of wakes of one kind as a path: lines without length, which round caps make dots.
 *
 * @param {readonly Wake[]} wakes
 * @param {Wake["how"]} how
 * @param {number} from ms since 1970
 */
export function wakeDots(wakes, how, from) {
  return wakes.filter((wake) => wake.how === how && Date.parse(wake.at) >= from)
    .map(({ at }) => `M${short(minutes(Date.parse(at) - from))} 4h0`).join("");
}

/**
 * The ticks of deploys as a path.
 *
 * @param {readonly Deploy[]} deploys
 * @param {boolean} worked Whether those that worked, or the others
 * @param {number} from ms since 1970
 */
export function deployTicks(deploys, worked, from) {
  return deploys.filter(({ at, outcome }) => (outcome === "deployed") === worked && Date.parse(at) >= from)
    .map(({ at }) => `M${short(minutes(Date.parse(at) - from))} 1V${BAND_HEIGHT}`).join("");
}

/**
 * All wakes and deploys of the window, oldest first, with their places in the band.
 *
 * @param {Pick<Timeline, "wakes" | "deploys">} timeline
 * @param {number} from ms since 1970
 * @returns {Mark[]}
 */
export function marksOf({ wakes, deploys }, from) {
  const place = (/** @type {string} */ at) => ({ at: Date.parse(at), x: minutes(Date.parse(at) - from) });
  return [
    ...wakes.map((wake) => ({ ...place(wake.at), wake })),
    ...deploys.map((deploy) => ({ ...place(deploy.at), deploy })),
  ].filter(({ x }) => x >= 0).sort((a, b) => a.at - b.at);
}

/**
 * The mark next to a place; `undefined` if none is near. Of two, a deploy or a cold start is easier to hit: there are
 * fewer of them.
 *
 * @param {readonly Mark[]} marks
 * @param {number} x minutes from the left
 * @param {number} reach minutes
 */
export function nearestMark(marks, x, reach) {
  const distance = (/** @type {Mark} */ mark) =>
    Math.abs(mark.x - x) - (mark.deploy !== undefined ? reach / 2 : mark.wake?.how === "cold" ? reach / 4 : 0);
  const near = marks.filter((mark) => Math.abs(mark.x - x) <= reach);
  return near.length === 0 ? undefined : near.reduce((best, mark) => distance(mark) <= distance(best) ? mark : best);
}

/**
 * What a wake or a deploy was, in two lines.
 *
 * @param {Mark} mark
 * @returns {[what: string, who: string]}
 */
export function markText({ at, wake, deploy }) {
  const time = clockText(at, true);
  if (wake !== undefined) return [`${time} · ${howText(wake.how)}, ${durationText(wake.ms)}`, causeText(wake.by)];
  if (deploy === undefined) return [time, ""];
  const { outcome, revision } = deploy;
  const what = outcome === "deployed" ? `${revision ?? "a deploy"} deployed` : `deploy ${outcome}`;
  return [`${time} · ${what}`, `by ${deploy.by}${outcome !== "deployed" && revision ? `, ${revision}` : ""}`];
}

/**
 * From what an instance woke.
 *
 * @param {Wake["how"]} how
 */
export function howText(how) {
  return { cold: "cold start", resume: "woke from paused", hibernated: "woke from hibernated" }[how];
}

/**
 * Who woke an instance.
 *
 * @param {WakeCause} by
 */
export function causeText(by) {
  switch (by.kind) {
    case "request": {
      const { method, path, host = "", network, userAgent, robot } = by;
      const what = path === undefined ? `${method ?? ""} ${host}` : `${method ?? ""} ${path}`;
      const who = [network === undefined ? "" : `from ${network}`, robot ? `(robot: ${userAgent})` : userAgent ?? ""];
      return [what.trim() || "a request", ...who].filter((text) => text !== "").join(" ");
    }
    case "operator":
      return `woken by ${by.name ?? "an operator"}`;
    case "deploy":
      return "for a deploy";
    case "minimum":
      return "without a request: minInstances, or more load";
    default:
      return "nobody knows who";
  }
}

/**
 * The band in words, for those who cannot see it: `ready 3 h 10 min, asleep 20 h 50 min; 4 wakes`.
 *
 * @param {Timeline} timeline
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 */
export function bandText({ spells, wakes, deploys }, from, to) {
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const spell of spellsBetween(spells, from, to)) {
    totals.set(spell.state, (totals.get(spell.state) ?? 0) + spell.to - spell.from);
  }
  const lengths = [...totals].sort(([, a], [, b]) => b - a).map(([state, ms]) => `${state} ${spanText(ms)}`);
  const since = (/** @type {{ at: string }} */ { at }) => Date.parse(at) >= from;
  const failed = deploys.filter(since).filter(({ outcome }) => outcome !== "deployed").length;
  const worked = deploys.filter(since).length - failed;
  return [
    lengths.join(", "),
    countText(wakes.filter(since).length, "wake"),
    ...(worked > 0 ? [countText(worked, "deploy")] : []),
    ...(failed > 0 ? [countText(failed, "failed deploy")] : []),
  ].join("; ");
}

/**
 * The hours at which the axis has a label, as far from the left as in a band. There is none next to its end, where it
 * would be in the way of "now", and stand out of a narrow page.
 *
 * @param {number} from ms since 1970
 * @param {number} to ms since 1970
 * @param {number} every hours
 * @returns {{ x: number, text: string }[]}
 */
export function axisLabels(from, to, every) {
  const first = new Date(from);
  first.setHours(Math.floor(first.getHours() / every) * every, 0, 0, 0);
  const labels = [];
  for (let at = first.getTime(); at <= to - END_MS; at += HOUR_MS) {
    const isWhole = new Date(at).getHours() % every === 0;
    if (isWhole && at >= from) labels.push({ x: minutes(at - from), text: clockText(at) });
  }
  return labels;
}

const END_MS = 1.25 * HOUR_MS;

/** @param {string} state A state of a later version is drawn as unknown */
function stateOf(state) {
  return state in HEIGHTS ? /** @type {keyof typeof HEIGHTS} */ (state) : "unknown";
}

/** @param {number} ms */
function minutes(ms) {
  return ms / MINUTE_MS;
}

/** @param {number} value */
function short(value) {
  return Math.round(value * 10) / 10;
}
