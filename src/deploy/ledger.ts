import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import { NotFound } from "../control/deploy_error.ts";
import type { Emit } from "../control/events.ts";
import type { Publisher } from "./publisher.ts";
import type { PulledImages } from "./pulled_images.ts";
import { QueueByName } from "./deploy_queue.ts";
import { type HistoryEntry, markOf, type ServiceChange, type ServiceRecord } from "../control/records.ts";
import type { RevisionLauncher } from "./revision_launcher.ts";
import { type ServiceState, ServiceStates } from "../control/service_states.ts";
import { StaleError, type Store } from "../control/store.ts";
import type { HandoverOptions, VolumeHandover } from "./volumes.ts";
import { resolveTraffic } from "../model/traffic.ts";
import { sameTraffic } from "./traffic_change.ts";

const log = logger("ledger");

/** What a {@linkcode Ledger} works with. */
export interface LedgerParts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly launcher: Pick<RevisionLauncher, "untilGone">;
  readonly emit: Emit;
  /** The images that go with the revisions. */
  readonly pulled: Pick<PulledImages, "leave">;
  readonly volumes: VolumeHandover;
}

/** The services as they are: a change goes to the store, to here, and to what requests see, or to none of them. */
export class Ledger {
  readonly #parts: LedgerParts;
  /** Every service as it is. */
  readonly states: ServiceStates;
  readonly #queue = new QueueByName();

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.states = new ServiceStates(parts.store);
  }

  /** Publishes everything that is in the store; a service that cannot be published is logged, and can be deployed anew. */
  load(): void {
    const { publisher, store } = this.#parts;
    store.load((service, marks) => {
      this.states.set(service.name, marks, undefined);
      if (this.states.isDemanding(service.name)) return;
      tryPublish(service.name, () => publisher.publishAsleep(service, marks));
    });
    // Their secrets come from the store too, which has to be done with the rest first.
    for (const { revisions, service } of this.states.demanding()) {
      tryPublish(service.name, () => publisher.publish(service, revisions));
    }
  }

  /** A service that must be there, at a certain generation if any. @throws {NotFound} @throws {StaleError} */
  expect(name: string, ifMatch: number | undefined): ServiceState {
    const state = this.states.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state.service, ifMatch);
    return state;
  }

  /** Whether a change of a service is being kept that takes its time, since volumes go from one revision to another. */
  isHandingOver(name: string): boolean {
    return this.#parts.volumes.isUnderWay(name);
  }

  /** Works out a change of a service and keeps it, while nobody else changes the service. */
  alone<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    return this.#queue.run(name, work);
  }

  /** Checks what stands in the way of a change. @throws {Conflict} Where two revisions would have one volume. */
  check(change: ServiceChange): void {
    this.#parts.volumes.check(this.#after(change));
  }

  /**
   * Keeps a change and publishes it; to be called {@linkcode alone}.
   *
   * @throws {Conflict} @throws {RevisionFailed} Where volumes go from one revision to another, and that does not work.
   * @throws {StaleError} @throws {DomainTakenError} @throws {StoreUnavailable} As {@linkcode Store.change} does.
   * @throws Where a secret of a revision cannot be read. Whatever is thrown, nothing has changed.
   */
  keep(change: ServiceChange, options: HandoverOptions): Promise<ServiceRecord> {
    return this.#parts.volumes.run(this.#after(change), options, (made) => this.#keep(change, made));
  }

  /**
   * Removes a service; to be called {@linkcode alone}. The promise resolves when its containers are gone.
   *
   * @throws {StaleError} @throws {StoreUnavailable} As {@linkcode Store.delete} does; nothing has changed then.
   */
  remove(state: ServiceState, history: HistoryEntry): { readonly gone: Promise<void> } {
    const { emit, publisher, pulled, store } = this.#parts;
    const { revisions, service: { generation, name } } = state;
    store.delete(name, generation, history);
    this.states.delete(state);
    publisher.remove(name);
    emit("service.deleted", name, {});
    pulled.leave(revisions);
    return { gone: this.#gone(name) };
  }

  async #keep(change: ServiceChange, made: readonly InstancePool[]): Promise<ServiceRecord> {
    const { emit, publisher, pulled, store } = this.#parts;
    const { service, removeRevisions = [] } = change;
    const before = this.states.get(service.name);
    const after = this.#after(change);
    const publish = await publisher.prepare(service, after.revisions, made);
    store.change(change);
    this.states.set(service.name, after.revisions.map(markOf), before);
    publish();
    tellOf(emit, before?.service, change);
    pulled.leave(before?.revisions.filter(({ name }) => removeRevisions.includes(name)) ?? []);
    return service;
  }

  #after({ service, addRevision, removeRevisions = [] }: ServiceChange): ServiceState {
    const before = this.states.get(service.name)?.revisions ?? [];
    const revisions = [...before, ...addRevision === undefined ? [] : [addRevision]];
    return { service, revisions: revisions.filter(({ name }) => !removeRevisions.includes(name)) };
  }

  /** Resolves when the containers are gone that a service has now. */
  async #gone(service: string): Promise<void> {
    const { launcher, publisher } = this.#parts;
    await Promise.all([launcher.untilGone((revision) => revision.service === service), publisher.gone(service)]);
  }
}

function tryPublish(service: string, publish: () => void): void {
  try {
    publish();
  } catch (error) {
    log.error("cannot publish a service", { service, reason: messageOf(error) });
  }
}

/** @throws {StaleError} Where a service is not at the generation that it must have. */
export function checkGeneration(name: string, service: ServiceRecord | undefined, ifMatch: number | undefined): void {
  if (ifMatch === undefined || service?.generation === ifMatch) return;
  throw new StaleError(
    service === undefined
      ? `the service ${name} is not there any more`
      : `the service ${name} was changed in the meantime: it is at ${service.generation}, and not at ${ifMatch}`,
  );
}

/**
 * Tells of a change that is kept and published.
 *
 * @param before The service until then; `undefined` where there was none.
 */
function tellOf(emit: Emit, before: ServiceRecord | undefined, change: ServiceChange): void {
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
