import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DeclaredService, type DeclaredServices, inTraffic, namesOf } from "../control/declared_services.ts";
import { Conflict, NotFound } from "../control/deploy_error.ts";
import { lastTried } from "../control/deploy_record.ts";
import type { EventLog } from "../control/events.ts";
import { HISTORY_DAYS, historyOf, lastNumbers } from "../control/history.ts";
import {
  type DeployPreview,
  markOf,
  type RevisionRecord,
  type ServiceChange,
  type ServiceRecord,
} from "../control/records.ts";
import type { RunningDeploy, RunningDeploys } from "../control/running_deploys.ts";
import type { Secrets } from "../control/secrets/secrets.ts";
import type { StatusWatch } from "../control/status_watch.ts";
import { StaleError, type Store } from "../control/store.ts";
import { defined } from "../model/defined.ts";
import { canonicalTemplate, needsNoPreparation, type RevisionTemplate, type TemplateInput } from "../model/template.ts";
import { DAY_MS } from "../model/time.ts";
import type { Traffic } from "../model/traffic.ts";
import type { InstancePool } from "../pool/pool.ts";
import { changeBetween, emitChange } from "./change_events.ts";
import { checkDeploy, checkDomains, checkSignIn, checkTags, type DeployRules } from "./deploy_checks.ts";
import { type Content, type DeployPlan, type DeployWish, planDeploy, previewOf } from "./deploy_plan.ts";
import { DeployQueue, QueueByName } from "./deploy_queue.ts";
import { DeployRecorder } from "./deploy_recorder.ts";
import { checkedTraffic, previousAfter, rolledBack, sameTraffic } from "./next_traffic.ts";
import type { Publisher } from "./publisher.ts";
import { type Containers, type Images, PulledImages } from "./pulled_images.ts";
import { Trials, type TrialsOptions } from "./trials.ts";
import { type HandoverOptions, VolumeHandover } from "./volumes.ts";

const log = logger("deployer");
const NEVER = new AbortController().signal;
/** If a service of the same name was deleted, its last numbers are searched for in this many history entries. */
const HISTORY_ENTRIES = 100;
/** In this many of its last deploys, the highest number of a revision of a service is searched for. */
const DEPLOYS_SEARCHED = 40;
/** If other processes change a service this many times in a row, a change gives up. */
const MAX_TRIES = 20;
/** For at most this many services, the revision number of a trial is remembered, since it may not be stored. */
const MAX_TRIED = 1000;

/** What a {@linkcode Deployer} works with. */
export interface DeployerOptions extends TrialsOptions {
  readonly store: Store;
  readonly declared: DeclaredServices;
  readonly publisher: Publisher;
  readonly images: Images;
  readonly secrets: Pick<Secrets, "currentVersions">;
  readonly launcher: Containers;
  readonly events: Pick<EventLog, "emit" | "tell">;
  /** In which the deploys of a service wait for each other. */
  readonly deploys: DeployQueue;
  /** How far the deploys are that wait no more. */
  readonly running: RunningDeploys;
  readonly statusWatch: Pick<StatusWatch, "check">;
  readonly rules: DeployRules;
  /** After this time an instance stops even with requests in flight. */
  readonly drainTimeoutMs: number;
}

/** What to deploy, such as a {@linkcode ParsedService}. */
export interface DeployInput extends DeployWish {
  readonly template: TemplateInput;
}

/** Options of every change. */
export interface ChangeOptions {
  /** The name of the token that asks for it. */
  readonly by: string;
  /** The generation that the service must have. */
  readonly ifMatch?: number;
}

/** Options of changes of the traffic. */
export interface TrafficOptions extends ChangeOptions {
  /** Whether only to check the change. The result is then the service as it would be; its generation stays. */
  readonly dryRun?: boolean;
}

/** Options of {@linkcode Deployer.plan}. */
export interface PlanOptions extends ChangeOptions {
  readonly declaredBy?: string;
  /** Whether to make a new revision even if nothing has changed. */
  readonly renew?: boolean;
}

/** Options of {@linkcode Deployer.deploy}. */
export interface DeployOptions extends PlanOptions {
  /**
   * Whether a new revision must become ready before the deploy is committed. If not, its first request shows whether it
   * works.
   */
  readonly wait: boolean;
  /** Cancels the deploy: it rejects with the signal's reason, and nothing changes. */
  readonly signal?: AbortSignal;
}

