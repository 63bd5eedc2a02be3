import { defined } from "../model/defined.ts";
import { isOpen, isUnlimited } from "../model/access.ts";
import type { HistoryEntry, ServiceRecord } from "./records.ts";

/** History is kept for this many days. */
export const HISTORY_DAYS = 90;

/**
 * What the audit log stores of a service: enough to see what changed, but nothing that containers get, and no hashes of
 * passwords.
 */
export function historyOf(service: ServiceRecord): Record<string, unknown> {
  const { generation, lastNumber, latestRevision, traffic, domains, revisionHistory, wake, loading } = service;
  const { access, declaredBy, limits, maintenance } = service;
  return defined({
    ...{ generation, lastNumber, latestRevision, traffic, domains, revisionHistory, wake, loading, declaredBy },
    access: isOpen(access) ? undefined : { ...access, basic: Object.keys(access.basic) },
    limits: isUnlimited(limits) ? undefined : limits,
    maintenance: maintenance || undefined,
  });
}

/** The highest generation and revision number in a service's history; 0 if there are none. */
export function lastNumbers(history: readonly HistoryEntry[]): { generation: number; lastNumber: number } {
  const highest = (key: string) =>
    Math.max(0, ...history.flatMap(({ before, after }) => [numberIn(before, key), numberIn(after, key)]));
  return { generation: highest("generation"), lastNumber: highest("lastNumber") };
}

function numberIn(value: unknown, key: string): number {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "number" ? found : 0;
}
