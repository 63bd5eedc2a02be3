import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { NotFound } from "../control/deploy_error.ts";
import type { EventLog } from "../control/events.ts";
import { type HistoryEntry, markOf, type ServiceChange, type ServiceRecord } from "../control/records.ts";
import type { ServiceState, ServiceStates } from "../control/service_states.ts";
import { StaleError, type Store } from "../control/store.ts";
import { resolveTraffic } from "../model/traffic.ts";
import type { InstancePool } from "../pool/pool.ts";
import { QueueByName } from "./deploy_queue.ts";
import type { Publisher } from "./publisher.ts";
import { sameTraffic } from "./traffic_change.ts";
import type { HandoverOptions, VolumeHandover } from "./volumes.ts";

const log = logger("ledger");

/** What a {@linkcode Ledger} works with. */
export interface LedgerOptions {
  readonly store: Store;
  readonly states: ServiceStates;
  readonly publisher: Publisher;
  readonly events: Pick<EventLog, "emit">;
}

/**
 * Commits changes of services: each reaches the store, the {@linkcode ServiceStates} and the requests, or none of them.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #volumes: VolumeHandover;
  readonly #queue = new QueueByName();

  constructor(options: LedgerOptions, volumes: VolumeHandover) {
    this.#options = options;
    this.#volumes = volumes;
  }

  /** Publishes all stored services. If one fails, that is logged; deploying it again mends it. */
  load(): void {
    const { publisher, states, store } = this.#options;
    store.load((service, marks) => {
      states.set(service.name, marks, undefined);
      if (states.isDemanding(service.name)) return;
      tryPublish(service.name, () => publisher.publishAsleep(service, marks));
    });
    // These read the store, which is locked until it has passed on all services.
    for (const { revisions, service } of states.demanding()) {
      tryPublish(service.name, () => publisher.publish(service, revisions));
    }
  }

  /** An existing service, at the given generation if any. @throws {NotFound} @throws {StaleError} */
  mustGet(name: string, ifMatch: number | undefined): ServiceState {
    const state = this.#options.states.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state.service, ifMatch);
    return state;
  }

  /** Runs work that changes a service, while no other such work on it runs. */
  exclusively<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    return this.#queue.run(name, work);
  }

  /** Checks whether volumes allow a change. @throws {Conflict} If two revisions would have one volume. */
  check(change: ServiceChange): void {
    this.#volumes.check(this.#after(change));
  }

  /**
   * Stores and publishes a change; call it {@linkcode exclusively}. If it rejects, nothing has changed.
   *
   * @throws {Conflict} @throws {RevisionFailed} If a handover of volumes fails.
   * @throws {StaleError} @throws {DomainTakenError} @throws {StoreUnavailable} As {@linkcode Store.change} does.
   * @throws If a secret of a revision cannot be read.
   */
  commit(change: ServiceChange, options: HandoverOptions): Promise<ServiceRecord> {
    return this.#volumes.run(this.#after(change), options, (made) => this.#commit(change, made));
  }

  /**
   * Removes a service; call it {@linkcode exclusively}. Its containers are removed in the background.
   *
   * @throws {StaleError} @throws {StoreUnavailable} As {@linkcode Store.delete} does; nothing has changed then.
   */
  remove(state: ServiceState, history: HistoryEntry): void {
    const { events, publisher, states, store } = this.#options;
    const { generation, name } = state.service;
    store.delete(name, generation, history);
    states.delete(state);
    publisher.remove(name);
    events.emit("service.deleted", name, {});
  }

  async #commit(change: ServiceChange, made: readonly InstancePool[]): Promise<ServiceRecord> {
    const { publisher, states, store } = this.#options;
    const { service } = change;
    const before = states.get(service.name);
    const { revisions } = this.#after(change);
    const publish = await publisher.prepare(service, revisions, made);
    store.change(change);
    states.set(service.name, revisions.map(markOf), before);
    publish();
    this.#tell(before?.service, change);
    return service;
  }

  #after({ service, addRevision, removeRevisions = [] }: ServiceChange): ServiceState {
    const before = this.#options.states.get(service.name)?.revisions ?? [];
    const revisions = [...before, ...addRevision === undefined ? [] : [addRevision]];
    return { service, revisions: revisions.filter(({ name }) => !removeRevisions.includes(name)) };
  }

  #tell(
    before: ServiceRecord | undefined,
    { service, addRevision, removeRevisions = [], history }: ServiceChange,
  ): void {
    const { events } = this.#options;
    const { name, latestRevision } = service;
    if (before === undefined) {
      events.emit("service.created", name, { revision: latestRevision });
    } else {
      const { changed: inTemplate = [] } = (history.after ?? {}) as { readonly changed?: string[] };
      const changed = [...inTemplate, ...changedFields(before, service)];
      if (addRevision !== undefined || changed.length > 0) {
        events.emit("service.changed", name, { revision: latestRevision, changed });
      }
    }
    const traffic = resolveTraffic(service.traffic, latestRevision);
    const old = before === undefined ? [] : resolveTraffic(before.traffic, before.latestRevision);
    if (!sameTraffic(old, traffic)) events.emit("traffic.changed", name, { traffic });
    for (const revision of removeRevisions) events.emit("revision.deleted", name, { revision });
  }
}

function changedFields(before: ServiceRecord, after: ServiceRecord): string[] {
  const fields = ["domains", "revisionHistory", "wake", "loading", "declaredBy"] as const;
  return fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
}

function tryPublish(service: string, publish: () => void): void {
  try {
    publish();
  } catch (error) {
    log.error("cannot publish a service", { service, reason: messageOf(error) });
  }
}

/** @throws {StaleError} If a service is not at the required generation. */
export function checkGeneration(name: string, service: ServiceRecord | undefined, ifMatch: number | undefined): void {
  if (ifMatch === undefined || service?.generation === ifMatch) return;
  throw new StaleError(
    service === undefined
      ? `the service ${name} is not there any more`
      : `the service ${name} was changed in the meantime: it is at ${service.generation}, and not at ${ifMatch}`,
  );
}
