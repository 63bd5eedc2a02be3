import type { EventLog } from "../control/events.ts";
import { type DeclaredService, namesOf } from "../control/declared_services.ts";
import type { HistoryEntry, ServiceChange, ServiceRecord } from "../control/records.ts";
import { resolveTraffic } from "../model/traffic.ts";
import { changedSettings } from "./deploy_plan.ts";
import { sameTraffic } from "./next_traffic.ts";

/** What of a change its events tell. */
type ToldChange =
  & Pick<ServiceChange, "service" | "addRevision" | "removeRevisions">
  & { readonly history: Pick<HistoryEntry, "after"> };

/** Emits the events of a change that was committed. @param before The service before it; `undefined` for a new one. */
export function emitChange(
  events: Pick<EventLog, "emit">,
  before: ServiceRecord | undefined,
  { service, addRevision, removeRevisions = [], history }: ToldChange,
): void {
  const { name, latestRevision } = service;
  if (before === undefined) {
    events.emit("service.created", name, { revision: latestRevision });
  } else {
    const { changed: inTemplate = [] } = (history.after ?? {}) as { readonly changed?: string[] };
    const changed = [...inTemplate, ...changedSettings(before, service)];
    if (addRevision !== undefined || changed.length > 0) {
      events.emit("service.changed", name, { revision: latestRevision, changed });
    }
  }
  const traffic = resolveTraffic(service.traffic, latestRevision);
  const old = before === undefined ? [] : resolveTraffic(before.traffic, before.latestRevision);
  if (!sameTraffic(old, traffic)) events.emit("traffic.changed", name, { traffic });
  for (const revision of removeRevisions) events.emit("revision.deleted", name, { revision });
}

/**
 * The change that leads from one state of a service to another one: what another process has changed since.
 *
 * @param last The last entry of the service's history, if there is one.
 */
export function changeBetween(
  before: DeclaredService | undefined,
  { revisions, service }: DeclaredService,
  last: HistoryEntry | undefined,
): ToldChange {
  const known = namesOf(before?.revisions ?? []);
  const addRevision = revisions.findLast(({ name }) => !known.has(name));
  const removeRevisions = [...known.difference(namesOf(revisions))];
  const change = { service, removeRevisions, history: { after: last?.after } };
  return addRevision === undefined ? change : { ...change, addRevision };
}
