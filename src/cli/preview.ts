import type { DeployPreview } from "../control/records.ts";
import { splitText } from "./text.ts";

/** The marks of services that are created, changed, left unchanged, or deleted. */
export const MARKS = { create: "+", update: "~", none: "=", delete: "-" } as const;

/** One line about what a deploy would change: `~ shop  env, image; domains - → a.example`. */
export function previewLine(name: string, preview: DeployPreview, width = name.length): string {
  return `${MARKS[preview.change]} ${name.padEnd(width)}  ${previewText(preview)}`.trimEnd();
}

/** What a deploy would change; an empty text if nothing. */
export function previewText(
  { change, changed, pull, traffic, domains, revisionHistory, declaredBy }: DeployPreview,
): string {
  if (change === "none") return pull ? "the image is pulled to see if it has changed" : "";
  if (change === "create") return "create";
  return joined([
    fieldsText(changed),
    difference("traffic", splitText(traffic.before), splitText(traffic.after)),
    difference("domains", domains.before.join(", ") || "-", domains.after.join(", ") || "-"),
    historyDifference(revisionHistory.before, revisionHistory.after),
    difference("declared by", declaredBy.before ?? "no file", declaredBy.after ?? "no file"),
  ]) || "update";
}

/** Joins texts, without the empty ones. */
export function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("; ");
}

/** The names of fields that are not in a template. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  imageId: "content of the image",
  secretVersions: "values of secrets",
};

/** Lists the changed fields of a template. */
export function fieldsText(changed: readonly string[]): string {
  // A change of the image implies a change of its id.
  return changed.filter((field) => field !== "imageId" || !changed.includes("image"))
    .map((field) => FIELD_NAMES[field] ?? field).join(", ");
}

/** A change of how many old revisions are kept; an empty text if there is none. */
export function historyDifference(before: number | undefined, after: number | undefined): string {
  const text = difference("keeps", String(before ?? "-"), String(after ?? "-"));
  return text === "" ? "" : `${text} old revisions`;
}

/** A change as `WHAT BEFORE → AFTER`; an empty text if there is none. */
export function difference(what: string, before: string, after: string): string {
  return before === after ? "" : `${what} ${before} → ${after}`.trimStart();
}
