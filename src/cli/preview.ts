import type { DeployPreview } from "../control/records.ts";
import { splitText } from "./text.ts";

/** What stands before the name of a service that is created, changed, left as it is, or deleted. */
export const MARKS = { create: "+", update: "~", none: "=", delete: "-" } as const;

/** Writes what a deploy would change: `~ shop  env, image; domains - → a.example`. */
export function previewLine(name: string, preview: DeployPreview, width = name.length): string {
  return `${MARKS[preview.change]} ${name.padEnd(width)}  ${previewText(preview)}`.trimEnd();
}

/** Writes what a deploy would change; an empty text if nothing. */
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

/** What fields are called that are not written in a template. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  imageId: "content of the image",
  secretVersions: "values of secrets",
};

/** Lists the changed fields of a template. */
export function fieldsText(changed: readonly string[]): string {
  // A change of the image implies one of its content.
  return changed.filter((field) => field !== "imageId" || !changed.includes("image"))
    .map((field) => FIELD_NAMES[field] ?? field).join(", ");
}

/** Writes a change of how many old revisions are kept; an empty text if there is none. */
export function historyDifference(before: number | undefined, after: number | undefined): string {
  const text = difference("keeps", String(before ?? "-"), String(after ?? "-"));
  return text === "" ? "" : `${text} old revisions`;
}

/** Writes a change: `WHAT BEFORE → AFTER`; an empty text if there is none. */
export function difference(what: string, before: string, after: string): string {
  return before === after ? "" : `${what} ${before} → ${after}`.trimStart();
}
