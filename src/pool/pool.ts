import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { InstanceState } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import { type Action, decide, mayEvict, retiredError } from "./decide.ts";
import type { Executor, Started } from "./executor.ts";
import { endOf, Health } from "./health.ts";
import { Instance, type InstanceOwner, type Lease, newInstanceId, type Suspicion } from "./instance.ts";
import type { Container, ContainerEvent } from "./launcher.ts";
import { type Grant, Slots } from "./slots.ts";
import { backgroundBackoffMs, crashLoop, type Failure, type Mishap, requestBackoffMs } from "./start_backoff.ts";
import { initialState, liveCount, type Member, type PoolEvent, type PoolState, reduce } from "./state.ts";

export type { Grant, Wake } from "./slots.ts";

const log = logger("pool");
/** How many cold starts are remembered. */
const MOST_STARTS = 9;

/** Where the instances of all pools are known, so that the engine's events find them. */
export interface Fleet {
  /** Takes in an instance before its container is asked for. */
  add(instance: Instance, pool: InstancePool): void;
}

/** Whoever wants to know what becomes of instances. */
export interface PoolObserver {
  /** An instance has come, or has gone from one state to another. */
  changed?(instance: Instance, before: InstanceState | undefined): void;
  /** A revision has failed; told once it is known what its app has written. */
  failed?(failure: Failure, pool: InstancePool): void;
  /** An instance has been started: how long its container took, and then its app. */
  started?(service: string, createMs: number, readyMs: number): void;
}

/** What all pools of the program share. */
export interface PoolContext {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly fleet: Fleet;
  readonly observer?: PoolObserver;
  /** How many requests may wait in each pool. */
  readonly maxPending: number;
  /** Makes the id of a new instance. */
  readonly newId?: (revision: Revision) => string;
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
}

/**
 * The instances of one revision: as many as its requests need, within its limits, and none if there are none.
 *
 * Whatever happens comes in by one door: the state takes it in ({@linkcode reduce}), waiting requests are served, and what
 * is to be done then ({@linkcode decide}) is begun and noted in the state at once, so that nothing is ordered twice. What
 * an order comes to is the next event. Requests that find a free slot do not pass the door.
 */
export class InstancePool implements InstanceOwner {
  readonly revision: Revision;
  /** See {@linkcode InstanceOwner}. */
  readonly freed: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #context: PoolContext;
  readonly #executor: Executor;
  readonly #random: () => number;
  readonly #slots: Slots;
  readonly #health: Health;
  readonly #instances = new Map<string, Instance>();
  readonly #coldStarts: number[] = [];
  readonly #events: PoolEvent[] = [];
  /** What is waited for, looked at after each event. */
  readonly #awaited = new Set<{ readonly isSo: () => boolean; readonly resolve: () => void }>();
  #state: PoolState;
  #isWorking = false;
  #lookAt = Infinity;
  #cancelLook: () => void = () => {};

