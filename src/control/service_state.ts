import { resolveTraffic } from "../model/traffic.ts";
import type { HistoryEntry, RevisionRecord, ServiceRecord } from "./records.ts";

/** A service with its revisions, oldest first; never changed, only replaced. */
export interface ServiceState {
  readonly service: ServiceRecord;
  readonly revisions: readonly RevisionRecord[];
}

/** The name of a service's revision. */
export function revisionName(service: string, number: number): string {
  return `${service}-${String(number).padStart(5, "0")}`;
}

/** The names of revisions. */
export function namesOf(revisions: readonly RevisionRecord[]): Set<string> {
  return new Set(revisions.map(({ name }) => name));
}

/** The revisions that the traffic of a service names, with a share or a tag. */
export function inTraffic({ traffic, latestRevision }: ServiceRecord): Set<string> {
  return new Set(resolveTraffic(traffic, latestRevision).map(({ revision }) => revision));
}

/** The names of the revisions that requests can reach, by their share or their tag. */
export function reachable({ traffic, latestRevision }: ServiceRecord): Set<string> {
  const parts = resolveTraffic(traffic, latestRevision).filter(({ percent, tag }) => percent > 0 || tag !== undefined);
  return new Set(parts.map(({ revision }) => revision));
}

/**
 * The names of the revisions beyond the newest `revisionHistory` of those without traffic or tag. One that is the latest
 * or in the split before stays all the same: a rollback needs it.
 */
export function prunable(service: ServiceRecord, revisions: readonly RevisionRecord[]): string[] {
  const used = inTraffic(service);
  const idle = revisions.map(({ name }) => name).filter((name) => !used.has(name));
  const kept = new Set([service.latestRevision, ...service.previousTraffic.map(({ revision }) => revision)]);
  return idle.slice(0, Math.max(0, idle.length - service.revisionHistory)).filter((name) => !kept.has(name));
}

/** What history says of a service: enough to see what a change did, and nothing of what its containers get. */
export function historyOf(service: ServiceRecord): Record<string, unknown> {
  const { declaredBy, domains, generation, lastNumber, latestRevision, revisionHistory, traffic } = service;
  const { wake, loading } = service;
  const declared = declaredBy === undefined ? {} : { declaredBy };
  return { generation, lastNumber, latestRevision, traffic, domains, revisionHistory, wake, loading, ...declared };
}

/** The highest numbers that a service had, as far as history knows; 0 where it knows nothing. */
export function lastNumbers(history: readonly HistoryEntry[]): { generation: number; lastNumber: number } {
  const highest = (key: string) =>
    Math.max(0, ...history.flatMap(({ before, after }) => [numberIn(before, key), numberIn(after, key)]));
  return { generation: highest("generation"), lastNumber: highest("lastNumber") };
}

function numberIn(value: unknown, key: string): number {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "number" ? found : 0;
}
