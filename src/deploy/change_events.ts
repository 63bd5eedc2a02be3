import { resolveTraffic } from "../model/traffic.ts";
import type { Emit } from "../control/events/emit.ts";
import type { ServiceChange, ServiceRecord } from "../control/records.ts";
import { sameTraffic } from "./traffic_change.ts";

/**
 * Tells of a change that is kept and published.
 *
 * @param before The service until then; `undefined` where there was none.
 */
export function tellOf(emit: Emit, before: ServiceRecord | undefined, change: ServiceChange): void {
  const { service, addRevision, removeRevisions = [] } = change;
  const { name, latestRevision } = service;
  if (before === undefined) {
    emit("service.created", name, { revision: latestRevision });
  } else {
    const changed = [...fieldsOf(change), ...changedFields(before, service)];
    if (addRevision !== undefined || changed.length > 0) {
      emit("service.changed", name, { revision: latestRevision, changed });
    }
  }
  const traffic = resolveTraffic(service.traffic, latestRevision);
  const old = before === undefined ? [] : resolveTraffic(before.traffic, before.latestRevision);
  if (!sameTraffic(old, traffic)) emit("traffic.changed", name, { traffic });
  for (const revision of removeRevisions) emit("revision.deleted", name, { revision });
}

/** The fields of the template that a new revision has otherwise than the one before. */
function fieldsOf({ history }: ServiceChange): string[] {
  return (history.after as { readonly changed?: string[] } | undefined)?.changed ?? [];
}

function changedFields(before: ServiceRecord, after: ServiceRecord): string[] {
  const fields = ["domains", "revisionHistory", "wake", "loading", "declaredBy"] as const;
  return fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
}
