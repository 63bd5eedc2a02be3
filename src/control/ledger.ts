import { messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { InstancePool } from "../serving/instance_pool.ts";
import { tellOf } from "./change_events.ts";
import { NotFound } from "./deploy_error.ts";
import type { Emit } from "./emit.ts";
import type { Publisher } from "./publisher.ts";
import { QueueByName } from "./queue_by_name.ts";
import type { HistoryEntry, ServiceChange, ServiceRecord } from "./records.ts";
import type { ServiceState } from "./service_state.ts";
import { StaleError, type Store } from "./store.ts";

const log = logger("ledger");

/** What a {@linkcode Ledger} works with. */
export interface LedgerParts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly emit: Emit;
}

/** The services as they are: a change goes to the store, to here, and to what requests see, or to none of them. */
export class Ledger {
  readonly #parts: LedgerParts;
  readonly #states = new Map<string, ServiceState>();
  readonly #queue = new QueueByName();

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** Publishes everything that is in the store; a service that cannot be published is logged, and can be deployed anew. */
  async load(): Promise<void> {
    const { store, publisher } = this.#parts;
    const { services, revisions } = store.load();
    const byService = Map.groupBy(revisions, ({ service }) => service);
    for (const service of services) {
      const state = { service, revisions: byService.get(service.name) ?? [] };
      this.#states.set(service.name, state);
      try {
        await publisher.publish(state.service, state.revisions);
      } catch (error) {
        log.error("cannot publish a service", { service: service.name, reason: messageOf(error) });
      }
    }
  }

  /** A service as it is kept. */
  get(name: string): ServiceState | undefined {
    return this.#states.get(name);
  }

  /** Every service, by name. */
  list(): ServiceState[] {
    return [...this.#states.values()].sort((a, b) => a.service.name < b.service.name ? -1 : 1);
  }

  /** A service that must be there, at a certain generation if any. @throws {NotFound} @throws {StaleError} */
  expect(name: string, ifMatch: number | undefined): ServiceState {
    const state = this.#states.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state, ifMatch);
    return state;
  }

  /** Works out a change of a service and keeps it, while nobody else changes the service. */
  alone<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    return this.#queue.run(name, work);
  }

  /**
   * Keeps a change and publishes it; to be called {@linkcode alone}.
   *
   * @param made The pool of the revision that comes with it, if any.
   */
  async keep(change: ServiceChange, made?: InstancePool): Promise<ServiceRecord> {
    const { emit, publisher, store } = this.#parts;
    const { service, addRevision, removeRevisions = [] } = change;
    const before = this.#states.get(service.name);
    const revisions = [...before?.revisions ?? [], ...addRevision === undefined ? [] : [addRevision]]
      .filter(({ name }) => !removeRevisions.includes(name));
    const publish = await publisher.prepare(service, revisions, made);
    store.change(change);
    this.#states.set(service.name, { service, revisions });
    publish();
    tellOf(emit, before?.service, change);
    return service;
  }

  /** Removes a service; to be called {@linkcode alone}. */
  remove({ name, generation }: ServiceRecord, history: HistoryEntry): void {
    const { emit, publisher, store } = this.#parts;
    store.delete(name, generation, history);
    this.#states.delete(name);
    publisher.remove(name);
    emit("service.deleted", name, {});
  }
}

/** @throws {StaleError} Where a service is not at the generation that it must have. */
export function checkGeneration(name: string, state: ServiceState | undefined, ifMatch: number | undefined): void {
  if (ifMatch === undefined || state?.service.generation === ifMatch) return;
  throw new StaleError(
    state === undefined
      ? `the service ${name} is not there any more`
      : `the service ${name} was changed in the meantime: it is at ${state.service.generation}, and not at ${ifMatch}`,
  );
}
