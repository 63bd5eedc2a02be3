import { Alarm } from "../base/alarm.ts";
import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { Conditions } from "../base/conditions.ts";
import { ClessError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type InstanceState, isAsleep } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { Asker, Waker } from "../model/waker.ts";
import { type Action, decide, mayEvict, type Means, retiredError, type Tenure } from "./decide.ts";
import type { Executor, Started } from "./executor.ts";
import { Failures, type Judged } from "./failures.ts";
import type { HeldSlots, SlotUser } from "./held_slots.ts";
import { HoldQueue, tooMany } from "./hold_queue.ts";
import { Instance, type InstanceOwner, type Lease, newInstanceId, type Suspicion, type Visits } from "./instance.ts";
import type { ContainerEvent, Reached } from "./launcher.ts";
import type { PoolObserver } from "./observer.ts";
import { Pace } from "./pace.ts";
import { Slots } from "./slots.ts";
import { backgroundBackoffMs, crashLoop, type Failure, requestBackoffMs } from "./start_backoff.ts";
import {
  comingCount,
  initialState,
  liveCount,
  type Member,
  type PoolEvent,
  type PoolState,
  readyCount,
  reduce,
} from "./state.ts";
import { type WakeTier, WakeTimes } from "./wake_times.ts";

const log = logger("pool");
/** An instance that others have used within this time is not surplus, ms. */
const SHARED_USE_MS = 10_000;

/** A lease, and what the request had to wait for, if anything. */
export interface Grant {
  readonly lease: Lease;
  readonly how?: WakeTier;
}

/** What all pools of the program share. */
export interface PoolContext {
  readonly clock: Clock;
  readonly executor: Executor;
  /** Gets each instance before its container is requested, so that the engine's events find it. */
  readonly fleet: { add(instance: Instance, pool: InstancePool): void };
  readonly observer?: PoolObserver;
  readonly maxPending: number;
  /** Counts the requests of the pool's service. */
  readonly visits?: Visits;
  /** What this process may do; all if missing. Call {@linkcode InstancePool.look} after a change. */
  readonly role?: { readonly now: { readonly tenure: Tenure } };
  /** Makes the id of another instance. @param isMember Whether an instance has it that has not left the pool yet. */
  readonly newId?: (revision: Revision, isMember: (id: string) => boolean) => string;
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
}

/**
 * The instances of one revision: as many as its requests need, within its limits.
 *
 * Every event goes through one function. It updates the state ({@linkcode reduce}), serves waiting requests, and begins
 * the actions that follow ({@linkcode decide}). It notes these in the state at once, so that no action begins twice.
 * The outcome of an action is another event. Requests that find a free slot bypass this function.
 */
export class InstancePool implements InstanceOwner {
  readonly revision: Revision;
  readonly #clock: Clock;
  readonly #context: PoolContext;
  readonly #executor: Executor;
  readonly #queue: HoldQueue<Lease>;
  readonly #slots: Slots;
  readonly #failures: Failures;
  readonly #pace: Pace;
  readonly #wakeTimes: WakeTimes;
  readonly #events: PoolEvent[] = [];
  /** Rings for the next decision. */
  readonly #alarm: Alarm;
  /** Checked after each event. */
  readonly #conditions = new Conditions();
  #state: PoolState;
  #isWorking = false;

