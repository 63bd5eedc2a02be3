import type { DeployPreview } from "../control/records.ts";
import type { WakeSettings } from "../model/service.ts";
import type { Traffic } from "../model/traffic.ts";
import { accessText, limitsText, type ShownAccess, type ShownLimits } from "./access_text.ts";
import { splitText } from "./text.ts";

/** The marks of services that are created, changed, or left unchanged. */
const MARKS = { create: "+", update: "~", none: "=" };

/**
 * One line about what a deploy would change: `~ shop  env, image; domains - → a.example`.
 *
 * @param show Writes a changed field of the template.
 */
export function previewLine(
  name: string,
  preview: DeployPreview,
  width = name.length,
  show: (field: string) => string = String,
): string {
  return `${MARKS[preview.change]} ${name.padEnd(width)}  ${previewText(preview, show)}`.trimEnd();
}

/** The settings whose values are part of a preview. */
const WITH_VALUES = ["domains", "revisionHistory", "declaredBy"];

function previewText(
  { change, changed, settings = [], pull, ...service }: DeployPreview,
  show: (field: string) => string,
): string {
  if (change === "none") return pull ? "the image is pulled to see if it has changed" : "";
  if (change === "create") return pull ? "create; the image is pulled first" : "create";
  const state = (when: "before" | "after"): DeclaredService => ({
    traffic: service.traffic[when],
    domains: service.domains[when],
    revisionHistory: service.revisionHistory[when],
    declaredBy: service.declaredBy[when],
  });
  const fields = [...changed, ...settings.filter((setting) => !WITH_VALUES.includes(setting))];
  return changesText(fieldsText(fields, show), state("before"), state("after")) || "update";
}

/**
 * Lists the changed fields of a template. Leaves out the image's id if the image's name has changed too.
 *
 * @param show Writes a field.
 */
export function fieldsText(changed: readonly string[], show: (field: string) => string = String): string {
  return changed.filter((field) => field !== "imageId" || !changed.includes("image")).map(show).join(", ")
    .replace("imageId", "content of the image").replace("secretVersions", "values of secrets");
}

/** The fields of a service that a deploy may change, as far as they are known. */
export interface DeclaredService {
  readonly traffic?: Traffic | undefined;
  readonly domains?: readonly string[] | undefined;
  readonly revisionHistory?: number | undefined;
  readonly declaredBy?: string | undefined;
  readonly wake?: WakeSettings | undefined;
  readonly loading?: string | undefined;
  readonly access?: ShownAccess | undefined;
  readonly limits?: ShownLimits | undefined;
  readonly maintenance?: string | undefined;
}

const FIELDS: Readonly<Record<string, (state: DeclaredService) => string>> = {
  "traffic": ({ traffic }) => Array.isArray(traffic) ? splitText(traffic) : "-",
  "domains": ({ domains }) => domains?.join(", ") || "-",
  "keeps": ({ revisionHistory }) => String(revisionHistory ?? "-"),
  "declared by": ({ declaredBy }) => declaredBy ?? "no file",
  "loading": ({ loading }) => loading ?? "hold",
  "not woken by": ({ wake: { except: { userAgents = [], paths = [] } = {} } = {} }) =>
    [...userAgents, ...paths].join(", ") || "-",
  "who may use it": ({ access }) => accessText(access),
  "without a lock": ({ access: { except = [] } = {} }) => except.join(", ") || "-",
  "limits": ({ limits }) => limitsText(limits),
  "maintenance": ({ maintenance }) => maintenance === undefined ? "-" : JSON.stringify(maintenance),
};

/** What has changed in a service, as `FIRST; FIELD BEFORE → AFTER; …`. An empty text if nothing has changed. */
export function changesText(first: string, before: DeclaredService, after: DeclaredService): string {
  const changes = Object.entries(FIELDS).flatMap(([name, read]) => {
    const change = `${name} ${read(before)} → ${read(after)}`;
    if (read(before) === read(after)) return [];
    return name === "keeps" ? `${change} old revisions` : change;
  });
  return [first, ...changes].filter((text) => text !== "").join("; ");
}
