import type { InstanceState } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { ClessError } from "../base/errors.ts";
import { Arrivals } from "./arrivals.ts";
import { Breaker, type Grant } from "./breaker.ts";
import { Checkup } from "./checkup.ts";
import type { Clock } from "../base/clock.ts";
import { ColdStarts } from "./cold_starts.ts";
import { CrashLoop, type Failure } from "./crash_loop.ts";
import { Drainer } from "./drainer.ts";
import { Freezer } from "./freezer.ts";
import { Incidents } from "./incidents.ts";
import { Instance, type InstanceOwner, type Lease, type Suspicion } from "./instance.ts";
import { Instances } from "./instances.ts";
import type { Container, ContainerEvent, Launcher } from "./launcher.ts";
import { Liveness, type Probe } from "./liveness.ts";
import { PoolEndings, stopping } from "./pool_endings.ts";
import type { Ask } from "./readiness.ts";
import type { Starter } from "./starter.ts";
import { Upkeep } from "./upkeep.ts";

export type { Grant, Wake } from "./breaker.ts";

/** What an {@linkcode InstancePool} works with. */
export interface PoolParts {
  readonly launcher: Launcher;
  readonly starter: Starter;
  readonly clock: Clock;
  /** How many requests may wait for an instance. */
  readonly maxPending: number;
  /** Makes an id for a new instance. */
  readonly newId: (revision: Revision) => string;
  /** Is told of every instance before its container is asked for. */
  readonly note: (instance: Instance, pool: InstancePool) => void;
  /** From 0 to below 1, evenly; chance itself where it is missing. */
  readonly random?: () => number;
  /** Asks an app whether it is well; missing where nobody is asked. */
  readonly probe?: Probe;
  /** Asks an app once whether it is there; missing where nobody is asked. */
  readonly ask?: Ask;
  /** Is told of every failure, once it is known what the app has written. */
  readonly failed?: (failure: Failure, pool: InstancePool) => void;
}

/** The instances of one revision: as many as its requests need, within its limits, and none where there are none. */
export class InstancePool implements InstanceOwner {
  readonly revision: Revision;
  /** How long its instances have taken to start. */
  readonly coldStarts = new ColdStarts();
  /** See {@linkcode InstanceOwner}. */
  readonly freed: (() => void) | undefined;
  readonly #parts: PoolParts;
  readonly #breaker: Breaker;
  readonly #crashes: CrashLoop;
  readonly #liveness: Liveness | undefined;
  readonly #checkup: Checkup | undefined;
  readonly #upkeep: Upkeep;
  readonly #instances = new Instances();
  readonly #endings: PoolEndings;
  readonly #arrivals: Arrivals;
  readonly #incidents: Incidents;

  constructor(revision: Revision, parts: PoolParts) {
    const { ask, clock, failed, maxPending, probe, random = Math.random } = this.#parts = parts;
    const { concurrency, liveness } = this.revision = revision;
    const breaker = this.#breaker = new Breaker({ concurrency, maxPending, random });
    const crashes = this.#crashes = new CrashLoop(clock, random, failed && ((failure) => failed(failure, this)));
    const freezer = new Freezer({ ...parts, frozen: (instance) => this.observe(instance, { what: "paused" }) });
    const drainer = new Drainer(parts);
    const shared = { ...parts, revision, instances: this.#instances, breaker, crashes, freezer, drainer };
    const scale = () => this.#scale();
    const resume = (instance: Instance) => this.#arrivals.resume(instance);
    const upkeep = this.#upkeep = new Upkeep({ ...shared, resume, launch: () => this.#arrivals.launch() });
    const endings = this.#endings = new PoolEndings({ ...shared, upkeep, scale });
    const arrivals = this.#arrivals = new Arrivals({
      ...shared,
      coldStarts: this.coldStarts,
      endings,
      maxInstances: revision.maxInstances,
      add: () => this.#add(parts.newId(revision)),
      scale,
    });
    this.#incidents = new Incidents({ ...shared, arrivals });
    const unhealthy = (instance: Instance, isFailure?: boolean) => this.unhealthy(instance, isFailure);
    this.#liveness = liveness && probe && new Liveness({ ...liveness, clock, probe, unhealthy });
    this.#checkup = ask && new Checkup({ clock, ask, unhealthy });
    this.freed = concurrency === 0 ? undefined : () => {
      this.#breaker.freed();
      if (this.#breaker.waiting > 0) this.#scale();
    };
  }

  /** How many requests wait for an instance. */
  get waiting(): number {
    return this.#breaker.waiting;
  }

  /** Whether there is an instance that serves, or will soon. */
  get awake(): boolean {
    return this.#instances.live > 0;
  }

  /** Whether an instance is ready, however busy. */
  get ready(): boolean {
    return this.#breaker.ready.length > 0;
  }

