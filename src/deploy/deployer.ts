import type { Traffic } from "../model/traffic.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { ImageResolver } from "./content_finder.ts";
import { checkTags, type DeployRules } from "./deploy_checks.ts";
import { Conflict, NotFound } from "../control/deploy_error.ts";
import type { DeployPreview, ServiceRecord } from "../control/records.ts";
import { DeployQueue } from "./deploy_queue.ts";
import {
  type ChangeOptions,
  type Deployed,
  type DeployInput,
  type DeployOptions,
  Deploys,
  isBeingDeleted,
  type PlanOptions,
  wasDeleted,
} from "./deploys.ts";
import { Ledger } from "./ledger.ts";
import type { Publisher } from "./publisher.ts";
import { type ImageRemover, PulledImages } from "./pulled_images.ts";
import type { RevisionSecrets } from "../control/runtime_revision.ts";
import { historyOf, inTraffic, namesOf, type ServiceState } from "../control/service_states.ts";
import type { Store } from "../control/store.ts";
import { checkedTraffic, previousAfter, rolledBack, sameTraffic } from "./traffic_change.ts";
import { Trial, type TrialParts } from "./trial.ts";
import type { RevisionLauncher } from "./revision_launcher.ts";
import { VolumeHandover } from "./volumes.ts";

const log = logger("deployer");
const NEVER = new AbortController().signal;
/** How long history is kept, ms. */
const HISTORY_MS = 90 * 24 * 3_600_000;

/** What a {@linkcode Deployer} works with. */
export interface DeployerParts extends TrialParts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly images: ImageResolver & ImageRemover;
  readonly secrets: Pick<RevisionSecrets, "currentVersions">;
  readonly launcher: Pick<RevisionLauncher, "untilGone">;
  readonly rules: DeployRules;
  /** How long what is in flight may take until an instance is stopped all the same, ms. */
  readonly drainTimeout: number;
}

/**
 * Changes services. Deploys of one service wait for each other; all other changes wait for no pull and no start. A change
 * goes this way: Deployer → {@linkcode Deploys}, which plan it and try what is new → {@linkcode Ledger}, which has it
 * stored, and then published → {@linkcode Publisher}, which has requests see it.
 */
export class Deployer {
  readonly #parts: DeployerParts;
  readonly #pulled: PulledImages;
  readonly #ledger: Ledger;
  readonly #deploys: Deploys;
  readonly #onTheWay = new DeployQueue();

