import { canonicalTemplate, type PullPolicy, type RevisionTemplate, type TemplateInput } from "../domain/template.ts";
import type { Traffic } from "../domain/traffic.ts";
import { messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { InstancePool } from "../serving/instance_pool.ts";
import { Conflict, NotFound, RevisionFailed } from "./deploy_error.ts";
import { type Content, type DeployPlan, type DeployWish, planDeploy } from "./deploy_plan.ts";
import type { Publisher } from "./publisher.ts";
import { QueueByName } from "./queue_by_name.ts";
import type { RevisionRecord, ServiceChange, ServiceRecord } from "./records.ts";
import type { RevisionSecrets } from "./runtime_revision.ts";
import { historyOf, inTraffic, lastNumbers, namesOf, type ServiceState } from "./service_state.ts";
import { StaleError, type Store } from "./store.ts";
import { checkedTraffic, previousAfter, rolledBack, sameTraffic } from "./traffic_change.ts";

const log = logger("deployer");
/** How far back in history numbers are looked for that a service of the same name has used up. */
const HISTORY_ENTRIES = 100;
const NEVER = new AbortController().signal;

/** Finds out which content the name of an image means. */
export interface ImageResolver {
  resolve(reference: string, policy: PullPolicy, options: { readonly signal: AbortSignal }): Promise<{
    readonly imageId: string;
    readonly digest?: string;
    readonly pulled: boolean;
  }>;
}

/** What a {@linkcode Deployer} works with. */
export interface DeployerParts {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly images: ImageResolver;
  readonly secrets: Pick<RevisionSecrets, "currentVersions">;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  /** Starts one instance of a pool; rejects with why it did not become ready, or with the signal's reason. */
  readonly tryStart: (pool: InstancePool, signal: AbortSignal) => Promise<void>;
  /**
   * The hook for volumes: called before the pool of a new revision that has some starts or is published, with the pools
   * of its service that may hold the same ones. Where it rejects, nothing changes.
   */
  readonly exclusive?: (pool: InstancePool, others: readonly InstancePool[], signal: AbortSignal) => Promise<void>;
}

/** What is deployed; {@linkcode ParsedService} and what a manifest declares are such. */
export interface DeployInput extends DeployWish {
  readonly template: TemplateInput;
}

/** Who changes something, and which generation it must be at, if any. */
export interface ChangeOptions {
  /** The name of the token. */
  readonly by: string;
  /** The generation that the service must have. */
  readonly ifMatch?: number;
}

/** Options of {@linkcode Deployer.deploy}. */
export interface DeployOptions extends ChangeOptions {
  /** Whether a new revision must be ready first; where not, its first request finds out. */
  readonly wait: boolean;
  /** The file that declares the service. */
  readonly declaredBy?: string;
  /** Gives up what is not done yet; the call rejects with the signal's reason, and nothing has changed. */
  readonly signal?: AbortSignal;
}

/** What a deploy came to. */
export interface Deployed {
  readonly service: ServiceRecord;
  /** The latest. */
  readonly revision: RevisionRecord;
  /** Whether the revision is a new one. */
  readonly created: boolean;
}

/** Changes services: first in the store, then in what requests see. Changes of one service wait for each other. */
export class Deployer {
  readonly #parts: DeployerParts;
  readonly #states = new Map<string, ServiceState>();
  readonly #queue = new QueueByName();

  constructor(parts: DeployerParts) {
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

  /**
   * Has a service be as it is asked for, as a new revision where the latest is another. Where it rejects, nothing has
   * changed.
   *
   * @throws {StaleError} When it has another generation than `ifMatch`.
   * @throws {UnknownSecretError} When the template names a secret that is not there.
   * @throws {TrafficError} When the traffic cannot be as it is asked for.
   * @throws {RevisionFailed} When the new revision does not become ready.
   * @throws {DomainTakenError} When a domain belongs to another service.
   * @throws What `images` throws, when there is no such image.
   */
  deploy(name: string, input: DeployInput, options: DeployOptions): Promise<Deployed> {
    return this.#queue.run(name, () => this.#deploy(name, input, options));
  }

  /**
   * Shares out the traffic anew.
   *
   * @throws {TrafficError} When the targets are wrong; {@linkcode StaleError} and {@linkcode NotFound} as they say.
   */
  setTraffic(name: string, targets: Traffic, options: ChangeOptions): Promise<ServiceRecord> {
    return this.#change(name, "traffic", options, ({ service, revisions }) => {
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

  /** Removes a service, with its revisions. @throws {NotFound} @throws {StaleError} */
  delete(name: string, { by, ifMatch }: ChangeOptions): Promise<void> {
    return this.#queue.run(name, () => {
      const { service } = this.#expect(name, ifMatch);
      const { now, publisher, store } = this.#parts;
      const history = { at: now(), service: name, action: "delete", by, before: historyOf(service), after: undefined };
      store.delete(name, service.generation, history);
      this.#states.delete(name);
      publisher.remove(name);
    });
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

  async #deploy(name: string, input: DeployInput, options: DeployOptions): Promise<Deployed> {
    const { signal = NEVER, by, declaredBy } = options;
    signal.throwIfAborted();
    const state = this.#states.get(name);
    checkGeneration(name, state, options.ifMatch);
    const content = await this.#contentOf(canonicalTemplate(input.template), signal);
    const { now, store } = this.#parts;
    const last = state?.service ?? lastNumbers(store.history(name, HISTORY_ENTRIES));
    const context = { name, state, last, at: now(), by, ...(declaredBy === undefined ? {} : { declaredBy }) };
    const plan = planDeploy(context, content, input);
    await this.#carryOut(plan, options.wait, signal);
    const { service } = this.#states.get(name)!;
    return { service, revision: plan.revision, created: plan.change?.addRevision !== undefined };
  }

  async #contentOf(template: RevisionTemplate, signal: AbortSignal): Promise<Content> {
    const { images, secrets } = this.#parts;
    const versions = () => secrets.currentVersions(Object.values(template.secretEnv));
    versions(); // a name that is wrong should not have to wait for a pull
    const { imageId, digest, pulled } = await images.resolve(template.image, template.pullPolicy, { signal });
    signal.throwIfAborted();
    return { template, imageId, imageDigest: digest, pulled, secretVersions: versions() };
  }

  async #carryOut({ change }: DeployPlan, wait: boolean, signal: AbortSignal): Promise<void> {
    if (change?.addRevision === undefined) {
      if (change !== undefined) await this.#keep(change);
      return;
    }
    const { publisher } = this.#parts;
    const pool = await publisher.newPool(change.addRevision);
    try {
      await this.#try(pool, wait, signal);
      await this.#keep(change, pool);
    } catch (error) {
      publisher.discard(pool);
      throw error;
    }
  }

  async #try(pool: InstancePool, wait: boolean, signal: AbortSignal): Promise<void> {
    const { exclusive, publisher, tryStart } = this.#parts;
    const { name, service, volumes } = pool.revision;
    if (volumes.length > 0) await exclusive?.(pool, publisher.pools(service), signal);
    if (!wait) return;
    try {
      await tryStart(pool, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new RevisionFailed(name, error);
    }
    signal.throwIfAborted();
  }

  /** Changes what is no revision. */
  #change(
    name: string,
    action: string,
    { by, ifMatch }: ChangeOptions,
    change: (state: ServiceState) => Partial<Pick<ServiceRecord, "traffic" | "previousTraffic">>,
    removeRevisions: readonly string[] = [],
  ): Promise<ServiceRecord> {
    return this.#queue.run(name, async () => {
      const state = this.#expect(name, ifMatch);
      const before = state.service;
      const changed = { ...before, ...change(state) };
      if (removeRevisions.length === 0 && sameTraffic(before.traffic, changed.traffic)) return before;
      const at = this.#parts.now();
      const service = { ...changed, generation: before.generation + 1, updatedAt: at };
      const after = { ...historyOf(service), ...(removeRevisions.length === 0 ? {} : { removed: removeRevisions }) };
      const history = { at, service: name, action, by, before: historyOf(before), after };
      return await this.#keep({ service, expectedGeneration: before.generation, removeRevisions, history });
    });
  }

  /** Keeps a change and publishes it; all of it, or nothing. */
  async #keep(change: ServiceChange, made?: InstancePool): Promise<ServiceRecord> {
    const { publisher, store } = this.#parts;
    const { service, addRevision, removeRevisions = [] } = change;
    const revisions = [
      ...this.#states.get(service.name)?.revisions ?? [],
      ...addRevision === undefined ? [] : [addRevision],
    ].filter(({ name }) => !removeRevisions.includes(name));
    const publish = await publisher.prepare(service, revisions, made);
    store.change(change);
    this.#states.set(service.name, { service, revisions });
    publish();
    return service;
  }

  #expect(name: string, ifMatch: number | undefined): ServiceState {
    const state = this.#states.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state, ifMatch);
    return state;
  }
}

function checkGeneration(name: string, state: ServiceState | undefined, ifMatch: number | undefined): void {
  if (ifMatch === undefined || state?.service.generation === ifMatch) return;
  throw new StaleError(
    state === undefined
      ? `the service ${name} is not there any more`
      : `the service ${name} was changed in the meantime: it is at ${state.service.generation}, and not at ${ifMatch}`,
  );
}
