import type { Traffic } from "../../model/traffic.ts";
import type { WakeSettings } from "../../model/waking.ts";
import type { HistoryJson } from "../api_types.ts";
import { changedFields } from "../output/changed_fields.ts";
import { difference, keptDifference } from "../output/preview.ts";
import { plainText } from "../output/table.ts";
import { saidTraffic } from "../output/traffic_text.ts";

/** What history says of a service; which of it there is depends on the action. */
interface State {
  readonly latestRevision?: string;
  readonly traffic?: Traffic;
  readonly domains?: readonly string[];
  readonly revisionHistory?: number;
  readonly declaredBy?: string;
  readonly wake?: WakeSettings;
  readonly loading?: string;
  /** The fields of the template that a deploy has changed. */
  readonly changed?: readonly string[];
}

/** What a change has changed, `old → new`, in short. */
export function changeText({ before, after }: HistoryJson): string {
  const [old, now] = [stateOf(before), stateOf(after)];
  if (old === undefined || now === undefined) return plainText(oneSide(old, now));
  const { changed = [] } = now;
  const fields = changed.length > 0 ? ` (${changedFields(changed)})` : "";
  const revision = difference("", old.latestRevision ?? "-", now.latestRevision ?? "-").trim();
  const changes = [
    revision === "" ? "" : revision + fields,
    difference("traffic", trafficOf(old), trafficOf(now)),
    difference("domains", domainsOf(old), domainsOf(now)),
    keptDifference(old.revisionHistory, now.revisionHistory),
    difference("declared by", old.declaredBy ?? "no file", now.declaredBy ?? "no file"),
    difference("loading", old.loading ?? "hold", now.loading ?? "hold"),
    difference("not woken by", exceptionsOf(old), exceptionsOf(now)),
  ];
  return plainText(changes.filter((text) => text !== "").join("; ")) || "-";
}

function oneSide(old: State | undefined, now: State | undefined): string {
  if (now !== undefined) return ["-", now.latestRevision ?? "new"].join(" → ");
  return old === undefined ? "-" : [old.latestRevision ?? "old", "-"].join(" → ");
}

function trafficOf({ traffic }: State): string {
  return Array.isArray(traffic) ? saidTraffic(traffic) : "-";
}

function domainsOf({ domains = [] }: State): string {
  return domains.join(", ") || "-";
}

function exceptionsOf({ wake }: State): string {
  const { userAgents = [], paths = [] } = wake?.except ?? {};
  return [...userAgents, ...paths].join(", ") || "-";
}

function stateOf(value: unknown): State | undefined {
  return typeof value === "object" && value !== null ? value : undefined;
}
