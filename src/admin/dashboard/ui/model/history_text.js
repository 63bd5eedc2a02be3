// @ts-check
import { splitText } from "./shares.js";

/** What a change has changed, in the words of `cless history`. */

/** @import { Target } from "./shares.js" */
/** @typedef {{ traffic: readonly Target[], latestRevision?: string }} Split */
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
 */
export function changeText({ before, after }) {
  if (after === null) return before === null ? "-" : `${before["latestRevision"] ?? "old"} → -`;
  if (before === null) return `- → ${after["latestRevision"] ?? "new"}`;
  const { changed = [], latestRevision = "-" } = after;
  const fields = changed.length === 0 ? "" : ` (${fieldsText(changed)})`;
  const old = before["latestRevision"] ?? "-";
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
 * The changed fields of a template. The image's id is left out if the image's name has changed too.
 *
 * @param {readonly string[]} changed
 */
function fieldsText(changed) {
  return changed.filter((field) => field !== "imageId" || !changed.includes("image")).join(", ")
    .replace("imageId", "content of the image").replace("secretVersions", "values of secrets");
}
