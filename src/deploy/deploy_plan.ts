import { type RevisionTemplate, templateText } from "../model/template.ts";
import { OPEN, UNLIMITED } from "../model/access.ts";
import { EVERYBODY_WAKES } from "../model/service.ts";
import type { DeployPreview, RevisionRecord, ServiceChange, ServiceFields, ServiceRecord } from "../control/records.ts";
import { historyOf } from "../control/history.ts";
import { type DeclaredService, namesOf, prunable, revisionName } from "../control/declared_services.ts";
import { previousAfter, sameTraffic, trafficAfter, type TrafficRequest } from "./next_traffic.ts";

/** The settings of a new service. */
const DEFAULTS: ServiceFields = {
  domains: [],
  revisionHistory: 20,
  wake: EVERYBODY_WAKES,
  loading: "hold",
  access: OPEN,
  limits: UNLIMITED,
  maintenance: "",
};
/** The fields of a service that a deploy may change without a new revision, besides its traffic. */
const SETTINGS = [...Object.keys(DEFAULTS) as (keyof ServiceFields)[], "declaredBy"] as const;

/** What a revision consists of. If it differs from the latest revision, a deploy makes a new one. */
export type Content = Pick<RevisionRecord, "template" | "imageId" | "imageDigest" | "pulled" | "secretVersions">;

/** What a deploy asks for, besides the content of the revision. */
export interface DeployWish extends TrafficRequest {
  readonly service: Partial<ServiceFields>;
}

/** What a plan depends on, besides the wish. */
export interface DeployContext {
  readonly name: string;
  /** The service before the deploy; `undefined` if there is none. */
  readonly state: DeclaredService | undefined;
  /** The highest generation and revision number that the service has ever had. */
  readonly last: { readonly generation: number; readonly lastNumber: number };
  /** The number for a new revision, which no other one has. */
  readonly number: number;
  readonly at: number;
  readonly by: string;
  /** The file that declares it; `undefined` to leave `declaredBy` unchanged. */
  readonly declaredBy: string | undefined;
  /** Whether to make a new revision even if nothing has changed. */
  readonly renew: boolean;
}

/** What a deploy changes. */
export interface DeployPlan {
  /** The latest revision after the deploy. */
  readonly revision: RevisionRecord;
  /** The change to commit; `undefined` if nothing changes. */
  readonly change: ServiceChange | undefined;
  /** The names of the fields in which a new revision differs from the latest. */
  readonly changed: readonly string[];
}

/** Decides what a deploy changes. @throws {TrafficError} If the traffic that it asks for is impossible. */
export function planDeploy(context: DeployContext, content: Content, wish: DeployWish): DeployPlan {
  const { name, state, last, at, by } = context;
  const latest = state?.revisions.find((revision) => revision.name === state.service.latestRevision);
  const isNew = latest === undefined || context.renew || !isSame(latest, content);
  // Another process may have committed a revision with a higher number meanwhile.
  const lastNumber = isNew ? Math.max(context.number, last.lastNumber) : last.lastNumber;
  const revision = isNew
    ? { name: revisionName(name, context.number), service: name, ...content, older: false, createdAt: at }
    : latest;
  const revisions = isNew ? [...state?.revisions ?? [], revision] : state?.revisions ?? [];
  const before = state?.service;
  const traffic = trafficAfter(before, namesOf(revisions), revision.name, wish);
  const service: ServiceRecord = {
    ...before ?? { name, ...DEFAULTS, createdAt: at },
    ...wish.service,
    traffic,
    previousTraffic: before === undefined ? [] : previousAfter(before, traffic, revision.name),
    latestRevision: revision.name,
    lastNumber,
    generation: last.generation + 1,
    declaredBy: context.declaredBy ?? before?.declaredBy,
    updatedAt: at,
  };
  const changed = isNew && latest !== undefined ? changedFields(latest, content) : [];
  if (!isNew && before !== undefined && isUnchanged(before, service)) return { revision, change: undefined, changed };
  return {
    revision,
    changed,
    change: {
      service,
      expectedGeneration: before?.generation,
      ...(isNew ? { addRevision: revision } : {}),
      removeRevisions: prunable(service, revisions),
      history: {
        at,
        service: name,
        action: "deploy",
        by,
        before: before && historyOf(before),
        after: {
          ...historyOf(service),
          changed,
          settings: before === undefined ? [] : changedSettings(before, service),
        },
      },
    },
  };
}

function isSame(revision: RevisionRecord, content: Content): boolean {
  return revision.imageId === content.imageId &&
    templateText(revision.template) === templateText(content.template) &&
    versionsText(revision) === versionsText(content);
}

function isUnchanged(before: ServiceRecord, after: ServiceRecord): boolean {
  return sameTraffic(before.traffic, after.traffic) && changedSettings(before, after).length === 0;
}

/** The names of the service's settings that differ, apart from its traffic. */
export function changedSettings(before: ServiceRecord, after: ServiceRecord): string[] {
  return SETTINGS.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
}

/** The names of the fields that differ. No values, since the history must not contain those of variables. */
function changedFields(before: Content, after: Content): string[] {
  const fields = new Set([...Object.keys(before.template), ...Object.keys(after.template)]);
  const changed = [...fields].filter((field) => fieldText(before.template, field) !== fieldText(after.template, field));
  if (before.imageId !== after.imageId) changed.push("imageId");
  if (versionsText(before) !== versionsText(after)) changed.push("secretVersions");
  return changed;
}

function fieldText(template: RevisionTemplate, field: string): string | undefined {
  const value = template[field as keyof RevisionTemplate];
  return value === Infinity ? "never" : JSON.stringify(value);
}

function versionsText({ secretVersions }: Content): string {
  return JSON.stringify(Object.entries(secretVersions).sort(([a], [b]) => a < b ? -1 : 1));
}

/** The preview of a plan. @param before The service before the deploy; `undefined` if there is none. */
export function previewOf(before: ServiceRecord | undefined, plan: DeployPlan, pull: boolean): DeployPreview {
  const { change, changed, revision } = plan;
  const after = change?.service ?? before;
  return {
    change: change === undefined ? "none" : before === undefined ? "create" : "update",
    revision: change?.addRevision === undefined ? undefined : revision.name,
    changed,
    settings: before === undefined || after === undefined ? [] : changedSettings(before, after),
    pull,
    traffic: { before: before?.traffic ?? [], after: after?.traffic ?? [] },
    domains: { before: before?.domains ?? [], after: after?.domains ?? [] },
    revisionHistory: { before: before?.revisionHistory, after: after?.revisionHistory },
    declaredBy: { before: before?.declaredBy, after: after?.declaredBy },
  };
}
