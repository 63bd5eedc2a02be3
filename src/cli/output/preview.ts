import type { DeployPreview } from "../../control/records.ts";
import { changedFields } from "./changed_fields.ts";
import { saidTraffic } from "./traffic_text.ts";

/** What stands before the name of a service that is made, changed, left as it is, or deleted. */
export const MARKS = { create: "+", update: "~", none: "=", delete: "-" } as const;

/** What would become of a service: `~ shop  env, image; domains - → a.example`. */
export function previewLine(name: string, preview: DeployPreview, width = name.length): string {
  return `${MARKS[preview.change]} ${name.padEnd(width)}  ${previewText(preview)}`.trimEnd();
}

/** What would change, in short; nothing where nothing does. */
export function previewText(
  { change, changed, pull, traffic, domains, revisionHistory, declaredBy }: DeployPreview,
): string {
  if (change === "none") return pull ? "the image is pulled to see if it has changed" : "";
  if (change === "create") return "create";
  const changes = [
    changedFields(changed),
    difference("traffic", saidTraffic(traffic.before), saidTraffic(traffic.after)),
    difference("domains", domains.before.join(", ") || "-", domains.after.join(", ") || "-"),
    keptDifference(revisionHistory.before, revisionHistory.after),
    difference("declared by", declaredBy.before ?? "no file", declaredBy.after ?? "no file"),
  ];
  return changes.filter((text) => text !== "").join("; ") || "update";
}

/** How many old revisions were kept and are, where that differs. */
export function keptDifference(before: number | undefined, after: number | undefined): string {
  const text = difference("keeps", String(before ?? "-"), String(after ?? "-"));
  return text === "" ? "" : `${text} old revisions`;
}

/** What was and what is, where they differ. */
export function difference(what: string, before: string, after: string): string {
  return before === after ? "" : `${what} ${before} → ${after}`;
}