  constructor(revision: Revision, context: PoolContext) {
    const { clock, executor, maxPending, random = Math.random } = this.#context = context;
    this.revision = revision;
    this.#clock = clock;
    this.#executor = executor;
    this.#queue = new HoldQueue(maxPending);
    this.#slots = new Slots(this.#queue, random);
    this.#pace = new Pace(clock);
    this.#alarm = new Alarm(clock);
    this.#wakeTimes = new WakeTimes(clock, this.#queue, context.observer);
    this.#failures = new Failures(clock, executor, random, context.observer);
    this.#state = initialState(revision, this.#queue);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Whether an instance serves or could serve soon, be it asleep or starting. */
  get live(): boolean {
    return liveCount(this.#state) > 0;
  }

  /** Whether an instance is ready, even if it is full. */
  get ready(): boolean {
    return readyCount(this.#state) > 0;
  }

  states(): InstanceState[] {
    return this.#state.members.map(({ phase }) => phase);
  }

  /** Whether there are as many instances as the revision may have. */
  get full(): boolean {
    return liveCount(this.#state) >= this.revision.maxInstances;
  }

  /** Why the revision does not work, if it has failed recently. */
  get failure(): Failure | undefined {
    return this.#state.backoff.failure;
  }

  /** The last failure, unless an instance has served a request after it. */
  get failing(): Failure | undefined {
    const { failure, since } = this.#state.backoff;
    return since === undefined ? undefined : failure;
  }

  /** The remaining time for which requests are refused because of repeated failures, ms; 0 if they are not. */
  get backoffMs(): number {
    return requestBackoffMs(this.#state.backoff, this.#clock.now());
  }

  /** Whether a recent failure prevents starts that no request waits for. */
  get backingOff(): boolean {
    return backgroundBackoffMs(this.#state.backoff, this.#clock.now()) > 0;
  }

  /** The median time of its last cold starts, ms; `undefined` if there was none. */
  get usualColdStartMs(): number | undefined {
    return this.#wakeTimes.usualColdStartMs;
  }

  /** Whether an instance serves now, or has served, started or resumed within the last `ms`. */
  usedWithin(ms: number): boolean {
    const since = this.#clock.now() - ms;
    return this.#state.members.some(({ use }) => use.inFlight > 0 || use.idleSince > since);
  }

  /** Claims a slot on a ready instance; `undefined` if there is none. @param quiet See {@linkcode Lease.quiet}. */
  claim(quiet = false): Lease | undefined {
    const lease = this.#slots.claim(quiet);
    const { visits } = this.#context;
    if (lease === undefined || quiet || visits === undefined) return lease;
    visits.came();
    lease.visits = visits;
    return lease;
  }

  /** Restarts the idle time of a ready instance that has a free slot, without a request. Returns whether there is one. */
  touch(): boolean {
    return this.#slots.touch();
  }

  /**
   * Waits for a slot, and starts instances if there are too few. A start continues even if no request waits any more.
   *
   * @param asker Who waits.
   * @throws {ClessError} `overloaded` if too many wait; `start_failed` or `start_timeout` for a failed start;
   * `crash_loop` after several failed starts; `draining` if the pool has retired.
   */
  async hold(signal: AbortSignal, asker?: Asker): Promise<Grant> {
    const { visits } = this.#context;
    visits?.came();
    try {
      const grant = await this.#hold(signal, asker);
      grant.lease.visits = visits;
      return grant;
    } catch (error) {
      visits?.left(this.#clock.now());
      throw error;
    }
  }

  async #hold(signal: AbortSignal, asker?: Asker): Promise<Grant> {
    const { backoff, retired, suspensions } = this.#state;
    if (retired) throw retiredError();
    if (suspensions === 0 && !this.live && this.backoffMs > 0) throw crashLoop(backoff, this.#clock.now());
    if (!this.ready || comingCount(this.#state) > 0) this.#pace.restart();
    else if (this.waiting >= this.#pace.limit(this.waiting)) throw tooMany();
    const wakesBefore = this.#wakeTimes.count;
    const granted = this.#slots.wait(signal, asker);
    this.#take({ type: "asked" });
    const lease = await granted;
    const how = this.#wakeTimes.wakeSince(lease.instance, wakesBefore);
    return how === undefined ? { lease } : { lease, how };
  }

  /**
   * Opens a session of an operator on an instance, and starts or resumes one if none is ready. A session takes no slot,
   * so that it neither waits for requests nor keeps any from the app.
   *
   * @param by The operator. @throws {ClessError} As {@linkcode tryStart}.
   */
  async enter(signal: AbortSignal, by: Waker): Promise<Lease> {
    return this.#slots.enter(by) ?? await this.#explained(signal, async () => {
      const { lease } = await this.#hold(signal, () => by);
      const session = lease.instance.enter(by);
      lease.release();
      return session;
    });
  }

  /** Waits for an instance without using it. @throws {ClessError} Why there is none, with the app's output. */
  async tryStart(signal: AbortSignal, asker?: Asker): Promise<void> {
    await this.#explained(signal, async () => (await this.#hold(signal, asker)).lease.release());
  }

  /** Starts or resumes an instance, unless one is ready or coming up, or the last start has just failed. */
  wake(): void {
    this.#take({ type: "woken" });
  }

  /** Decides again what to do, for example after a change of what this process may do. */
  look(): void {
    this.#take({ type: "looked", peak: this.#slots.takePeak() });
  }

  /**
   * Notes whether the minimum of instances must be kept up: only while the revision has a share of its service's
   * requests.
   */
  keep(kept: boolean): void {
    this.#take({ type: "kept", kept });
  }

  settled(): Promise<void> {
    return this.#conditions.until(() => this.#state.members.every(({ coming }) => !coming));
  }

  /** Adopts a container of an earlier process; removes it if its app does not answer. */
  adopt(container: Reached): void {
    this.#adopt(container);
  }

  /** @param before What happened before it was found. */
  #adopt(container: Reached, ...before: PoolEvent[]): void {
    const phase = container.state === "paused" ? "paused" : "starting";
    const instance = this.#newInstance(container.id);
    instance.origin = container.origin;
    instance.startedAt = new Date(Date.now() - (container.upFor ?? 0));
    if (phase === "paused") instance.become("paused");
    this.#take(...before, { type: "found", id: container.id, use: instance, phase });
    if (phase === "starting") this.#follow(instance, this.#executor.adopt(instance, container.upFor));
  }

  observe(instance: Instance, event: Omit<ContainerEvent, "id">): void {
    const { id, inFlight, state } = instance;
    // While paused, the app would neither become ready nor finish its requests.
    const isNeeded = state === "starting" || (state === "draining" && inFlight > 0);
    if (event.what === "paused" && isNeeded) return this.#executor.undoPause(instance);
    if (event.what !== "ended") return this.#take({ type: `engine ${event.what}`, id });
    // Otherwise, this is the event of its removal.
    if (!instance.gone.aborted) this.#take(this.#failures.ended(instance, event));
  }

  /** Hibernates a paused instance early. Resolves with whether it hibernates. */
  async hibernate(instance: Instance): Promise<boolean> {
    const { id } = instance;
    const { retired, suspensions } = this.#state;
    if (retired || suspensions > 0 || this.#means().tenure !== "all" || !mayEvict(this.#state, id)) return false;
    this.#take({ type: "pressed", id });
    await this.#conditions.until(() => this.#memberOf(id)?.pressed !== true);
    return instance.state === "hibernated";
  }

  /** Notes that the memory of a hibernated instance is in RAM again, though no request has woken it. */
  memoryBack({ id }: Instance): void {
    this.#take({ type: "memory back", id });
  }

  /** Gives an instance no more requests, and waits for those in flight, since the cless that decides is ending it. */
  async letGo({ id }: Instance, withinMs: number): Promise<void> {
    const member = this.#memberOf(id);
    if (member !== undefined) await this.#drain([member], this.#clock.now() + withinMs);
  }

  /** Stops a sleeping instance early, if that is allowed; resolves when it is gone. */
  async evict({ id }: Instance): Promise<void> {
    if (!mayEvict(this.#state, id)) return;
    const member = this.#memberOf(id)!;
    this.#take({ type: "draining", id, by: this.#clock.now() });
    await this.#gone([member]);
  }

  /**
   * Ends the pool. Serves the waiting requests, then stops each instance once its requests have ended or time is up.
   */
  async retire(drainTimeoutMs: number): Promise<void> {
    const deadline = this.#clock.now() + drainTimeoutMs;
    this.#take({ type: "retired" });
    if (this.#state.suspensions === 0 && this.waiting > 0) {
      await atMost(this.#queue.emptied(), this.#clock, drainTimeoutMs);
    }
    this.#queue.fail(retiredError());
    await this.#drain(this.#state.members, deadline);
    await this.settled(); // a cancelled start may not have ended yet
  }

  /**
   * Serves the waiting requests, then stops each present instance once its requests have ended or time is up. A new
   * request starts another instance. If the revision has volumes, that start waits until the old instance has ended.
   * Until a new request comes, the minimum of instances is not kept up.
   */
  async sleep(drainTimeoutMs: number): Promise<void> {
    const deadline = this.#clock.now() + drainTimeoutMs;
    this.#take({ type: "fell asleep" });
    if (this.waiting > 0) await atMost(this.#queue.emptied(), this.#clock, drainTimeoutMs);
    if (this.revision.volumes.length > 0) {
      await this.suspend(deadline - this.#clock.now());
      return this.unsuspend();
    }
    // A start that a request waits for continues.
    const { members } = this.#state;
    await this.#drain(members.filter(({ phase }) => phase !== "starting" || this.waiting === 0), deadline);
  }

  /**
   * Stops each instance once its requests in flight have ended or time is up. Other requests wait until {@linkcode
   * unsuspend} is called.
   */
  async suspend(drainTimeoutMs: number): Promise<void> {
    const drained = this.#drain(this.#state.members, this.#clock.now() + drainTimeoutMs, { type: "suspended" });
    await Promise.all([drained, atMost(this.settled(), this.#clock, drainTimeoutMs)]);
  }

  /** Undoes one {@linkcode suspend}. The pool serves again when all suspensions are undone. */
  unsuspend(): void {
    this.#take({ type: "unsuspended" });
  }

  /** Gives back the slots that others may use too, each once it is free: another process of this node gets requests. */
  giveBackSlots(): void {
    for (const member of this.#state.members) {
      const instance = instanceOf(member);
      instance.held?.leave();
      if (instance.held?.isDue) this.#giveBack(instance, instance.held);
    }
  }

  refuse(error: ClessError): void {
    this.#queue.fail(error);
  }

  moved(instance: Instance, before: InstanceState): void {
    if (instance.state === "ready") {
      this.#slots.add(instance);
      this.#pace.restart();
    } else if (before === "ready") this.#slots.delete(instance);
    this.#wakeTimes.moved(instance, before);
    this.#context.observer?.changed?.(instance, before);
  }

  answeredAfterWake(instance: Instance): void {
    this.#wakeTimes.answered(instance);
  }

  unansweredAfterWake(instance: Instance): void {
    this.#wakeTimes.unanswered(instance);
  }

  claimed(): void {
    if (this.revision.concurrency > 0) this.#slots.claimed();
  }

  freed(instance: Instance): void {
    if (this.revision.concurrency === 0) return; // slots are not limited
    this.#slots.freed();
    this.#pace.freed();
    if (instance.held?.isDue) this.#giveBack(instance, instance.held);
    if (this.#queue.size > 0) this.#take({ type: "released" });
  }

  suspect(instance: Instance, why: Suspicion): void {
    const { role } = this.#context;
    if (role !== undefined && role.now.tenure !== "all") return; // neither process judges apps during a take-over
    this.#takeJudged(instance, this.#failures.suspect(instance, why));
  }

  isOurs(instance: Instance): boolean {
    return this.#executor.isOurs(instance);
  }

  answers(instance: Instance, withinMs: number): Promise<boolean> {
    return this.#failures.answers(instance, withinMs);
  }

  /** Waits for an instance. If there is none, the error tells operators why, with the app's output. */
  async #explained<T>(signal: AbortSignal, wait: () => Promise<T>): Promise<T> {
    try {
      return await wait();
    } catch (error) {
      if (!(error instanceof ClessError) || signal.aborted) throw error;
      throw await this.#executor.explain(error);
    }
  }

  /** Takes every event. An event that arrives while another is being handled is queued. */
  #take(...events: PoolEvent[]): void {
    this.#events.push(...events);
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      this.#work();
    } finally {
      this.#isWorking = false;
    }
    this.#conditions.check();
  }

  #work(): void {
    for (;;) {
      do {
        const event = this.#events.shift();
        if (event !== undefined) this.#apply(event);
        // The next event clears the error of a failed start, so the waiting requests must get it first.
      } while (this.#events.length > 0 && this.#state.startError === undefined);
      if (this.#state.suspensions === 0) this.#slots.serve();
      const { actions, lookAgainAt } = decide(this.#state, this.#clock.now(), this.#means());
      for (const action of actions) this.#begin(action);
      if (actions.length > 0 || this.#events.length > 0) continue;
      return this.#alarm.set(lookAgainAt, () => this.look()); // deciding too early does no harm
    }
  }

  #means(): Means {
    return { tenure: this.#context.role?.now.tenure ?? "all", canHibernate: this.#executor.canHibernate };
  }

  #apply(event: PoolEvent): void {
    const before = this.#state;
    this.#state = reduce(before, event, this.#clock.now());
    const { backoff: { failure }, members } = this.#state;
    if (members !== before.members) this.#moveInstances(before.members, event);
    if (failure === before.backoff.failure || failure === undefined || !("mishap" in event)) return;
    Promise.resolve(event.mishap.output).then((output = "") => {
      failure.output = output;
      this.#context.observer?.failed?.(this.revision, failure);
    });
  }

  #moveInstances(before: readonly Member[], event: PoolEvent): void {
    const after = new Map(this.#state.members.map((member) => [member.id, member]));
    for (const was of before) {
      const is = after.get(was.id);
      const instance = instanceOf(was);
      if (is?.phase === "hibernated" || (is?.reclaimed === true && !was.reclaimed)) instance.isInSwap = true;
      if (event.type === "memory back" && event.id === was.id) instance.isInSwap = false;
      if (is !== undefined && is.phase !== was.phase) this.#move(was, is);
      if (is?.hung === true && !was.hung) instance.abortRequests();
      if (is === undefined && !instance.gone.aborted) {
        instance.become(event.type === "start failed" ? "failed" : "stopped");
      }
    }
  }

  #move(was: Member, is: Member): void {
    const instance = instanceOf(is);
    // Starting or resuming an instance resets its idle time; a failed pause does not.
    if (is.phase === "ready" && (was.coming || !was.pausing)) instance.idleSince = this.#clock.now();
    if (is.phase === "draining") instance.untilIdle().then(() => this.#take({ type: "released" }));
    instance.become(is.phase);
    if (instance.gone.aborted) log.debug("instance has ended", { instance: is.id });
  }

  #begin(action: Action): void {
    if (action.do === "refuse") return this.#queue.fail(action.error);
    if (action.do === "launch") return this.#launch();
    const { id } = action;
    const instance = instanceOf(this.#memberOf(id)!);
    switch (action.do) {
      case "resume":
        this.#apply({ type: "resuming", id });
        this.#wakeTimes.resuming(instance);
        return void this.#order(instance, this.#executor.resume(instance, this.#memberOf(id)!.attempt));
      case "pause":
        this.#apply({ type: "pausing", id });
        return void this.#order(instance, this.#executor.pause(instance));
      case "hibernate":
      case "reclaim": {
        this.#apply({ type: "hibernating", id });
        const type = action.do === "hibernate" ? "hibernated" : "reclaimed";
        return void this.#order(instance, this.#executor.hibernate(instance, this.#memberOf(id)!.attempt, type));
      }
      case "get slots":
        this.#apply({ type: "getting slots", id });
        return void this.#executor.getSlots(instance).then((event) => this.#take(event));
      case "probe":
        this.#apply({ type: "probing", id });
        return void this.#takeJudged(instance, this.#failures.probe(instance));
      case "drain": {
        if (!this.#executor.isShared) return this.#apply(this.#drainOf(action));
        this.#apply({ type: "asking", id });
        return void this.#drainIfAgreed(instance, action);
      }
      case "stop":
        this.#apply({ type: "stopping", id });
        this.#executor.stop(instance, action.how).then(() => this.#take({ type: "gone", id }));
    }
  }

  #memberOf(id: string): Member | undefined {
    return this.#state.members.find((member) => member.id === id);
  }

  #launch(): void {
    const { newId = newInstanceId } = this.#context;
    const instance = this.#newInstance(newId(this.revision, (id) => this.#memberOf(id) !== undefined));
    this.#wakeTimes.launching(instance);
    this.#apply({ type: "launched", id: instance.id, use: instance });
    this.#follow(instance, this.#executor.start(instance));
  }

  #newInstance(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#clock, this);
    instance.held = this.#executor.holdSlots(instance, this.#userOf(instance));
    this.#context.fleet.add(instance, this);
    this.#context.observer?.changed?.(instance, undefined);
    return instance;
  }

  /** How this pool uses the slots of an instance. */
  #userOf(instance: Instance): SlotUser {
    const queue = this.#queue;
    return {
      get requests() {
        return instance.requests;
      },
      get waiting() {
        return queue.size;
      },
      get isGone() {
        return instance.gone.aborted;
      },
      came: () => this.waiting > 0 && this.look(),
    };
  }

  /** Gives back slots that others wait for. They come back when it is this process's turn again. */
  #giveBack({ id }: Instance, held: HeldSlots): void {
    if (this.#executor.giveBack(held) && this.waiting > 0) this.#take({ type: "got slots", id, isShort: true });
  }

  async #follow(instance: Instance, starting: Promise<Started>): Promise<void> {
    const { id } = instance;
    const started = await starting;
    if ("error" in started) {
      const isCancelled = this.#memberOf(id)?.phase === "stopped";
      const { servedBy } = started;
      if (servedBy === undefined || isCancelled) {
        return this.#take(this.#failures.startFailed(instance, started, isCancelled));
      }
      // Another start of this pool may have found it too.
      const isAdopted = this.#memberOf(servedBy.id) !== undefined;
      return isAdopted ? this.#take({ type: "gone", id }) : this.#adopt(servedBy, { type: "gone", id });
    }
    if (instance.coldStartMs !== undefined) {
      this.#context.observer?.started?.(this.revision, started.createMs, started.readyMs);
      this.#wakeTimes.started(instance, started.createMs + started.readyMs);
    }
    this.#take({ type: "ready", id });
  }

  async #order(instance: Instance, outcome: Promise<PoolEvent>): Promise<void> {
    const event = await outcome;
    instance.changes++; // whatever the outcome, the container may have changed
    this.#take(event);
  }

  #drainOf({ by, id, why }: Extract<Action, { do: "drain" }>): PoolEvent {
    const message = why === "idle" ? "instance idle" : "instance not needed";
    log.info(message, { service: this.revision.service, instance: id });
    return { type: "draining", id, by, isSurplus: why === "surplus" };
  }

  /** Drains an instance if nobody else uses it, and nobody has used it here meanwhile. */
  async #drainIfAgreed(instance: Instance, action: Extract<Action, { do: "drain" }>): Promise<void> {
    const { id } = instance;
    const isIdle = action.why === "idle";
    const before = instance.idleSince;
    const agreed = await this.#executor.mayEnd(instance, isIdle ? this.revision.stopAfterMs : SHARED_USE_MS);
    const isUsed = isIdle && (instance.inUse > 0 || instance.idleSince > before);
    if (agreed && isUsed) this.#executor.runsOn(instance);
    this.#take(agreed && !isUsed ? this.#drainOf(action) : { type: "disagreed", id });
  }

  /** Takes the event that follows from an observation of an instance, if one does. */
  #takeJudged(instance: Instance, judged: Judged | Promise<Judged>): void {
    if (judged instanceof Promise) return void judged.then((event) => this.#takeJudged(instance, event));
    if (judged === undefined) return;
    this.#take(judged);
    // If its app hangs, the requests that it still has would wait in vain.
    if (judged.type === "unhealthy" && instance.inFlight > 0) {
      this.#takeJudged(instance, this.#failures.hangsWhileDraining(instance));
    }
  }

  /**
   * Drains instances: their requests may continue until `by`. Resolves when the instances are gone, except those whose
   * start was just cancelled.
   */
  async #drain(members: readonly Member[], by: number, ...first: PoolEvent[]): Promise<void> {
    const ending = members.filter(({ phase }) => phase === "ready" || isAsleep(phase) || phase === "draining");
    this.#take(...first, ...members.map(({ id }): PoolEvent => ({ type: "draining", id, by })));
    await this.#gone(ending);
  }

  /** Resolves when the instances of members have left. Others may have their ids by then. */
  #gone(members: readonly Member[]): Promise<void> {
    const instances = new Set(members.map(instanceOf));
    return this.#conditions.until(() => this.#state.members.every((member) => !instances.has(instanceOf(member))));
  }
}

/** The instance behind a member. */
function instanceOf({ use }: Member): Instance {
  return use as Instance;
}
