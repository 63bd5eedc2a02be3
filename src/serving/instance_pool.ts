import type { Revision } from "../domain/revision.ts";
import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import { atMost, type Clock } from "./clock.ts";
import { ColdStarts } from "./cold_starts.ts";
import { HoldQueue } from "./hold_queue.ts";
import { Instance, type Lease } from "./instance.ts";
import type { Container, ContainerEvent, Launcher } from "./launcher.ts";
import type { Starter } from "./starter.ts";

const log = logger("pool");

/** Why a request had to wait. */
export type Wake = "cold" | "resume";

/** A lease, and what it had to wait for, if anything. */
export interface Grant {
  readonly lease: Lease;
  readonly how?: Wake;
}

/** What an {@linkcode InstancePool} works with. */
export interface PoolParts {
  readonly launcher: Launcher;
  readonly starter: Starter;
  readonly clock: Clock;
  /** How many requests may wait for a start. */
  readonly maxPending: number;
  /** Makes an id for a new instance. */
  readonly newId: (revision: Revision) => string;
  /** Is told of every instance before its container is asked for. */
  readonly note: (instance: Instance, pool: InstancePool) => void;
}

/** The instances of one revision: chooses one for a request, and starts one when there is none. */
export class InstancePool {
  readonly revision: Revision;
  /** How long its instances have taken to start. */
  readonly coldStarts = new ColdStarts();
  readonly #parts: PoolParts;
  readonly #queue: HoldQueue<Grant>;
  readonly #instances = new Set<Instance>();
  #waking: Promise<void> | undefined;
  #retired = false;
  #suspensions = 0;
  readonly #draining = new Map<Instance, Promise<void>>();

  constructor(revision: Revision, parts: PoolParts) {
    this.revision = revision;
    this.#parts = parts;
    this.#queue = new HoldQueue(parts.maxPending);
  }

  /** How many requests wait for an instance. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Whether there is an instance that serves, or will soon. */
  get awake(): boolean {
    for (const { state } of this.#instances) {
      if (state === "starting" || state === "ready" || state === "paused") return true;
    }
    return false;
  }