  constructor(revision: Revision, context: PoolContext) {
    const { clock, executor, maxPending, random = Math.random } = this.#context = context;
    this.revision = revision;
    this.#clock = clock;
    this.#executor = executor;
    this.#random = random;
    this.#slots = new Slots(revision.concurrency, maxPending, random);
    this.#health = new Health(clock, executor.asking.ask);
    this.#state = initialState(revision, this.#slots);
    this.freed = revision.concurrency === 0 ? undefined : () => {
      this.#slots.freed();
      if (this.#slots.size > 0) this.#take({ type: "released" });
    };
  }

  /** How many requests wait for an instance. */
  get waiting(): number {
    return this.#slots.size;
  }

  /** Whether there is an instance that serves, or will soon. */
  get awake(): boolean {
    return liveCount(this.#state) > 0;
  }

  /** Whether an instance is ready, however busy. */
  get ready(): boolean {
    return this.states().includes("ready");
  }

  /** The state of each of its instances. */
  states(): InstanceState[] {
    return Array.from(this.#instances.values(), ({ state }) => state);
  }

  /** Whether there are as many instances as there may be. */
  get full(): boolean {
    return liveCount(this.#state) >= this.revision.maxInstances;
  }

  /** Why the revision does not work, if it has failed lately. */
  get failure(): Failure | undefined {
    return this.#state.backoff.failure;
  }

  /** How long requests are turned away because it fails again and again, ms; 0 if they are not. */
  get backOff(): number {
    return requestBackoffMs(this.#state.backoff, this.#clock.now());
  }

  /** Whether it has failed so lately that nothing is started that no request waits for. */
  get resting(): boolean {
    return backgroundBackoffMs(this.#state.backoff, this.#clock.now()) > 0;
  }

  /** How long its last cold starts took, ms: the median; `undefined` if there was none. */
  get usualColdStartMs(): number | undefined {
    const sorted = this.#coldStarts.toSorted((a, b) => a - b);
    const middle = sorted.length / 2;
    const [below, above] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
    return below === undefined || above === undefined ? undefined : (below + above) / 2;
  }

  /** Whether an instance has served within the last milliseconds, or does now. */
  usedWithin(ms: number): boolean {
    const since = this.#clock.now() - ms;
    return this.#state.members.some(({ use }) => use.inFlight > 0 || use.idleSince > since);
  }

  /**
   * Claims a slot on a ready instance; `undefined` if there is none, or requests wait for it.
   *
   * @param quiet Whether it is for a request that the instance is not kept awake for.
   */
  claim(quiet = false): Lease | undefined {
    return this.#slots.claim(quiet);
  }

  /**
   * Waits for a slot, and has instances started if there are too few. A start does not depend on who waits for it.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {ClessError} `overloaded` if too many wait; `start_failed` or `start_timeout` if the start came to that;
   * `crash_loop` if it has come to that several times; `draining` if the pool has retired.
   */
  async hold(signal: AbortSignal): Promise<Grant> {
    const { backoff, retired, suspensions } = this.#state;
    if (retired) throw retiredError();
    if (suspensions === 0 && !this.awake && this.backOff > 0) throw crashLoop(backoff, this.#clock.now());
    const granted = this.#slots.wait(signal);
    this.#take({ type: "asked" });
    return await granted;
  }

  /**
   * Waits for an instance, and asks nothing of it.
   *
   * @throws {ClessError} Why there is none, with what its app has written; the signal's reason if that is aborted.
   */
  async tryStart(signal: AbortSignal): Promise<void> {
    try {
      (await this.hold(signal)).lease.release();
    } catch (error) {
      if (!(error instanceof ClessError) || signal.aborted) throw error;
      const { code, detail = error.message, message } = error;
      throw new ClessError(code, message, { detail, output: await this.#executor.outputOf(error), cause: error });
    }
  }

  /** Begins to start or resume an instance, unless one is ready or on its way, or the last start has just failed. */
  wake(): void {
    this.#take({ type: "woken" });
  }

  /** Notes whether the revision gets requests, and so should have its smallest number of instances. */
  keep(kept: boolean): void {
    this.#take({ type: "kept", kept });
  }

  /** Resolves when no start or resume is under way. */
  settled(): Promise<void> {
    return this.#until(() => this.#state.members.every(({ coming }) => !coming));
  }

  /** Takes over a container that an earlier process has left; one that does not answer is removed. */
  adopt(container: Container & { origin: string }): void {
    const phase = container.state === "paused" ? "paused" : "starting";
    const instance = this.#newInstance(container.id);
    instance.found(container);
    this.#take({ type: "found", id: container.id, use: instance, phase });
    if (phase === "starting") this.#follow(instance, this.#executor.adopt(instance, container.upFor));
  }

  /** Takes note of what has happened to the container of one of its instances. */
  observe(instance: Instance, event: Omit<ContainerEvent, "id">): void {
    const { id, state } = instance;
    if (event.what !== "ended") return this.#take({ type: `engine ${event.what}`, id });
    instance.exitCode = event.exitCode;
    instance.oom = event.oom ?? false;
    instance.byHand = event.byHand ?? event.exitCode === undefined;
    const { memory, service } = this.revision;
    const reason = endOf(event, memory);
    const ended = { type: "engine ended", id, byHand: instance.byHand, mishap: this.#mishap(reason) } as const;
    if (state !== "ready" && state !== "paused") return this.#take(ended);
    instance.failure = reason;
    log.warning("instance ended", { service, instance: id, exitCode: event.exitCode, reason });
    this.#take({ ...ended, output: this.#executor.written(instance) });
  }

  /** Stops a paused instance before its time, if that may be; resolves when it is gone. */
  async evict({ id }: Instance): Promise<void> {
    if (!mayEvict(this.#state, id)) return;
    this.#take({ type: "drained", id, by: this.#clock.now() });
    await this.#gone([id]);
  }

  /**
   * Ends the pool: serves the waiting requests, lets what is in flight finish, and stops the instances.
   *
   * @param drainTimeoutMs After this the instances are stopped whatever they do.
   */
  async retire(drainTimeoutMs: number): Promise<void> {
    const deadline = this.#clock.now() + drainTimeoutMs;
    this.#take({ type: "retired" });
    if (this.#state.suspensions === 0 && this.waiting > 0) {
      await atMost(this.#slots.emptied(), this.#clock, drainTimeoutMs);
    }
    this.#slots.refuse(retiredError());
    await this.#drain(this.#state.members, deadline);
    await this.settled(); // a start that was called off has yet to notice
  }

  /**
   * Stops the present instances, after the waiting requests and what is in flight. The pool goes on: new requests get
   * another instance; with volumes, once the old one has let go of them. Until a request comes it has no instance,
   * whatever its smallest number is.
   *
   * @param drainTimeoutMs After this the instances are stopped whatever they do.
   */
  async sleep(drainTimeoutMs: number): Promise<void> {
    const deadline = this.#clock.now() + drainTimeoutMs;
    this.#take({ type: "fell asleep" });
    if (this.waiting > 0) await atMost(this.#slots.emptied(), this.#clock, drainTimeoutMs);
    if (this.revision.volumes.length > 0) {
      await this.suspend(deadline - this.#clock.now());
      return this.resume();
    }
    // A start that a request waits for goes on.
    const { members } = this.#state;
    await this.#drain(members.filter(({ phase }) => phase !== "starting" || this.waiting === 0), deadline);
  }

  /**
   * Stops the instances, after what is in flight, and starts none until {@linkcode resume}: all requests wait. Suspended
   * twice, it has to be resumed twice.
   *
   * @param drainTimeoutMs After this the instances are stopped whatever they do.
   */
  async suspend(drainTimeoutMs: number): Promise<void> {
    const drained = this.#drain(this.#state.members, this.#clock.now() + drainTimeoutMs, { type: "suspended" });
    await Promise.all([drained, atMost(this.settled(), this.#clock, drainTimeoutMs)]);
  }

  /** Ends what {@linkcode suspend} has begun: waiting requests get an instance. */
  resume(): void {
    this.#take({ type: "unsuspended" });
  }

  /** Sends all waiting requests away. */
  refuse(error: ClessError): void {
    this.#slots.refuse(error);
  }

  /** See {@linkcode InstanceOwner}. */
  moved(instance: Instance, before: InstanceState): void {
    if (instance.state === "ready") {
      const wasFound = instance.coldStartMs === undefined;
      this.#slots.add(instance, before === "paused" ? "resume" : wasFound ? undefined : "cold");
    } else if (before === "ready") this.#slots.delete(instance);
    this.#context.observer?.changed?.(instance, before);
  }

  /** See {@linkcode InstanceOwner}. */
  suspect(instance: Instance, why: Suspicion): void {
    const isDead = this.#health.suspect(instance, why);
    if (isDead === true) this.#unhealthy(instance, false);
    else if (isDead !== false) isDead.then((isDead) => isDead && this.#unhealthy(instance, false));
  }

  /** The one door. Events that come while others are being worked on wait for them. */
  #take(...events: PoolEvent[]): void {
    this.#events.push(...events);
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      this.#work();
    } finally {
      this.#isWorking = false;
    }
    for (const awaited of this.#awaited) {
      if (!awaited.isSo()) continue;
      this.#awaited.delete(awaited);
      awaited.resolve();
    }
  }

  #work(): void {
    for (;;) {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) this.#apply(event);
      if (this.#state.suspensions === 0) this.#slots.serve();
      const { actions, lookAgainAt } = decide(this.#state, this.#clock.now());
      for (const action of actions) this.#begin(action);
      if (actions.length === 0 && this.#events.length === 0) return this.#setAlarm(lookAgainAt);
    }
  }

  /** One alarm; one that comes too early does no harm. */
  #setAlarm(at: number): void {
    if (at >= this.#lookAt && at !== Infinity) return;
    this.#cancelLook();
    this.#lookAt = at;
    if (at === Infinity) return;
    this.#cancelLook = this.#clock.after(Math.ceil(at - this.#clock.now()), () => {
      this.#lookAt = Infinity;
      this.#take({ type: "looked", peak: this.#slots.takePeak() });
    });
  }

  #apply(event: PoolEvent): void {
    const before = this.#state;
    this.#state = reduce(before, event, this.#clock.now());
    const { backoff: { failure }, members } = this.#state;
    if (members !== before.members) this.#moveInstances(before.members, event);
    if (failure === before.backoff.failure || failure === undefined || event.type === "explained") return;
    const output = "output" in event ? event.output : undefined;
    (output ?? Promise.resolve("")).then((output) => {
      const explained = { ...failure, output };
      this.#take({ type: "explained", failure, by: explained });
      this.#context.observer?.failed?.(explained, this);
    });
  }

  /** Has the instances follow the state. */
  #moveInstances(before: readonly Member[], event: PoolEvent): void {
    const after = new Map(this.#state.members.map((member) => [member.id, member]));
    for (const was of before) {
      const instance = this.#instances.get(was.id);
      const is = after.get(was.id);
      if (instance === undefined || is === was) continue;
      if (is === undefined) {
        this.#instances.delete(was.id);
        instance.end(event.type === "start failed" ? "failed" : "stopped");
      } else if (is.phase !== was.phase) this.#move(instance, was, is);
    }
    for (const { id, phase } of this.#state.members.slice(before.length)) {
      if (phase === "paused") this.#instances.get(id)?.become("paused");
    }
  }

  #move(instance: Instance, was: Member, is: Member): void {
    const { id } = instance;
    // Whoever had it started or resumed has it run for a while; an engine that did not pause it has not.
    if (is.phase === "ready" && (was.coming || !was.pausing)) instance.touch();
    if (is.phase === "draining") instance.untilIdle().then(() => this.#take({ type: "released" }));
    if (instance.state !== is.phase) instance.become(is.phase);
    if (is.phase === "stopped" || is.phase === "failed") log.debug("instance has ended", { instance: id });
  }

  #begin(action: Action): void {
    if (action.do === "refuse") return this.#slots.refuse(action.error);
    if (action.do === "launch") return this.#launch();
    const { id } = action;
    const instance = this.#instances.get(id)!;
    switch (action.do) {
      case "resume":
        this.#apply({ type: "resuming", id });
        return void this.#resume(instance);
      case "pause":
        this.#apply({ type: "pausing", id });
        return void this.#pause(instance);
      case "probe":
        this.#apply({ type: "probing", id });
        return void this.#probe(instance);
      case "thaw":
        this.#apply({ type: "thawed", id });
        return this.#executor.thaw(instance);
      case "drain": {
        const message = action.why === "idle" ? "instance idle" : "instance not needed";
        log.info(message, { service: this.revision.service, instance: id });
        return this.#apply({ type: "drained", id, by: action.by, isSurplus: action.why === "surplus" });
      }
      case "stop":
        this.#apply({ type: "stopping", id });
        this.#executor.stop(instance, action.how).then(() => this.#take({ type: "gone", id }));
    }
  }

  #launch(): void {
    const { newId = newInstanceId } = this.#context;
    const instance = this.#newInstance(newId(this.revision));
    this.#apply({ type: "launched", id: instance.id, use: instance });
    this.#follow(instance, this.#executor.start(instance));
  }

  #newInstance(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#clock, this);
    this.#instances.set(id, instance);
    this.#context.fleet.add(instance, this);
    this.#context.observer?.changed?.(instance, undefined);
    return instance;
  }

  /** Waits for what a start comes to. */
  async #follow(instance: Instance, starting: Promise<Started>): Promise<void> {
    const { id } = instance;
    const started = await starting;
    if ("error" in started) {
      const { blame, error, output } = started;
      instance.failure = error.detail;
      return this.#take({ type: "start failed", id, error, blame, output, mishap: this.#mishap(error.detail ?? "") });
    }
    if (instance.coldStartMs !== undefined) {
      this.#coldStarts.push(instance.coldStartMs);
      if (this.#coldStarts.length > MOST_STARTS) this.#coldStarts.shift();
      this.#context.observer?.started?.(this.revision.service, started.createMs, started.readyMs);
    }
    this.#take({ type: "ready", id });
  }

  async #resume(instance: Instance): Promise<void> {
    const { id } = instance;
    const attempt = this.#state.members.find((member) => member.id === id)!.attempt;
    const outcome = await this.#executor.resume(instance);
    instance.changed();
    if (typeof outcome === "string") return this.#take({ type: outcome, id, attempt });
    const error = outcome.error instanceof ClessError ? outcome.error : undefined;
    this.#take({ type: "resume failed", id, attempt, error });
  }

  async #pause(instance: Instance): Promise<void> {
    const { id } = instance;
    const outcome = await this.#executor.pause(instance);
    instance.changed();
    this.#take(outcome === "paused" ? { type: "paused", id } : { type: "pause failed", id, runs: outcome === "runs" });
  }

  async #probe(instance: Instance): Promise<void> {
    const { path, every } = this.revision.liveness!;
    const isWell = await this.#health.probe(instance, path, every);
    if (isWell) this.#take({ type: "well", id: instance.id });
    else this.#unhealthy(instance, true);
  }

  /** @param byApp Whether it is the app's doing for sure. */
  #unhealthy(instance: Instance, byApp: boolean): void {
    const { id } = instance;
    if (instance.state !== "ready") return;
    log.warning("instance does not answer", { service: this.revision.service, instance: id });
    const reason = instance.failure = "the app did not answer any more";
    const noted = { mishap: this.#mishap(reason), ...(byApp ? { output: this.#executor.written(instance) } : {}) };
    this.#take({ type: "unhealthy", id, byApp, ...noted });
  }

  #mishap(reason: string): Mishap {
    return { reason, at: new Date(), chance: this.#random() };
  }

  /** Has instances end by a time; resolves when those are gone whose start was not just called off. */
  async #drain(members: readonly Member[], by: number, ...first: PoolEvent[]): Promise<void> {
    const ending = members.filter(({ phase }) => phase === "ready" || phase === "paused" || phase === "draining");
    this.#take(...first, ...members.map(({ id }): PoolEvent => ({ type: "drained", id, by })));
    await this.#gone(ending.map(({ id }) => id));
  }

  #gone(ids: readonly string[]): Promise<void> {
    return this.#until(() => this.#state.members.every(({ id }) => !ids.includes(id)));
  }

  /** Resolves when something is so, which can come by events only. */
  #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => this.#awaited.add({ isSo, resolve }));
  }
}
