import { type InstanceState, mayBecome } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { Clock } from "../base/clock.ts";
import { SwapList, type Swappable } from "../base/swap_list.ts";

/** So many failed connections in a row mean that the app does not listen any more. */
const MOST_FAILURES = 3;
/** So many requests in a row that are not answered in time are no good sign, however busy the app is. */
const MOST_LATE = 3;

/** Why an instance is suspected: it has closed a connection instead of answering, or has not answered in time. */
export type Suspicion = "closed" | "late";

/** Whose instance it is, and who wants to know what becomes of it. */
export interface InstanceOwner {
  /** Is told of each new state before everybody else. */
  moved(instance: Instance, before: InstanceState): void;
  /** Is told that the app does not take connections any more. */
  unhealthy(instance: Instance): void;
  /** Is told that it looks as if the app were not well. */
  suspect(instance: Instance, why: Suspicion): void;
  /** Is told of every slot that is given back; missing where nobody ever waits for one. */
  readonly freed?: (() => void) | undefined;
}

/** One container of a revision, and how many requests it serves. */
export class Instance {
  /** Also the container's name. */
  readonly id: string;
  readonly revision: Revision;
  /** When it was started, as well as that is known; wall-clock time. */
  startedAt: Date = new Date();
  /** Where the host reaches the app, such as `http://172.18.0.2:8080`; empty until the container runs. */
  origin = "";
  /** Is told of each new state, with the one before, and before those are who have a lease. */
  onChange: ((before: InstanceState) => void) | undefined;
  /** From the start to the first good answer, ms; missing for one that was found running. */
  coldStartMs: number | undefined;
  /** With what the container ended, where the engine told it. */
  exitCode: number | undefined;
  /** Whether the engine says that it was killed for memory. */
  oom = false;
  /** Whether somebody had the container stopped or killed, or may have: where nobody has seen its end. */
  byHand = false;
  /** Why it did not become ready, or has ended; for the operator. */
  failure: string | undefined;
  #state: InstanceState = "starting";
  readonly #leases = new SwapList<Lease>();
  readonly #owner: InstanceOwner | undefined;
  readonly #freed: (() => void) | undefined;
  #failures = 0;
  #late = 0;
  #changes = 0;
  #readySince: number | undefined;
  #answers = 0;
  /** How many of the leases keep nobody awake. */
  #quiet = 0;
  #idleSince: number;
  #lastUsedAt: Date | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #moved: PromiseWithResolvers<void> | undefined;
  readonly #gone = new AbortController();
  readonly #clock: Clock;

  constructor(id: string, revision: Revision, clock: Clock, owner?: InstanceOwner) {
    this.id = id;
    this.revision = revision;
    this.#clock = clock;
    this.#owner = owner;
    this.#freed = owner?.freed;
    this.#idleSince = clock.now();
  }

  get state(): InstanceState {
    return this.#state;
  }

  /** How many leases are open. */
  get inFlight(): number {
    return this.#leases.size;
  }

  /** How many of them it is kept awake for. */
  get inUse(): number {
    return this.#leases.size - this.#quiet;
  }

  /** Since when no lease has been open but quiet ones, in the clock's ms; meaningless while one is. */
  get idleSince(): number {
    return this.#idleSince;
  }

  /** Grows with everything that happens to its container, as far as that is known: what was seen before is old. */
  get changes(): number {
    return this.#changes;
  }

  /** How long ago the app answered for the first time, ms; `undefined` where it has not. */
  get age(): number | undefined {
    return this.#readySince === undefined ? undefined : this.#clock.now() - this.#readySince;
  }

  /** The leases that are open. */
  get leases(): readonly Lease[] {
    return this.#leases.list();
  }

  /** How many answers the app has begun. */
  get answers(): number {
    return this.#answers;
  }

  /** When the last lease ended, but quiet ones; wall-clock time. */
  get lastUsedAt(): Date | undefined {
    return this.#lastUsedAt;
  }

