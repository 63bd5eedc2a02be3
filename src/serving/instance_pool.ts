import type { Revision } from "../domain/revision.ts";
import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { Clock } from "./clock.ts";
import { HoldQueue } from "./hold_queue.ts";
import { Instance, type Lease } from "./instance.ts";
import type { Container, ContainerEvent, Launcher } from "./launcher.ts";
import type { Starter } from "./starter.ts";

const log = logger("pool");

/** A lease that was waited for, and what the waiting was for. */
export interface Grant {
  readonly lease: Lease;
  readonly how: "cold" | "resume";
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
  /** Is told of every instance that comes and goes. */
  readonly ledger: { add(instance: Instance, pool: InstancePool): void; delete(instance: Instance): void };
}

/** The instances of one revision: chooses one for a request, and starts one when there is none. */
export class InstancePool {
  readonly revision: Revision;
  readonly #parts: PoolParts;
  readonly #queue: HoldQueue<Grant>;
  readonly #instances = new Set<Instance>();
  #waking: Promise<void> | undefined;

  constructor(revision: Revision, parts: PoolParts) {
    this.revision = revision;
    this.#parts = parts;
    this.#queue = new HoldQueue(parts.maxPending);
  }

  /** Whether there is an instance that serves, or will soon. */
  get awake(): boolean {
    for (const { state } of this.#instances) {
      if (state === "starting" || state === "ready" || state === "paused") return true;
    }
    return false;
  }

  /** How many requests are waiting. */
  get held(): number {
    return this.#queue.size;
  }

  /** Claims the ready instance with the fewest requests; `undefined` when none is ready. */
  claim(): Lease | undefined {
    let best: Instance | undefined;
    for (const instance of this.#instances) {
      if (instance.state === "ready" && (best === undefined || instance.inFlight < best.inFlight)) best = instance;
    }
    return best?.claim();
  }

  /**
   * Waits for an instance, and starts one where nobody has yet. The start does not depend on who waits for it.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {ClessError} `overloaded` when too many wait; `start_failed` or `start_timeout` when the start came to that.
   */
  hold(signal: AbortSignal): Promise<Grant> {
    const granted = this.#queue.wait(signal);
    this.wake();
    return granted;
  }

  /** Begins to start or resume an instance, unless one is ready or on its way. */
  wake(): void {
    if (this.#waking !== undefined) return;
    const paused = this.#find("paused");
    if (paused === undefined && this.#find("ready") !== undefined) return;
    const how = paused === undefined ? "cold" : "resume";
    this.#waking = (paused === undefined ? this.#start() : this.#resume(paused)).then(
      () => {
        this.#waking = undefined;
        this.#serve(how);
      },
      (error) => {
        this.#waking = undefined;
        this.#queue.fail(error);
      },
    );
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
    this.#waking = this.#parts.starter.confirm(instance).catch(() => {
      this.#forget(instance);
      // Those who came meanwhile get a new one, not the old one's failure.
      return this.#queue.size > 0 ? this.#start() : undefined;
    }).then(() => {
      this.#waking = undefined;
      this.#serve("cold");
    }, (error) => {
      this.#waking = undefined;
      this.#queue.fail(error);
    });
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
        this.#forget(instance);
        this.#parts.starter.clean(this.#parts.launcher.remove(instance.id));
        break;
      }
      case "started":
        break;
    }
  }

  /** Stops the instances that nobody has used for the revision's `stopAfter`. */
  stopIdle(): void {
    const now = this.#parts.clock.now();
    for (const instance of this.#instances) {
      if (instance.state !== "ready" && instance.state !== "paused") continue;
      if (instance.inFlight > 0 || now - instance.idleSince < this.revision.stopAfter) continue;
      log.info("instance idle", { service: this.revision.service, instance: instance.id });
      this.#parts.starter.clean(this.#drain(instance, 0));
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
    await before(this.settled(), clock, drainTimeout);
    this.#queue.fail(new ClessError("draining", "The service is being stopped"));
    await Promise.all([...this.#instances].map((instance) => this.#drain(instance, deadline - clock.now())));
  }

  /** Sends away all who wait. */
  refuse(error: ClessError): void {
    this.#queue.fail(error);
  }

  async #start(): Promise<void> {
    const instance = this.#add(this.#parts.newId(this.revision));
    try {
      await this.#parts.starter.start(instance);
    } catch (error) {
      this.#forget(instance);
      throw error;
    }
  }

  async #resume(instance: Instance): Promise<void> {
    try {
      await this.#parts.launcher.resume(instance.id);
      if (instance.state === "paused") instance.become("ready");
    } catch (error) {
      log.warning("cannot resume an instance", { instance: instance.id, reason: messageOf(error) });
      if (instance.state === "paused") await this.#drain(instance, 0);
      await this.#start();
    }
  }

  #serve(how: Grant["how"]): void {
    this.#queue.serve(() => {
      const lease = this.claim();
      return lease && { lease, how };
    });
    // The instance may have ended in the meantime.
    if (this.#queue.size > 0) this.wake();
  }

  async #drain(instance: Instance, timeout: number): Promise<void> {
    if (instance.state === "starting") {
      instance.end("stopped"); // the starter notices, and removes the container
      return;
    }
    if (instance.state !== "ready" && instance.state !== "paused") return;
    const { clock, launcher } = this.#parts;
    const wasPaused = instance.state === "paused";
    instance.become("draining");
    await before(instance.untilIdle(), clock, timeout);
    try {
      // A frozen app cannot end by itself.
      await (wasPaused ? launcher.remove(instance.id) : launcher.stop(instance.id));
    } catch (error) {
      // The reaper removes it later, as one that belongs to no instance.
      log.warning("cannot stop an instance", { instance: instance.id, reason: messageOf(error) });
    }
    instance.end("stopped");
    this.#forget(instance);
  }

  #find(state: Instance["state"]): Instance | undefined {
    for (const instance of this.#instances) if (instance.state === state) return instance;
    return undefined;
  }

  #add(id: string): Instance {
    const instance = new Instance(id, this.revision, this.#parts.clock);
    this.#instances.add(instance);
    this.#parts.ledger.add(instance, this);
    return instance;
  }

  #forget(instance: Instance): void {
    this.#instances.delete(instance);
    this.#parts.ledger.delete(instance);
    instance.untilIdle().then(() => this.#parts.launcher.forget(instance.id));
  }
}

/** Resolves with the promise, or after some milliseconds, whichever comes first. */
function before(promise: Promise<unknown>, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    promise.finally(() => {
      cancel();
      resolve();
    });
  });
}