/** The outcome of a deploy. */
export interface Deployed {
  readonly service: ServiceRecord;
  readonly revision: RevisionRecord;
  /** Whether anything has changed. */
  readonly isChanged: boolean;
  /** Whether a revision was created. */
  readonly hasNewRevision: boolean;
  /** Whether the service is new. */
  readonly isNewService: boolean;
}

/** A deploy that was not refused. */
interface BegunDeploy extends Omit<Deploy, "content" | "number"> {
  readonly options: DeployOptions;
  readonly template: RevisionTemplate;
  readonly running: RunningDeploy;
}

interface Deploy {
  readonly name: string;
  readonly input: DeployInput;
  readonly options: PlanOptions;
  readonly begun: ServiceRecord | undefined;
  readonly content: Content;
  readonly number: number;
}

/**
 * Changes services. A deploy finds the content, makes a plan, and tries the new revision. Then it makes the plan again,
 * since the state may have changed meanwhile, and commits it. A commit updates the store, the {@linkcode DeclaredServices}
 * and the routing: all of them or none. Deploys of one service wait for each other. Other changes do not wait for a
 * pull, nor for a start unless volumes are handed over.
 */
export class Deployer {
  readonly #options: DeployerOptions;
  readonly #declared: DeclaredServices;
  readonly #volumes: VolumeHandover;
  readonly #images: PulledImages;
  readonly #recorder: DeployRecorder;
  readonly #trials: Trials;
  readonly #deploys: DeployQueue;
  /** Runs the changes of one service one at a time. */
  readonly #changes = new QueueByName();
  /** By service, the highest number of a revision that was tried but not committed; the newest entry is last. */
  readonly #tried = new Map<string, number>();

  constructor(options: DeployerOptions) {
    const { declared, drainTimeoutMs, images, launcher, now, publisher, running, store } = options;
    this.#options = options;
    this.#deploys = options.deploys;
    this.#declared = declared;
    this.#volumes = new VolumeHandover(declared, publisher, launcher, drainTimeoutMs);
    this.#images = new PulledImages(images, declared, launcher);
    this.#recorder = new DeployRecorder(store, running, now);
    this.#trials = new Trials(options);
  }

  /** Publishes all stored services. If one cannot be published, that is logged; deploying it again repairs it. */
  load(): void {
    const { publisher, store } = this.#options;
    const declared = this.#declared;
    store.load((service, marks) => {
      declared.set(service.name, marks, undefined);
      if (declared.needsPreparation(service.name)) return;
      tryPublish(service.name, () => publisher.publishAsleep(service, marks));
    });
    // Not inside `load`: this reads the store, which must not be used there.
    for (const { revisions, service } of declared.needingPreparation()) {
      tryPublish(service.name, () => publisher.publish(service, revisions));
    }
    this.tidy();
  }

  /**
   * Removes old history and deploys, and unused images that cless pulled. Call it periodically. Failures are only
   * logged.
   */
  async tidy(): Promise<void> {
    const { now, store } = this.#options;
    this.#images.sweep(true);
    try {
      await store.forgetHistory(now() - HISTORY_DAYS * DAY_MS);
    } catch (error) {
      log.warning("cannot remove old history", { reason: messageOf(error) });
    }
  }

  /**
   * Takes over what another process that shares the store has made of a service, and publishes that. If it cannot be
   * taken over now, that is logged, and the store says later that it has changed.
   */
  async refresh(name: string): Promise<void> {
    try {
      await this.#changes.run(name, () => this.#refresh(name));
    } catch (error) {
      log.warning("cannot take over a change of a service", { service: name, reason: messageOf(error) });
    }
  }

  /** Refuses new deploys from now on. Resolves when the running ones and all other changes have ended. */
  async pause(reason: Error): Promise<void> {
    await this.#deploys.pause(reason);
    await this.#changes.settled();
  }

  /** Accepts deploys again. */
  resume(): void {
    this.#deploys.resume();
  }

  /** Refuses new deploys, cancels the running ones, and resolves when they have ended. */
  close(reason: Error): Promise<void> {
    return this.#deploys.close(reason);
  }

