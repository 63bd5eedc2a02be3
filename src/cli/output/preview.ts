import type { Preview } from "../../control/apply.ts";
import { changedFields } from "./changed_fields.ts";
import { saidTraffic } from "./traffic_text.ts";

/** What a deploy would change, as the admin API shows it. */
export type PreviewJson = Preview;

/** What stands before the name of a service that is made, changed, left as it is, or deleted. */
export const MARKS = { create: "+", update: "~", none: "=", delete: "-" } as const;

/** What would become of a service: `~ shop  env, image; domains - → a.example`. */
export function previewLine(name: string, preview: PreviewJson, width = name.length): string {
  return `${MARKS[preview.change]} ${name.padEnd(width)}  ${previewText(preview)}`.trimEnd();
}

/** What would change, in short; nothing where nothing does. */
export function previewText({ change, changed, pull, traffic, domains }: PreviewJson): string {
  if (change === "none") return pull ? "the image is pulled to see if it has changed" : "";
  if (change === "create") return "create";
  const changes = [
    changedFields(changed),
    difference("traffic", saidTraffic(traffic.before), saidTraffic(traffic.after)),
    difference("domains", domains.before.join(", ") || "-", domains.after.join(", ") || "-"),
  ];
  return changes.filter((text) => text !== "").join("; ") || "what declares it, what it keeps, or how it wakes";
}

/** What was and what is, where they differ. */
export function difference(what: string, before: string, after: string): string {
  return before === after ? "" : `${what} ${before} → ${after}`;
}