  /** The state of each of its instances. */
  states(): InstanceState[] {
    return Array.from(this.#instances, ({ state }) => state);
  }

  /** Whether there are as many instances as there may be. */
  get full(): boolean {
    return this.#instances.live >= this.revision.maxInstances;
  }

  /** Why the revision does not work, where it has failed lately. */
  get failure(): Failure | undefined {
    return this.#crashes.failure;
  }

  /** How long requests are turned away because it fails again and again, ms; 0 where they are not. */
  get backOff(): number {
    return this.#crashes.left;
  }

  /** Whether it has failed so lately that nothing is started that no request waits for. */
  get resting(): boolean {
    return this.#crashes.leftUnasked > 0;
  }

  /** Whether an instance has served within the last milliseconds, or does now. */
  usedWithin(ms: number): boolean {
    const since = this.#parts.clock.now() - ms;
    for (const { inFlight, idleSince } of this.#instances) if (inFlight > 0 || idleSince > since) return true;
    return false;
  }

  /**
   * Claims a slot on a ready instance; `undefined` where there is none, or others wait for it.
   *
   * @param quiet Whether it is for a request that the instance is not kept awake for.
   */
  claim(quiet = false): Lease | undefined {
    return this.#breaker.claim(quiet);
  }

  /**
   * Waits for a slot, and has instances started where there are too few. A start does not depend on who waits for it.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {ClessError} `overloaded` when too many wait; `start_failed` or `start_timeout` when the start came to
   * that; `crash_loop` when it has come to that several times; `draining` when the pool has retired.
   */
  async hold(signal: AbortSignal): Promise<Grant> {
    if (this.#endings.retired) throw stopping();
    if (!this.#endings.suspended && !this.awake && this.#crashes.left > 0) throw this.#crashes.refusal();
    this.#upkeep.asleep = false;
    const granted = this.#breaker.wait(signal);
    this.#scale();
    return await granted;
  }

  /** Begins to start or resume an instance, unless one is ready or on its way, or the last start failed just now. */
  wake(): void {
    if (this.#endings.retired || this.#endings.suspended) return;
    this.#upkeep.asleep = false;
    if (!this.#arrivals.isServing && (!this.resting || this.#instances.sleepers.length > 0)) this.#arrivals.more();
  }

  /** Resolves when no start or resume is on its way. */
  async settled(): Promise<void> {
    await this.#instances.settled();
  }

  /** Takes over a container that an earlier process has left; one that does not answer is removed. */
  adopt(container: Container & { origin: string }): void {
    const instance = this.#add(container.id);
    instance.found(container);
    if (container.state === "paused") instance.become("paused");
    else this.#arrivals.adopt(instance, container.upFor);
  }

  /** Takes note of what has happened to the container of one of its instances. */
  observe(instance: Instance, event: Omit<ContainerEvent, "id">): void {
    if (this.#incidents.observe(instance, event)) this.#scale();
  }

  /**
   * Does what is due: pauses and stops instances that nobody uses, and keeps the smallest number of them up.
   *
   * @param kept Whether the revision gets requests, so that it should have that number.
   */
  tick(kept: boolean): void {
    this.#upkeep.kept = kept;
    if (this.#endings.retired || this.#endings.suspended) return;
    this.#upkeep.tick();
    this.#scale();
  }

  /** Has the smallest number of instances started or resumed that the revision should have, whether anybody asks for them or not. */
  keepMinimum(): void {
    this.#upkeep.kept = true;
    if (!this.#endings.retired && !this.#endings.suspended) this.#upkeep.keepMinimum();
  }

  /** Stops a paused instance before its time, where it may be; resolves when it is gone. */
  evict(instance: Instance): Promise<void> {
    return this.#upkeep.evict(instance);
  }

  /**
   * Ends the pool: serves those who already wait, lets what is in flight finish, and stops the instances.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  retire(drainTimeout: number): Promise<void> {
    return this.#endings.retire(drainTimeout);
  }

  /**
   * Stops the instances that there are now, after those who already wait and what is in flight. The pool goes on: who
   * comes meanwhile gets another one, where there are volumes once the old one has let go of them. Until somebody comes it
   * has no instance, whatever its smallest number is.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  sleep(drainTimeout: number): Promise<void> {
    return this.#endings.sleep(drainTimeout);
  }

  /**
   * Stops the instances, after what is in flight, and starts none until {@linkcode resume}: all who come are held, and
   * who waits goes on waiting. Suspended twice, it has to be resumed twice.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  suspend(drainTimeout: number): Promise<void> {
    return this.#endings.suspend(drainTimeout);
  }

  /** Ends what {@linkcode suspend} has begun: those who are held get an instance. */
  resume(): void {
    this.#endings.resume();
  }

  /** Sends away all who wait. */
  refuse(error: ClessError): void {
    this.#breaker.refuse(error);
  }

  /** See {@linkcode InstanceOwner}. */
  moved(instance: Instance, before: InstanceState): void {
    if (instance.state === "ready") {
      this.#arrivals.came();
      this.#breaker.add(
        instance,
        before === "paused" ? "resume" : this.#arrivals.wasFound(instance) ? undefined : "cold",
      );
      this.#liveness?.watch(instance);
    } else if (before === "ready") {
      this.#breaker.delete(instance);
      this.#liveness?.leave(instance);
    }
    if (instance.state === "stopped" || instance.state === "failed") this.#instances.delete(instance);
  }

  /** See {@linkcode InstanceOwner}: takes the instance out; those who come get another one. */
  unhealthy(instance: Instance, isFailure = false): void {
    if (this.#incidents.unhealthy(instance, isFailure)) this.#scale();
  }

  /** See {@linkcode InstanceOwner}: asks the app, and takes the instance out where it gives no sign of life. */
  suspect(instance: Instance, why: Suspicion): void {
    this.#checkup?.ask(instance, why);
  }

  /** Serves those who wait where there is room, and has instances started for the others where there may be more. */
  #scale(): void {
    if (this.#endings.suspended) return;
    this.#breaker.serve();
    if (this.waiting === 0) return;
    if (this.#endings.retired) {
      if (!this.#arrivals.isServing) this.#breaker.refuse(stopping());
      return;
    }
    for (let { start } = this.#upkeep.decide(); start > 0 && this.#arrivals.more(); start--);
    if (!this.awake) this.#breaker.refuse(this.#crashes.refusal());
  }

  #add(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#parts.clock, this);
    this.#instances.add(instance);
    this.#parts.note(instance, this);
    return instance;
  }
}