  /**
   * Creates or changes a service, with a new revision if its content differs from the latest. If it rejects, nothing
   * has changed. How it ended is stored, unless it is refused before the image is looked for.
   *
   * @throws {InvalidError} If this machine or its settings do not allow it.
   * @throws {StaleError} If the service is not at the generation `ifMatch` when the deploy begins, or when it is
   * committed.
   * @throws {UnknownSecretError} If the template names a secret that does not exist.
   * @throws {TrafficError} If the traffic that it asks for is impossible.
   * @throws {ImageUnavailable} If there is no such image.
   * @throws {RevisionFailed} If the new revision does not become ready.
   * @throws {DomainTakenError} If a domain belongs to another service.
   * @throws {Conflict} If the service is deleted meanwhile, or two revisions would have a common volume.
   */
  async deploy(name: string, input: DeployInput, options: DeployOptions): Promise<Deployed> {
    const { statusWatch } = this.#options;
    const deployed = this.#deploys.run(
      name,
      options.signal,
      (signal) => this.#deploy(name, input, options, signal),
    );
    statusWatch.check(name);
    try {
      return await deployed;
    } finally {
      statusWatch.check(name);
    }
  }

  /** What a deploy would change. Changes and pulls nothing. @throws As {@linkcode deploy} does. */
  async plan(name: string, input: DeployInput, options: PlanOptions): Promise<DeployPreview> {
    const begun = await this.#begin(name, input, options);
    const template = canonicalTemplate(input.template);
    const secretVersions = this.#secretVersions(template);
    const local = await this.#images.findLocal(template.image, template.pullPolicy);
    const { imageId = "", digest: imageDigest } = local ?? {};
    const content = { template, imageId, imageDigest, pulled: false, secretVersions };
    const pull = local === undefined || template.pullPolicy === "always";
    const plan = this.#plan({ name, input, options, begun, content, number: this.#nextNumber(name) });
    return previewOf(begun, plan, pull);
  }

  /** Replaces the traffic split. @throws {TrafficError} If it is invalid. @throws {StaleError} @throws {NotFound} */
  setTraffic(name: string, targets: Traffic, options: TrafficOptions): Promise<ServiceRecord> {
    return this.#change(name, "traffic", options, ({ service, revisions }) => {
      checkTags(name, targets);
      return { traffic: checkedTraffic(targets, namesOf(revisions), service.latestRevision) };
    });
  }

  /**
   * Goes back to the split before the last change; a second rollback undoes the first. Tags stay where they are.
   *
   * @throws {Conflict} If there is no earlier split. @throws {StaleError} @throws {NotFound}
   */
  rollback(name: string, options: TrafficOptions): Promise<ServiceRecord> {
    return this.#change(name, "rollback", options, ({ service }) => {
      if (service.previousTraffic.length === 0) throw new Conflict(`${name} has had no other traffic to go back to`);
      return { traffic: rolledBack(service) };
    });
  }

  /**
   * Removes a service, and cancels its deploys. Resolves when its containers are gone. @throws {NotFound} @throws
   * {StaleError}
   */
  async delete(name: string, { by, ifMatch }: ChangeOptions): Promise<void> {
    const { launcher, now, publisher, store } = this.#options;
    if (this.#volumes.isUnderWay(name)) {
      // Cancel the deploy that hands over volumes: it could take as long as a start, and its outcome no longer matters.
      this.#mustGet(name, ifMatch);
      const reason = new Conflict(`the deploy was called off, since somebody deletes the service ${name}`);
      this.#deploys.cancel(name, reason);
    }
    const ending = await this.#onNewest(name, async () => {
      const state = this.#mustGet(name, ifMatch);
      const before = historyOf(state.service);
      const history = { at: now(), service: name, action: "delete", by, before, after: undefined };
      await store.delete(name, state.service.generation, history);
      // In a list, so that the next change does not wait for them.
      return [this.#unpublish(state), launcher.untilGone(({ service }) => service === name)];
    });
    await Promise.all(ending);
    await publisher.gone(name); // including pools on trial
    this.#images.sweep();
  }

  /**
   * Calls off the first deploy of a service, or, if the service never worked, removes its deploys. Resolves with whether
   * that was all there was of the service.
   */
  async deleteTried(name: string): Promise<boolean> {
    const { launcher, publisher, store } = this.#options;
    if (this.#declared.has(name)) return false;
    const wasRunning = this.#deploys.has(name);
    await this.#deploys.cancel(name, wasDeleted(name));
    await publisher.gone(name); // the pool on trial
    await launcher.untilGone(({ service }) => service === name);
    if (this.#declared.has(name)) return false; // the deploy had just worked
    if (wasRunning) return true;
    if (store.deploys(name, 1).length === 0) return false;
    await store.deleteDeploys(name);
    return true;
  }

  /** Removes a revision. @throws {Conflict} If it is the latest or in use. @throws {StaleError} @throws {NotFound} */
  async deleteRevision(name: string, revision: string, options: ChangeOptions): Promise<void> {
    await this.#change(name, "delete-revision", options, ({ service, revisions }) => {
      if (!namesOf(revisions).has(revision)) throw new NotFound(`${name} has no revision ${revision}`);
      if (revision === service.latestRevision) throw new Conflict(`${revision} is the latest of ${name}`);
      if (inTraffic(service).has(revision)) throw new Conflict(`${revision} has traffic or a tag; move it away first`);
      const isPrevious = service.previousTraffic.some((target) => target.revision === revision);
      return isPrevious ? { previousTraffic: [] } : {};
    }, [revision]);
    this.#images.sweep();
  }

  async #deploy(name: string, input: DeployInput, options: DeployOptions, signal: AbortSignal): Promise<Deployed> {
    const begun = await this.#begin(name, input, options);
    const template = canonicalTemplate(input.template);
    this.#secretVersions(template); // fails before the pull if a name is wrong
    const { image } = template;
    return await this.#recorder.record({ service: name, image, by: options.by }, signal, (running) => {
      return this.#tryDeploy({ name, input, options, begun, template, running }, signal);
    });
  }

  async #tryDeploy(
    { name, input, options, begun, template, running }: BegunDeploy,
    signal: AbortSignal,
  ): Promise<Deployed> {
    const { events, publisher } = this.#options;
    const { image, pullPolicy } = template;
    using found = await this.#images.find(image, pullPolicy, {
      signal,
      onProgress: ({ status, done, total, layer }) => {
        const data = defined({ image, done, total, status, layer });
        if (running.pull === undefined) events.emit("revision.pulling", name, data);
        else events.tell("revision.pulling", name, data);
        running.pull = { done, total };
      },
    });
    running.pull = undefined;
    const { imageId, digest: imageDigest, pulled } = found;
    const content = { template, imageId, imageDigest, pulled, secretVersions: this.#secretVersions(template) };
    const { wait } = options;
    const start = wait ? "instead" : "never";
    const numbered = () => this.#numbered({ name, input, options, begun, content, number: this.#nextNumber(name) });
    let deploy = await numbered();
    for (; this.#plan(deploy).change?.addRevision === undefined; deploy = await numbered()) {
      const deployed = await this.#commit(deploy, { made: [], start, signal }, false);
      if (deployed !== undefined) return deployed;
    }
    const { revision } = this.#plan(deploy);
    running.revision = revision.name;
    this.#noteTried(deploy);
    this.#trials.warnOfOthers(revision);
    if (found.hasHealthCheck) this.#trials.noteHealthCheck(revision, this.#declared.get(name)?.revisions ?? []);
    // Its pool is made when a request needs it, since most services sleep.
    if (!wait && needsNoPreparation(revision.template)) {
      return (await this.#commit(deploy, { made: [], start, signal }))!;
    }
    using onFailure = new DisposableStack();
    const pool = onFailure.adopt(await publisher.newPool(revision), (pool) => publisher.discard(pool));
    const hasVolumes = revision.template.volumes.length > 0;
    if (wait && !hasVolumes) await this.#trials.run(pool, signal);
    // A revision with volumes is tried during the commit, once the present holder of the volumes has stopped. Requests
    // are held meanwhile.
    running.isHandingOver = hasVolumes;
    const deployed = await this.#commit(deploy, { made: [pool], start: wait && hasVolumes ? "always" : start, signal });
    onFailure.move();
    return deployed!;
  }

  async #begin(name: string, input: DeployInput, { ifMatch }: PlanOptions): Promise<ServiceRecord | undefined> {
    const { rules } = this.#options;
    if (ifMatch !== undefined && this.#declared.service(name)?.generation !== ifMatch) await this.refresh(name);
    const begun = this.#declared.service(name);
    checkGeneration(name, begun, ifMatch);
    await checkDeploy(rules, name, input);
    checkDomains(rules, this.#declared, name, input.service.domains);
    checkSignIn(rules, this.#options.secrets, name, input.service, begun);
    return begun;
  }

  /** Plans what a deploy changes in the present state. When it is planned again, a new revision keeps its name. */
  #plan({ name, input, options, begun, content, number }: Deploy): DeployPlan {
    const { now, rules } = this.#options;
    const state = this.#declared.get(name);
    if (begun !== undefined && state === undefined) throw wasDeleted(name);
    checkGeneration(name, state?.service, options.ifMatch);
    checkDomains(rules, this.#declared, name, input.service.domains);
    const { by, declaredBy, renew = false } = options;
    const context = { name, state, last: this.#lastOf(name), number, at: now(), by, declaredBy, renew };
    const plan = planDeploy(context, content, input);
    if (plan.change !== undefined) this.#volumes.check(this.#after(plan.change));
    return plan;
  }

  /** Reserves the number of the new revision, if a deploy needs one in the present state. */
  async #numbered(deploy: Deploy): Promise<Deploy> {
    if (this.#plan(deploy).change?.addRevision === undefined) return deploy;
    return { ...deploy, number: await this.#options.store.reserveNumber(deploy.name, deploy.number) };
  }

  /**
   * Plans a deploy again, and commits the plan.
   *
   * @param mayAdd Whether it may have a new revision. If it needs one because another process has deployed meanwhile, but
   * may not have one, nothing is committed, and the result is `undefined`.
   */
  #commit(deploy: Deploy, options: HandoverOptions, mayAdd = true): Promise<Deployed | undefined> {
    const { name } = deploy;
    return this.#onNewest(name, async () => {
      options.signal.throwIfAborted();
      const { revision, change } = this.#plan(deploy);
      if (change?.addRevision !== undefined && !mayAdd) return undefined;
      if (change === undefined) {
        for (const pool of options.made) this.#options.publisher.discard(pool); // another process has deployed the same
        const service = this.#declared.service(name)!;
        return { service, revision, isChanged: false, hasNewRevision: false, isNewService: false };
      }
      const service = await this.#store(change, options);
      const hasNewRevision = change.addRevision !== undefined;
      if (hasNewRevision) this.#tried.delete(name); // the stored service has this number now
      const isNewService = change.expectedGeneration === undefined;
      return { service, revision, isChanged: true, hasNewRevision, isNewService };
    });
  }

  #change(
    name: string,
    action: string,
    { by, dryRun = false, ifMatch }: TrafficOptions,
    change: (state: DeclaredService) => { readonly traffic?: Traffic; readonly previousTraffic?: Traffic },
    removeRevisions: readonly string[] = [],
  ): Promise<ServiceRecord> {
    return this.#onNewest(name, async () => {
      const state = this.#mustGet(name, ifMatch);
      const before = state.service;
      const changed = change(state);
      const { traffic = before.traffic } = changed;
      const previousTraffic = changed.previousTraffic ?? previousAfter(before, traffic, before.latestRevision);
      if (removeRevisions.length === 0 && sameTraffic(before.traffic, traffic)) return before;
      if (dryRun) return { ...before, traffic, previousTraffic };
      const at = this.#options.now();
      const service = { ...before, traffic, previousTraffic, generation: before.generation + 1, updatedAt: at };
      const after = { ...historyOf(service), ...(removeRevisions.length === 0 ? {} : { removed: removeRevisions }) };
      const history = { at, service: name, action, by, before: historyOf(before), after };
      const committed = { service, expectedGeneration: before.generation, removeRevisions, history };
      return await this.#store(committed, { made: [], start: "instead", signal: NEVER });
    });
  }

  /**
   * Stores and publishes a change. No other change of the service may run at the same time. If it rejects, nothing has
   * changed.
   *
   * @throws {Conflict} @throws {RevisionFailed} If a handover of volumes fails.
   * @throws {StaleError} @throws {DomainTakenError} @throws {StoreUnavailable} As {@linkcode Store.change} does.
   * @throws If a secret of a revision cannot be read.
   */
  #store(change: ServiceChange, options: HandoverOptions): Promise<ServiceRecord> {
    const { events, publisher, store } = this.#options;
    const { service } = change;
    const tryRevision = (pool: InstancePool, signal: AbortSignal) => this.#trials.run(pool, signal);
    return this.#volumes.run(this.#after(change), options, tryRevision, async (made) => {
      const before = this.#declared.get(service.name);
      const { revisions } = this.#after(change);
      const publish = await publisher.prepare(service, revisions, made);
      await store.change(change);
      this.#declared.set(service.name, revisions.map(markOf), before);
      publish();
      emitChange(events, before?.service, change);
      return service;
    });
  }

  /**
   * Runs a change of a service while no other one runs. If another process has changed the service meanwhile, takes that
   * over and runs it again: a change that does not ask for a certain generation applies to any.
   */
  #onNewest<T>(name: string, change: () => Promise<T>): Promise<T> {
    return this.#changes.run(name, async () => {
      for (let tries = 1;; tries++) {
        try {
          return await change();
        } catch (error) {
          if (!(error instanceof StaleError || error instanceof NotFound) || tries >= MAX_TRIES) throw error;
          if (!await this.#refresh(name)) throw error;
        }
      }
    });
  }

  /** Takes over what another process has made of a service; resolves with whether it has changed. */
  async #refresh(name: string): Promise<boolean> {
    const { events, store } = this.#options;
    const foreign = await store.foreign(name);
    if (foreign === undefined) return false;
    const { revisions, service } = foreign;
    const before = this.#declared.get(name);
    if (service === undefined) {
      foreign.take();
      if (before !== undefined) this.#unpublish(before);
      return true;
    }
    const publish = await this.#prepare(service, revisions);
    foreign.take();
    this.#declared.set(name, revisions.map(markOf), before);
    publish();
    emitChange(events, before?.service, changeBetween(before, { service, revisions }, store.history(name, 1)[0]));
    return true;
  }

  /** Prepares the publication of a stored service. If a secret cannot be read now, each start tries again. */
  async #prepare(service: ServiceRecord, revisions: readonly RevisionRecord[]): Promise<() => void> {
    const { publisher } = this.#options;
    try {
      return await publisher.prepare(service, revisions);
    } catch {
      return () => tryPublish(service.name, () => publisher.publish(service, revisions));
    }
  }

  /** Forgets a service that was removed from the store. Resolves when its deploys, which it cancels, have ended. */
  #unpublish(state: DeclaredService): Promise<void> {
    const { events, publisher } = this.#options;
    const { name } = state.service;
    this.#declared.delete(state);
    publisher.remove(name);
    events.emit("service.deleted", name, {});
    return this.#deploys.cancel(name, wasDeleted(name));
  }

  /** The state of a service after a change. */
  #after({ service, addRevision, removeRevisions = [] }: ServiceChange): DeclaredService {
    const before = this.#declared.get(service.name)?.revisions ?? [];
    const revisions = [...before, ...addRevision === undefined ? [] : [addRevision]];
    return { service, revisions: revisions.filter(({ name }) => !removeRevisions.includes(name)) };
  }

  /** An existing service, at the given generation if any. @throws {NotFound} @throws {StaleError} */
  #mustGet(name: string, ifMatch: number | undefined): DeclaredService {
    const state = this.#declared.get(name);
    if (state === undefined) throw new NotFound(`there is no service ${name}`);
    checkGeneration(name, state.service, ifMatch);
    return state;
  }

  /** The present versions of a template's secrets. @throws {UnknownSecretError} */
  #secretVersions({ secretEnv }: RevisionTemplate): Record<string, number> {
    return this.#options.secrets.currentVersions(Object.values(secretEnv));
  }

  #lastOf(name: string): { readonly generation: number; readonly lastNumber: number } {
    return this.#declared.service(name) ?? lastNumbers(this.#options.store.history(name, HISTORY_ENTRIES));
  }

  /**
   * A number that no revision of the service has had, not even one whose trial failed: its containers may still exist.
   */
  #nextNumber(name: string): number {
    const stored = lastTried(this.#options.store.deploys(name, DEPLOYS_SEARCHED));
    return Math.max(this.#lastOf(name).lastNumber, stored, this.#tried.get(name) ?? 0) + 1;
  }

  #noteTried({ name, number }: Deploy): void {
    this.#tried.delete(name);
    this.#tried.set(name, number);
    if (this.#tried.size > MAX_TRIED) this.#tried.delete(this.#tried.keys().next().value!);
  }
}

function wasDeleted(name: string): Conflict {
  return new Conflict(`the service ${name} was deleted while it was being deployed`);
}

function tryPublish(service: string, publish: () => void): void {
  try {
    publish();
  } catch (error) {
    log.error("cannot publish a service", { service, reason: messageOf(error) });
  }
}

/** @throws {StaleError} If a service is not at the required generation. */
function checkGeneration(name: string, service: ServiceRecord | undefined, ifMatch: number | undefined): void {
  if (ifMatch === undefined || service?.generation === ifMatch) return;
  throw new StaleError(
    service === undefined
      ? `the service ${name} is not there any more`
      : `the service ${name} was changed in the meantime: it is at ${service.generation}, and not at ${ifMatch}`,
  );
}
