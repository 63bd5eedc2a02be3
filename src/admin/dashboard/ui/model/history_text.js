// @ts-check
import { settingText, TITLES } from "./idle_settings.js";
import { fieldText, limitText } from "./settings.js";
import { splitText } from "./shares.js";

/** What a change has changed, in the words of `cless history`. */

/** @import { Target } from "./shares.js" */
/** @typedef {{ traffic: readonly Target[], latestRevision?: string }} Split */
/** @typedef {{ template: Record<string, any>, limits: Record<string, { value: unknown }> }} Revision */
/** @typedef {Record<string, any> | null} State */
/** @typedef {{ at: string, action: string, by: string, before: State, after: State }} Entry */

/** @type {Readonly<Record<string, (state: Record<string, any>) => string>>} */
const FIELDS = {
  "traffic": ({ traffic }) => Array.isArray(traffic) ? splitText(traffic) : "-",
  "domains": ({ domains }) => domains?.join(", ") || "-",
  "keeps": ({ revisionHistory }) => revisionHistory === undefined ? "-" : `${revisionHistory} old revisions`,
  "declared by": ({ declaredBy }) => declaredBy ?? "no file",
  "loading": ({ loading }) => loading ?? "hold",
  "not woken by": ({ wake }) => [...wake?.except?.userAgents ?? [], ...wake?.except?.paths ?? []].join(", ") || "-",
  "maintenance": ({ maintenance }) => maintenance === undefined ? "-" : JSON.stringify(maintenance),
};
/** Their values are long: only that they have changed is told. */
const OTHERS = /** @type {const} */ ({ access: "who may use it", limits: "limits" });

/**
 * @param {Pick<Entry, "before" | "after">} entry
 * @param {ReadonlyMap<string, Revision>} [revisions] Those that are still there, for the values of what has changed
 */
export function changeText({ before, after }, revisions = new Map()) {
  if (after === null) return before === null ? "-" : `${before["latestRevision"] ?? "old"} → -`;
  if (before === null) return `- → ${after["latestRevision"] ?? "new"}`;
  const { changed = [], latestRevision = "-" } = after;
  const old = before["latestRevision"] ?? "-";
  const values = changedValues(changed, revisions.get(old), revisions.get(latestRevision));
  const fields = changed.length === 0 ? "" : ` (${fieldsText(changed, values)})`;
  return [
    ...(latestRevision === old ? [] : [`${old} → ${latestRevision}${fields}`]),
    ...Object.entries(FIELDS).flatMap(([name, read]) =>
      read(before) === read(after) ? [] : [`${name} ${read(before)} → ${read(after)}`]
    ),
    ...Object.entries(OTHERS).flatMap(([field, name]) =>
      JSON.stringify(before[field]) === JSON.stringify(after[field]) ? [] : [name]
    ),
  ].join("; ") || "-";
}

/**
 * The split before a change, if it was another one and does not hold now, to go back to. After a deploy, it names the
 * revisions that answered before, without `latest`.
 *
 * @param {Pick<Entry, "before" | "after">} entry
 * @param {Split} present The service as it is now
 * @returns {readonly Target[] | undefined}
 */
export function splitBefore({ before, after }, present) {
  if (!Array.isArray(before?.["traffic"]) || !Array.isArray(after?.["traffic"])) return undefined;
  const [old, now] = [/** @type {Split} */ (before), /** @type {Split} */ (after)];
  const answered = namedText(old);
  if (answered === namedText(now) || answered === namedText(present)) return undefined;
  const split = splitText(old.traffic) === splitText(now.traffic) ? named(old) : old.traffic;
  if (splitText(split) === splitText(present.traffic)) return undefined;
  return new Set(split.map(({ revision }) => revision)).size === split.length ? split : undefined;
}

/**
 * Whether a change has changed which revisions answer requests, or their shares.
 *
 * @param {Pick<Entry, "before" | "after">} entry
 */
export function isSplitChange({ before, after }) {
  if (!Array.isArray(before?.["traffic"]) || !Array.isArray(after?.["traffic"])) return false;
  return namedText(/** @type {Split} */ (before)) !== namedText(/** @type {Split} */ (after));
}

/** @param {Split} split */
function namedText(split) {
  return named(split).filter(({ percent }) => percent > 0).map(({ percent, revision }) => `${revision} ${percent}`)
    .sort().join();
}

/** The split without `latest`. @param {Split} split */
function named({ latestRevision = "latest", traffic }) {
  return traffic.map((target) => target.revision === "latest" ? { ...target, revision: latestRevision } : target);
}

/**
 * The values of fields before and after a change: `Stop after 12 h → 1 h`. Fields whose values are long or are not told
 * to everybody are left out.
 *
 * @param {readonly string[]} changed
 * @param {Revision | undefined} before
 * @param {Revision | undefined} after
 * @returns {Map<string, string>}
 */
function changedValues(changed, before, after) {
  if (before === undefined || after === undefined) return new Map();
  return new Map(changed.flatMap((field) => {
    const [old, now] = [before, after].map(({ limits, template }) => limits[field]?.value ?? template[field]);
    if (![old, now].every((value) => ["string", "number", "boolean"].includes(typeof value))) return [];
    const text = (/** @type {unknown} */ value) =>
      Object.hasOwn(TITLES, field) ? settingText(String(value)) : limitText(field, value);
    return [[field, `${fieldText(field)} ${text(old)} → ${text(now)}`]];
  }));
}

/**
 * The changed fields of a template. The image's id is left out if the image's name has changed too.
 *
 * @param {readonly string[]} changed
 * @param {ReadonlyMap<string, string>} values
 */
function fieldsText(changed, values) {
  return changed.filter((field) => field !== "imageId" || !changed.includes("image"))
    .map((field) => values.get(field) ?? field).join(", ")
    .replace("imageId", "content of the image").replace("secretVersions", "values of secrets");
}