  /** Whether an instance has served within the last milliseconds, or does now. */
  usedWithin(ms: number): boolean {
    const since = this.#parts.clock.now() - ms;
    for (const { inFlight, idleSince } of this.#instances) if (inFlight > 0 || idleSince > since) return true;
    return false;
  }

  /** Whether an instance is ready now. */
  get ready(): boolean {
    return this.#find("ready") !== undefined;
  }

  /**
   * Claims the ready instance with the fewest requests; `undefined` when none is ready.
   *
   * @param quiet Whether it is for a request that the instance is not kept awake for.
   */
  claim(quiet = false): Lease | undefined {
    let best: Instance | undefined;
    for (const instance of this.#instances) {
      if (instance.state === "ready" && (best === undefined || instance.inFlight < best.inFlight)) best = instance;
    }
    return best?.claim(quiet);
  }

  /**
   * Waits for an instance, and starts one where nobody has yet. The start does not depend on who waits for it.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {ClessError} `overloaded` when too many wait; `start_failed` or `start_timeout` when the start came to
   * that; `draining` when the pool has retired.
   */
  async hold(signal: AbortSignal): Promise<Grant> {
    if (this.#retired) throw stopping();
    const granted = this.#queue.wait(signal);
    this.wake();
    return await granted;
  }

  /** Begins to start or resume an instance, unless one is ready or on its way. */
  wake(): void {
    if (this.#waking !== undefined || this.#retired || this.#suspensions > 0) return;
    const paused = this.#find("paused");
    if (paused === undefined && this.#find("ready") !== undefined) return;
    const how = paused === undefined ? "cold" : "resume";
    this.#track(paused === undefined ? this.#start() : this.#resume(paused), how);
  }

  /** Resolves when no start or resume is on its way. */
  async settled(): Promise<void> {
    while (this.#waking !== undefined) await this.#waking;
  }

  /** Takes over a container that an earlier process has left; one that does not answer is removed. */
  adopt(container: Container & { origin: string }): void {
    const instance = this.#add(container.id);
    instance.origin = container.origin;
    if (container.state === "paused") {
      instance.become("paused");
      return;
    }
    const adopted = this.#parts.starter.adopt(instance).catch(() => {
      this.#instances.delete(instance);
      // Those who came meanwhile get a new one, not the old one's failure.
      return this.#queue.size > 0 && this.#suspensions === 0 ? this.#start() : undefined;
    });
    this.#track(adopted, "cold");
  }

  /** Takes note of what has happened to the container of one of its instances. */
  observe(instance: Instance, event: Pick<ContainerEvent, "what" | "exitCode">): void {
    switch (event.what) {
      case "paused":
        if (instance.state === "ready") instance.become("paused");
        break;
      case "resumed":
        if (instance.state === "paused") {
          instance.become("ready");
          this.#serve("resume");
        }
        break;
      case "ended": {
        instance.exitCode = event.exitCode;
        const unexpected = instance.state === "ready" || instance.state === "paused";
        instance.end(instance.state === "starting" ? "failed" : "stopped");
        if (!unexpected) break;
        const { service } = this.revision;
        log.warning("instance ended", { service, instance: instance.id, exitCode: event.exitCode });
        this.#instances.delete(instance);
        this.#parts.starter.clear(instance, this.#parts.launcher.remove(instance.id));
        break;
      }
    }
  }

  /** Stops the instances that nobody has used for the revision's `stopAfter`. */
  stopIdle(): void {
    const now = this.#parts.clock.now();
    for (const instance of this.#instances) {
      if (instance.state !== "ready" && instance.state !== "paused") continue;
      if (instance.inFlight > 0 || now - instance.idleSince < this.revision.stopAfter) continue;
      log.info("instance idle", { service: this.revision.service, instance: instance.id });
      this.#drain(instance, 0);
    }
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
    await atMost(this.settled(), clock, drainTimeout);
    this.#queue.fail(stopping());
    await Promise.all([...this.#instances].map((instance) => this.#drain(instance, deadline - clock.now())));
    await this.settled(); // a start that was called off has yet to notice
  }

  /**
   * Stops the instances that there are now, after those who already wait and what is in flight. The pool goes on: who
   * comes meanwhile gets another one, where there are volumes once the old one has let go of them.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  async sleep(drainTimeout: number): Promise<void> {
    const { clock } = this.#parts;
    const deadline = clock.now() + drainTimeout;
    if (this.#queue.size > 0) await atMost(this.settled(), clock, drainTimeout);
    if (this.revision.volumes.length > 0) {
      await this.suspend(deadline - clock.now());
      return this.resume();
    }
    // A start that somebody waits for goes on.
    const ended = [...this.#instances].filter(({ state }) => state !== "starting" || this.#queue.size === 0);
    await Promise.all(ended.map((instance) => this.#drain(instance, deadline - clock.now())));
  }

  /**
   * Stops the instances, after what is in flight, and starts none until {@linkcode resume}: all who come are held, and
   * who waits goes on waiting. Suspended twice, it has to be resumed twice.
   *
   * @param drainTimeout How long it may take until the instances are stopped all the same, ms.
   */
  async suspend(drainTimeout: number): Promise<void> {
    this.#suspensions++;
    const drained = [...this.#instances].map((instance) => this.#drain(instance, drainTimeout));
    await Promise.all([...drained, atMost(this.settled(), this.#parts.clock, drainTimeout)]);
  }

  /** Ends what {@linkcode suspend} has begun: those who are held get an instance. */
  resume(): void {
    this.#suspensions--;
    if (this.#queue.size > 0) this.wake();
  }

  /** Sends away all who wait. */
  refuse(error: ClessError): void {
    this.#queue.fail(error);
  }

  #track(waking: Promise<void>, how: Wake): void {
    this.#waking = waking.then(
      () => {
        this.#waking = undefined;
        this.#serve(how);
      },
      (error) => {
        this.#waking = undefined;
        if (this.#suspensions === 0) this.#queue.fail(error);
      },
    );
  }

  async #start(): Promise<void> {
    const instance = this.#add(this.#parts.newId(this.revision));
    try {
      await this.#parts.starter.start(instance);
      this.coldStarts.add(instance.coldStartMs!);
    } catch (error) {
      this.#instances.delete(instance);
      if (instance.state !== "stopped" || this.#retired) throw error;
      // It was called off when nobody waited for it; somebody may have come since.
      if (this.#queue.size > 0 && this.#suspensions === 0) await this.#start();
    }
  }

  async #resume(instance: Instance): Promise<void> {
    try {
      await this.#parts.launcher.resume(instance.id);
      if (instance.state === "paused") instance.become("ready");
    } catch (error) {
      log.warning("cannot resume an instance", { instance: instance.id, reason: messageOf(error) });
      if (instance.state === "paused") await this.#drain(instance, 0);
      if (this.#retired) throw stopping();
      if (this.#suspensions === 0) await this.#start();
    }
  }

  #serve(how: Wake): void {
    if (this.#suspensions > 0) return;
    this.#queue.serve(() => {
      const lease = this.claim();
      return lease && { lease, how };
    });
    // The instance may have ended in the meantime.
    if (this.#queue.size > 0) this.wake();
  }

  /** Resolves when the container is gone; that of one that is still starting goes in the background. */
  #drain(instance: Instance, timeout: number): Promise<void> {
    if (instance.state === "starting") instance.end("stopped"); // the starter notices, and removes the container
    if (instance.state !== "ready" && instance.state !== "paused") {
      return this.#draining.get(instance) ?? Promise.resolve();
    }
    const drained = this.#end(instance, timeout).finally(() => this.#draining.delete(instance));
    this.#draining.set(instance, drained);
    return drained;
  }

  async #end(instance: Instance, timeout: number): Promise<void> {
    const { clock, launcher, starter } = this.#parts;
    const wasPaused = instance.state === "paused";
    instance.become("draining");
    const removal = atMost(instance.untilIdle(), clock, timeout)
      // A frozen app cannot end by itself.
      .then(() => wasPaused ? launcher.remove(instance.id) : launcher.stop(instance.id));
    starter.clear(instance, removal);
    await removal.catch(() => {});
    instance.end("stopped");
    this.#instances.delete(instance);
  }

  #find(state: Instance["state"]): Instance | undefined {
    for (const instance of this.#instances) if (instance.state === state) return instance;
    return undefined;
  }

  #add(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#parts.clock);
    this.#instances.add(instance);
    this.#parts.note(instance, this);
    return instance;
  }
}

function stopping(): ClessError {
  return new ClessError("draining", "The service is being stopped", { retryAfterS: 1 });
}
