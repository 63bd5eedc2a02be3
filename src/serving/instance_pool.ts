import type { InstanceState } from "../domain/instance_state.ts";
import type { Revision } from "../domain/revision.ts";
import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import { Breaker, type Grant } from "./breaker.ts";
import { atMost, type Clock } from "./clock.ts";
import { ColdStarts } from "./cold_starts.ts";
import { CrashLoop, type Failure } from "./crash_loop.ts";
import { Drainer } from "./drainer.ts";
import { Freezer } from "./freezer.ts";
import { Instance, type InstanceOwner, type Lease } from "./instance.ts";
import { Instances } from "./instances.ts";
import { type Container, type ContainerEvent, ContainerGone, EngineAway, type Launcher } from "./launcher.ts";
import { Liveness, type Probe } from "./liveness.ts";
import { outOfMemory, type Starter } from "./starter.ts";
import { Upkeep } from "./upkeep.ts";

export type { Grant, Wake } from "./breaker.ts";

const log = logger("pool");
/** How long what is in flight on an instance that is not well may take, ms. */
const UNHEALTHY_DRAIN_MS = 10_000;
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
  readonly #freezer: Freezer;
  readonly #drainer: Drainer;
  /** Those that an earlier process has left running: nobody waits for their start. */
  readonly #found = new WeakSet<Instance>();
  readonly #liveness: Liveness | undefined;
  readonly #upkeep: Upkeep;
  readonly #instances = new Instances();
  /** Whether a start that somebody else had ended was no failure, and none has come to anything since. */
  #excused = false;
  #retired = false;
  #suspensions = 0;

  constructor(revision: Revision, parts: PoolParts) {
    const { clock, failed, maxPending, probe, random = Math.random } = this.#parts = parts;
    const { concurrency, liveness } = this.revision = revision;
    this.#breaker = new Breaker({ concurrency, maxPending, random });
    this.#crashes = new CrashLoop(clock, random, failed && ((failure) => failed(failure, this)));
    this.#freezer = new Freezer(parts.launcher, clock);
    this.#drainer = new Drainer(parts);
    this.#upkeep = new Upkeep({
      revision,
      clock,
      instances: this.#instances,
      breaker: this.#breaker,
      crashes: this.#crashes,
      freezer: this.#freezer,
      drainer: this.#drainer,
      launch: () => this.#launch(),
    });
    this.#liveness = liveness && probe && new Liveness({
      ...liveness,
      clock,
      probe,
      unhealthy: (instance) => this.unhealthy(instance),
    });
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

  /** Whether there are as many instances as there may be. */
  get full(): boolean {
    return this.#instances.live >= this.revision.maxInstances;
  }

  /** Why the revision does not work, where it has failed lately. */
  get failure(): Failure | undefined {
    return this.#crashes.failure;
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
    if (this.#retired) throw stopping();
    if (this.#suspensions === 0 && !this.awake && this.#crashes.left > 0) throw this.#crashes.refusal();
    this.#upkeep.asleep = false;
    const granted = this.#breaker.wait(signal);
    this.#scale();
    return await granted;
  }

  /** Begins to start or resume an instance, unless one is ready or on its way, or the last start failed just now. */
  wake(): void {
    if (this.#retired || this.#suspensions > 0) return;
    this.#upkeep.asleep = false;
    if (!this.#isServing() && (!this.resting || this.#instances.sleepers.length > 0)) this.#more();
  }

  /** Resolves when no start or resume is on its way. */
  async settled(): Promise<void> {
    await this.#instances.settled();
  }

  /** Takes over a container that an earlier process has left; one that does not answer is removed. */
  adopt(container: Container & { origin: string }): void {
    const instance = this.#add(container.id);
    instance.origin = container.origin;
    if (container.state === "paused") {
      instance.become("paused");
      return;
    }
    this.#found.add(instance);
    const adopted = this.#parts.starter.adopt(instance).catch(() => {
      // Those who came meanwhile get a new one, not the old one's failure.
    });
    this.#track(instance, adopted);
  }

  /** Takes note of what has happened to the container of one of its instances. */
  observe(instance: Instance, event: Pick<ContainerEvent, "what" | "exitCode" | "oom">): void {
    switch (event.what) {
      case "paused":
        if (instance.state === "ready") {
          instance.become("paused");
          // Those who are being served would wait until somebody else comes.
          if (instance.inFlight > 0) this.#track(instance, this.#freezer.resume(instance));
        } else if (instance.state === "starting" || (instance.state === "draining" && instance.inFlight > 0)) {
          // A frozen app would never become ready, and never end what is in flight.
          this.#parts.launcher.resume(instance.id).catch(() => {});
        }
        break;
      case "resumed":
        if (instance.state !== "paused" || this.#freezer.isPausing(instance)) break;
        if (!this.#instances.isComing(instance)) instance.touch(); // somebody wants it to run
        instance.become("ready");
        break;
      case "ended":
        instance.exitCode = event.exitCode;
        instance.oom = event.oom ?? false;
        if (instance.state === "starting") return instance.end("failed"); // the starter notices, and says what it means
        if (instance.state === "draining") instance.end("stopped");
        else if (instance.state === "ready" || instance.state === "paused") this.#ended(instance);
        break;
    }
    this.#scale();
  }

  /**
   * Does what is due: pauses and stops instances that nobody uses, and keeps the smallest number of them up.
   *
   * @param kept Whether the revision gets requests, so that it should have that number.
   */
  tick(kept: boolean): void {
    this.#upkeep.kept = kept;
    if (this.#retired || this.#suspensions > 0) return;
    this.#upkeep.tick();
    this.#scale();
  }

  /** Has the smallest number of instances started that the revision should have, whether anybody asks for them or not. */
  keepMinimum(): void {
    this.#upkeep.kept = true;
    if (!this.#retired && this.#suspensions === 0) this.#upkeep.keepMinimum();
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
  async retire(drainTimeout: number): Promise<void> {
    const { clock } = this.#parts;
    const deadline = clock.now() + drainTimeout;
    this.#retired = true;
    this.#scale();
    if (this.#suspensions === 0 && this.waiting > 0) await atMost(this.#breaker.emptied(), clock, drainTimeout);
    this.#breaker.refuse(stopping());
    await this.#drainAll(deadline - clock.now());
    await this.settled(); // a start that was called off has yet to notice
  }

  /**
   * Stops the instances that there are now, after those who already wait and what is in flight. The pool goes on: who
   * comes meanwhile gets another one, where there are volumes once the old one has let go of them. Until somebody comes it
   * has no instance, whatever its smallest number is.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  async sleep(drainTimeout: number): Promise<void> {
    const { clock } = this.#parts;
    const deadline = clock.now() + drainTimeout;
    this.#upkeep.asleep = true;
    if (this.waiting > 0) await atMost(this.#breaker.emptied(), clock, drainTimeout);
    if (this.revision.volumes.length > 0) {
      await this.suspend(deadline - clock.now());
      return this.resume();
    }
    // A start that somebody waits for goes on.
    const { waiting } = this;
    const drained = this.#drainAll(deadline - clock.now(), ({ state }) => state !== "starting" || waiting === 0);
    this.#scale(); // who still waits for a slot gets another instance
    await drained;
  }

  /**
   * Stops the instances, after what is in flight, and starts none until {@linkcode resume}: all who come are held, and
   * who waits goes on waiting. Suspended twice, it has to be resumed twice.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  async suspend(drainTimeout: number): Promise<void> {
    this.#suspensions++;
    const drained = this.#drainAll(drainTimeout);
    await Promise.all([drained, atMost(this.settled(), this.#parts.clock, drainTimeout)]);
  }

  /** Ends what {@linkcode suspend} has begun: those who are held get an instance. */
  resume(): void {
    this.#suspensions--;
    this.#scale();
  }

  /** Sends away all who wait. */
  refuse(error: ClessError): void {
    this.#breaker.refuse(error);
  }

  /** See {@linkcode InstanceOwner}. */
  moved(instance: Instance, before: InstanceState): void {
    if (instance.state === "ready") {
      this.#excused = false;
      this.#breaker.add(instance, before === "paused" ? "resume" : this.#found.has(instance) ? undefined : "cold");
      this.#liveness?.watch(instance);
    } else if (before === "ready") {
      this.#breaker.delete(instance);
      this.#liveness?.leave(instance);
    }
    if (instance.state === "stopped" || instance.state === "failed") this.#instances.delete(instance);
  }

  /** See {@linkcode InstanceOwner}: takes the instance out; those who come get another one. */
  unhealthy(instance: Instance): void {
    if (instance.state !== "ready") return;
    log.warning("instance does not answer", { service: this.revision.service, instance: instance.id });
    instance.failure = "the app did not answer any more";
    this.#drainer.drain(instance, UNHEALTHY_DRAIN_MS);
    this.#scale();
  }

  #isServing(): boolean {
    return this.ready || this.#instances.coming > 0;
  }

  /** Serves those who wait where there is room, and has instances started for the others where there may be more. */
  #scale(): void {
    if (this.#suspensions > 0) return;
    this.#breaker.serve();
    if (this.waiting === 0) return;
    if (this.#retired) {
      if (!this.#isServing()) this.#breaker.refuse(stopping());
      return;
    }
    for (let { start } = this.#upkeep.decide(); start > 0 && this.#more(); start--);
    if (!this.awake) this.#breaker.refuse(this.#crashes.refusal());
  }

  /** Resumes an instance, or starts one where there may be more; whether there was one to be had. */
  #more(): boolean {
    const [sleeper] = this.#instances.sleepers;
    if (sleeper !== undefined) {
      this.#track(sleeper, this.#freezer.resume(sleeper));
      return true;
    }
    if (this.full || this.#crashes.left > 0) return false;
    this.#launch();
    return true;
  }

  #launch(): void {
    const instance = this.#add(this.#parts.newId(this.revision));
    const { count } = this.#crashes;
    const started = this.#parts.starter.start(instance).then(() => {
      if (instance.coldStartMs !== undefined) this.coldStarts.add(instance.coldStartMs);
    }, (error) => {
      if (instance.state === "failed") this.#startFailed(error, count);
    });
    this.#track(instance, started);
  }

  #track(instance: Instance, coming: Promise<void>): void {
    this.#instances.track(instance, coming, (error) => {
      if (error !== undefined) this.#resumeFailed(instance, error);
      this.#scale();
    });
  }

  /** @param count How many failures there had been when it began. */
  #startFailed(error: unknown, count: number): void {
    const failure = error instanceof ClessError ? error : undefined;
    if (!this.#excused && failure?.cause instanceof ContainerGone) {
      this.#excused = true; // those who wait go on waiting, and get another one
      return;
    }
    this.#excused = false;
    // Nobody is to blame where the engine was away.
    if (!(failure?.cause instanceof EngineAway)) {
      const output = failure && this.#parts.starter.outputOf(failure);
      this.#crashes.failed(failure?.detail ?? messageOf(error), count, output);
    }
    if (this.#suspensions === 0 && !this.awake) this.#breaker.refuse(error);
  }

  #resumeFailed(instance: Instance, error: unknown): void {
    log.warning("cannot resume an instance", { instance: instance.id, reason: messageOf(error) });
    if (instance.state === "paused") this.#drainer.drain(instance, 0);
    if (this.#suspensions === 0 && !this.#retired && !this.#isServing()) this.#more();
  }

  /** The container of an instance has ended, though nobody here wanted it to. */
  #ended(instance: Instance): void {
    const { launcher, starter } = this.#parts;
    const { exitCode, id, oom } = instance;
    const { memory, service } = this.revision;
    const reason = oom ? outOfMemory(memory) : exitCode === undefined ? "it ended" : `it ended with code ${exitCode}`;
    instance.failure = reason;
    instance.end("stopped");
    log.warning("instance ended", { service, instance: id, exitCode, reason });
    this.#crashes.ended(instance, reason);
    starter.clear(instance, launcher.remove(id));
  }

  async #drainAll(timeout: number, which: (instance: Instance) => boolean = () => true): Promise<void> {
    await Promise.all([...this.#instances].filter(which).map((instance) => this.#drainer.drain(instance, timeout)));
  }

  #add(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#parts.clock, this);
    this.#instances.add(instance);
    this.#parts.note(instance, this);
    return instance;
  }
}

function stopping(): ClessError {
  return new ClessError("draining", "The service is being stopped", { retryAfterS: 1 });
}