  constructor(parts: DeployerParts) {
    this.#parts = parts;
    const trial = new Trial(parts);
    const volumes = new VolumeHandover({ ...parts, trial }, () => this.#ledger.states.demanding());
    const pulled = this.#pulled = new PulledImages({ ...parts, kept: () => this.#ledger.states.images });
    const ledger = this.#ledger = new Ledger({ ...parts, pulled, volumes });
    this.#deploys = new Deploys({ ...parts, ledger, trial, pulled });
  }

  /** Publishes everything that is in the store; a service that cannot be published is logged, and can be deployed anew. */
  load(): void {
    this.#ledger.load();
    this.forgetOld();
  }

  /** Forgets what is too old; to be called once a day. What does not work today is for tomorrow. */
  forgetOld(): void {
    const { now, store } = this.#parts;
    this.#pulled.retry();
    try {
      store.forgetHistory(now() - HISTORY_MS);
    } catch (error) {
      log.warning("cannot forget old history", { reason: messageOf(error) });
    }
  }

  /** Takes no more deploys, calls off those that are on their way, and resolves when they have ended. */
  close(reason: Error): Promise<void> {
    return this.#onTheWay.close(reason);
  }

  /** A service with its revisions. @throws {StoreUnavailable} */
  get(name: string): ServiceState | undefined {
    return this.#ledger.states.get(name);
  }

  /** Whether there is a service of that name. */
  has(name: string): boolean {
    return this.#ledger.states.has(name);
  }

  /** A service without its revisions. @throws {StoreUnavailable} */
  service(name: string): ServiceRecord | undefined {
    return this.#ledger.states.service(name);
  }

  /** How many services there are. */
  get size(): number {
    return this.#ledger.states.size;
  }

  /** Every service, by name. @throws {StoreUnavailable} */
  list(): ServiceRecord[] {
    return [...this.after("")];
  }

  /** Those with a revision that has volumes or secrets, or keeps instances up. @throws {StoreUnavailable} */
  demanding(): ServiceState[] {
    return this.#ledger.states.demanding();
  }

  /** The services whose names come after one, by name; to be read at once. @throws {StoreUnavailable} */
  after(name: string): Iterable<ServiceRecord> {
    return this.#ledger.states.after(name);
  }

  /**
   * Has a service be as it is asked for, as a new revision where the latest is another. Where it rejects, nothing has
   * changed.
   *
   * @throws {InvalidError} When this machine or its settings do not allow what is asked for.
   * @throws {StaleError} When it has another generation than `ifMatch`, at the beginning or at the end.
   * @throws {UnknownSecretError} When the template names a secret that is not there.
   * @throws {TrafficError} When the traffic cannot be as it is asked for.
   * @throws {ImageUnavailable} When there is no such image.
   * @throws {RevisionFailed} When the new revision does not become ready.
   * @throws {DomainTakenError} When a domain belongs to another service.
   * @throws {Conflict} When the service is deleted meanwhile.
   */
  deploy(name: string, input: DeployInput, options: DeployOptions): Promise<Deployed> {
    return this.#onTheWay.run(name, options.signal, (signal) => this.#deploys.run(name, input, options, signal));
  }

  /** What a deploy would come to; changes and pulls nothing. @throws As {@linkcode deploy} does. */
  plan(name: string, input: DeployInput, options: PlanOptions): Promise<DeployPreview> {
    return this.#deploys.plan(name, input, options);
  }

  /**
   * Shares out the traffic anew.
   *
   * @throws {TrafficError} When the targets are wrong; {@linkcode StaleError} and {@linkcode NotFound} as they say.
   */
  setTraffic(name: string, targets: Traffic, options: ChangeOptions): Promise<ServiceRecord> {
    return this.#change(name, "traffic", options, ({ service, revisions }) => {
      checkTags(name, targets);
      const traffic = checkedTraffic(targets, namesOf(revisions), service.latestRevision);
      return { traffic, previousTraffic: previousAfter(service, traffic, service.latestRevision) };
    });
  }

  /**
   * Goes back to the split before the last change; twice, and all is as it was. Tags stay where they are.
   *
   * @throws {Conflict} When there is none; {@linkcode StaleError} and {@linkcode NotFound} as they say.
   */
  rollback(name: string, options: ChangeOptions): Promise<ServiceRecord> {
    return this.#change(name, "rollback", options, ({ service }) => {
      if (service.previousTraffic.length === 0) throw new Conflict(`${name} has had no other traffic to go back to`);
      const traffic = rolledBack(service);
      return { traffic, previousTraffic: previousAfter(service, traffic, service.latestRevision) };
    });
  }

  /**
   * Removes a service, with its revisions, and resolves when its containers are gone. Deploys of it that are on their
   * way are called off.
   *
   * @throws {NotFound} @throws {StaleError}
   */
  async delete(name: string, { by, ifMatch }: ChangeOptions): Promise<void> {
    if (this.#ledger.isHandingOver(name)) {
      // Else it would have to wait for the start of what nobody wants any more.
      this.#ledger.expect(name, ifMatch);
      this.#onTheWay.callOff(name, isBeingDeleted(name));
    }
    const ending = await this.#ledger.alone(name, () => {
      const state = this.#ledger.expect(name, ifMatch);
      const before = historyOf(state.service);
      const history = { at: this.#parts.now(), service: name, action: "delete", by, before, after: undefined };
      const { gone } = this.#ledger.remove(state, history);
      return [gone, this.#onTheWay.callOff(name, wasDeleted(name))];
    });
    await Promise.all(ending);
    await this.#parts.publisher.gone(name); // also what was on trial
  }

  /**
   * Removes a revision.
   *
   * @throws {Conflict} When it has traffic or a tag, or is the latest; {@linkcode StaleError} and {@linkcode NotFound} as
   * they say.
   */
  async deleteRevision(name: string, revision: string, options: ChangeOptions): Promise<void> {
    await this.#change(name, "delete-revision", options, ({ service, revisions }) => {
      if (!namesOf(revisions).has(revision)) throw new NotFound(`${name} has no revision ${revision}`);
      if (revision === service.latestRevision) throw new Conflict(`${revision} is the latest of ${name}`);
      if (inTraffic(service).has(revision)) throw new Conflict(`${revision} has traffic or a tag; move it away first`);
      const isPrevious = service.previousTraffic.some((target) => target.revision === revision);
      return isPrevious ? { previousTraffic: [] } : {};
    }, [revision]);
  }

  /** Changes what is no revision. */
  #change(
    name: string,
    action: string,
    { by, ifMatch }: ChangeOptions,
    change: (state: ServiceState) => Partial<Pick<ServiceRecord, "traffic" | "previousTraffic">>,
    removeRevisions: readonly string[] = [],
  ): Promise<ServiceRecord> {
    return this.#ledger.alone(name, async () => {
      const state = this.#ledger.expect(name, ifMatch);
      const before = state.service;
      const changed = { ...before, ...change(state) };
      if (removeRevisions.length === 0 && sameTraffic(before.traffic, changed.traffic)) return before;
      const at = this.#parts.now();
      const service = { ...changed, generation: before.generation + 1, updatedAt: at };
      const after = { ...historyOf(service), ...(removeRevisions.length === 0 ? {} : { removed: removeRevisions }) };
      const history = { at, service: name, action, by, before: historyOf(before), after };
      const kept = { service, expectedGeneration: before.generation, removeRevisions, history };
      return await this.#ledger.keep(kept, { made: [], start: "instead", signal: NEVER });
    });
  }
}