  /** Aborted when the container has ended, whoever ended it. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Goes to another state.
   *
   * @throws {Error} When that step is not among the legal ones.
   */
  become(state: InstanceState): void {
    if (!mayBecome(this.#state, state)) throw new Error(`Cannot make a ${this.#state} instance ${state}: ${this.id}`);
    const before = this.#state;
    this.#state = state;
    this.#changes++;
    if (state === "ready") {
      this.#failures = this.#late = 0;
      if (this.#readySince === undefined) this.touch();
      this.#readySince ??= this.#clock.now();
    }
    this.#owner?.moved(this, before);
    this.onChange?.(before);
    this.#moved?.resolve();
    this.#moved = undefined;
    if (state !== "stopped" && state !== "failed") return;
    this.#gone.abort();
    for (const lease of this.#leases.list()) lease.holder?.instanceGone();
  }

  /** Takes note of a container that was there already. @param found `upFor`, how long it has been up, is in ms. */
  found({ origin, upFor = 0 }: { readonly origin: string; readonly upFor?: number | undefined }): void {
    this.origin = origin;
    this.startedAt = new Date(Date.now() - upFor);
  }

  /** Notes that the container has ended; does nothing where that is known. */
  end(state: "stopped" | "failed"): void {
    if (mayBecome(this.#state, state)) this.become(state);
  }

  /** Has the idle clock start anew, as after a lease. */
  touch(): void {
    this.#idleSince = this.#clock.now();
  }

  /** Notes that the engine has done something to the container, whatever became of that. */
  changed(): void {
    this.#changes++;
  }

  /** Notes that the app has answered. */
  answered(): void {
    this.#answers++;
    if (this.#failures !== 0) this.#failures = 0;
    if (this.#late !== 0) this.#late = 0;
  }

  /** Notes that the app could not be reached. */
  failed(): void {
    if (++this.#failures === MOST_FAILURES && this.#state === "ready") this.#owner?.unhealthy(this);
  }

  /** Notes that the app has closed a connection instead of answering. */
  closed(): void {
    this.#owner?.suspect(this, "closed");
  }

  /** Notes that the app has not answered a request in time, whose slot has been given back. */
  late(): void {
    const { concurrency } = this.revision;
    // One that has all the requests that it takes at once may have no hand free for another question.
    const isBusy = concurrency > 0 && this.inFlight >= concurrency;
    if (++this.#late >= MOST_LATE || !isBusy) this.#owner?.suspect(this, "late");
  }

  /**
   * Claims a slot; there and then, so that nothing can come between the choice of an instance and the claim.
   *
   * @param quiet Whether it is none that the instance is kept awake for.
   */
  claim(quiet = false): Lease {
    const lease: Lease = new Lease(this, () => this.#release(lease, quiet));
    this.#leases.add(lease);
    if (quiet) this.#quiet++;
    return lease;
  }

  /** Resolves when it goes to another state. */
  untilMoved(): Promise<void> {
    this.#moved ??= Promise.withResolvers();
    return this.#moved.promise;
  }

  /** Resolves when no lease is open. */
  untilIdle(): Promise<void> {
    if (this.#leases.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  #release(lease: Lease, quiet: boolean): void {
    if (!this.#leases.delete(lease)) return;
    if (quiet) this.#quiet--;
    // With quiet ones open it may be the last of the others.
    else if (this.#leases.size === this.#quiet) {
      this.#idleSince = this.#clock.now();
      this.#lastUsedAt = new Date();
    }
    if (this.#leases.size === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
    this.#freed?.();
  }
}

/** One claimed slot on an instance. */
export class Lease implements Swappable {
  readonly instance: Instance;
  /** Gives the slot back; only the first call counts. */
  readonly release: () => void;
  /** Who is told when the instance ends while the lease is open: a dead container's address may never answer. */
  holder: { instanceGone(): void } | undefined;
  /** See {@linkcode Swappable}. */
  place = -1;

  /** @param release Gives the slot back. */
  constructor(instance: Instance, release: () => void) {
    this.instance = instance;
    this.release = release;
  }
}
