import { messageOf } from "../../errors.ts";
import { logger } from "../../log.ts";
import type { InstancePool } from "../../serving/instance_pool.ts";
import { tellOf } from "./change_events.ts";
import { NotFound } from "./deploy_error.ts";
import type { Publisher } from "./publisher.ts";
import { type ImageRemover, PulledImages } from "./pulled_images.ts";
import { QueueByName } from "./queue_by_name.ts";
import type { HistoryEntry, RevisionRecord, ServiceChange, ServiceRecord } from "../records.ts";
import type { RevisionLauncher } from "../volumes/revision_launcher.ts";
import type { ServiceState } from "./service_state.ts";
import { StaleError, type Store } from "../store.ts";
import { Trial, type TrialParts } from "./trial.ts";
import { type HandoverOptions, VolumeHandover } from "../volumes/volume_handover.ts";

const log = logger("ledger");

/** What a {@linkcode Ledger} works with. */
export interface LedgerParts extends TrialParts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly images: ImageRemover;
  readonly launcher: Pick<RevisionLauncher, "untilGone">;
  /** How long what is in flight may take until an instance is stopped all the same, ms. */
  readonly drainTimeout: number;
}

/** The services as they are: a change goes to the store, to here, and to what requests see, or to none of them. */
export class Ledger {
  /** The images that go with the revisions. */
  readonly images: PulledImages;
  /** Starts revisions before they are kept. */
  readonly trial: Trial;
  readonly #parts: LedgerParts;
  readonly #volumes: VolumeHandover;
  readonly #states = new Map<string, ServiceState>();
  readonly #queue = new QueueByName();

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.images = new PulledImages({ ...parts, isKept: (fits) => this.#isKept(fits) });
    this.trial = new Trial(parts);
    this.#volumes = new VolumeHandover({ ...parts, trial: this.trial }, () => this.states());
  }

  /** Publishes everything that is in the store; a service that cannot be published is logged, and can be deployed anew. */
  load(): void {
    const { store, publisher } = this.#parts;
    const { services, revisions } = store.load();
    const byService = Map.groupBy(revisions, ({ service }) => service);
    for (const service of services) {
      const state = { service, revisions: byService.get(service.name) ?? [] };
      this.#states.set(service.name, state);
      try {
        publisher.publish(state.service, state.revisions);
      } catch (error) {
        log.error("cannot publish a service", { service: service.name, reason: messageOf(error) });
      }
    }
  }

  /** A service as it is kept. */
  get(name: string): ServiceState | undefined {
    return this.#states.get(name);
  }

  /** Every service, in no order. */
  states(): Iterable<ServiceState> {
    return this.#states.values();
  }

  /** A service that must be there, at a certain generation if any. @throws {NotFound} @throws {StaleError} */
  expect(name: string, ifMatch: number | undefined): ServiceState {
    const state = this.#states.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state, ifMatch);
    return state;
  }

  /** Whether a change of a service is being kept that takes its time, since volumes go from one revision to another. */
  isHandingOver(name: string): boolean {
    return this.#volumes.isUnderWay(name);
  }

  /** Works out a change of a service and keeps it, while nobody else changes the service. */
  alone<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    return this.#queue.run(name, work);
  }

  /** Checks what stands in the way of a change. @throws {Conflict} Where two revisions would have one volume. */
  check(change: ServiceChange): void {
    this.#volumes.check(this.#after(change));
  }

  /**
   * Keeps a change and publishes it; to be called {@linkcode alone}.
   *
   * @throws {Conflict} @throws {RevisionFailed} Where volumes go from one revision to another, and that does not work.
   */
  keep(change: ServiceChange, options: HandoverOptions): Promise<ServiceRecord> {
    return this.#volumes.run(this.#after(change), options, (made) => this.#keep(change, made));
  }

  /** Removes a service; to be called {@linkcode alone}. The promise resolves when its containers are gone. */
  remove({ service, revisions }: ServiceState, history: HistoryEntry): { readonly gone: Promise<void> } {
    const { emit, publisher, store } = this.#parts;
    const { generation, name } = service;
    store.delete(name, generation, history);
    this.#states.delete(name);
    publisher.remove(name);
    emit("service.deleted", name, {});
    this.images.leave(revisions);
    return { gone: this.#gone(name) };
  }

  async #keep(change: ServiceChange, made: readonly InstancePool[]): Promise<ServiceRecord> {
    const { emit, publisher, store } = this.#parts;
    const { service, removeRevisions = [] } = change;
    const before = this.#states.get(service.name);
    const after = this.#after(change);
    const publish = await publisher.prepare(service, after.revisions, made);
    store.change(change);
    this.#states.set(service.name, after);
    publish();
    tellOf(emit, before?.service, change);
    this.images.leave(before?.revisions.filter(({ name }) => removeRevisions.includes(name)) ?? []);
    return service;
  }

  #after({ service, addRevision, removeRevisions = [] }: ServiceChange): ServiceState {
    const before = this.#states.get(service.name)?.revisions ?? [];
    const revisions = [...before, ...addRevision === undefined ? [] : [addRevision]];
    return { service, revisions: revisions.filter(({ name }) => !removeRevisions.includes(name)) };
  }

  /** Resolves when the containers are gone that a service has now. */
  async #gone(service: string): Promise<void> {
    const { launcher, publisher } = this.#parts;
    await Promise.all([launcher.untilGone((revision) => revision.service === service), publisher.gone(service)]);
  }

  #isKept(fits: (revision: RevisionRecord) => boolean): boolean {
    for (const { revisions } of this.#states.values()) if (revisions.some(fits)) return true;
    return false;
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
