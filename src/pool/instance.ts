import { type InstanceState, mayBecome } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { Clock } from "../base/clock.ts";
import { SwapList, type Swappable } from "../base/swap_list.ts";

/** What a request has seen of an app that does not look well: see the table in health.ts. */
export type Suspicion = "unreachable" | "closed" | "late";

/** The pool of an instance. */
export interface InstanceOwner {
  /** Is told of each new state before anybody with a lease is told of an end. */
  moved(instance: Instance, before: InstanceState): void;
  /** Is told that the app does not look well. */
  suspect(instance: Instance, why: Suspicion): void;
  /** Is told of every slot that is given back; missing if requests never wait for one. */
  readonly freed?: (() => void) | undefined;
}

/** One container of a revision, and the requests that it serves. */
export class Instance {
  /** Also the container's name. */
  readonly id: string;
  readonly revision: Revision;
  /** When it was started, as far as known; wall-clock time. */
  startedAt: Date = new Date();
  /** Where the host reaches the app, such as `http://172.18.0.2:8080`; empty until the container runs. */
  origin = "";
  /** From the start to the first good answer; missing for one that was found running. */
  coldStartMs: number | undefined;
  /** With what the container ended, if the engine told it. */
  exitCode: number | undefined;
  /** Whether the engine says that it was killed for memory. */
  oom = false;
  /** Whether somebody had the container stopped or killed, or may have, if nobody has seen its end. */
  byHand = false;
  /** Why it did not become ready, or has ended; for operators. */
  failure: string | undefined;
  #state: InstanceState = "starting";
  readonly #leases = new SwapList<Lease>();
  readonly #owner: InstanceOwner | undefined;
  readonly #freed: (() => void) | undefined;
  #changes = 0;
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

  /** Since when no lease that keeps it awake has been open, in the clock's ms; meaningless while one is. */
  get idleSince(): number {
    return this.#idleSince;
  }

  /** Grows with everything that happens to its container: what was seen at a smaller number is old. */
  get changes(): number {
    return this.#changes;
  }

  /** The leases that are open. */
  get leases(): readonly Lease[] {
    return this.#leases.list();
  }

  /** How many answers the app has begun. */
  get answers(): number {
    return this.#answers;
  }

  /** When the last lease that keeps it awake ended; wall-clock time. */
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
   * @throws {Error} If that step is not a legal one.
   */
  become(state: InstanceState): void {
    if (!mayBecome(this.#state, state)) throw new Error(`Cannot make a ${this.#state} instance ${state}: ${this.id}`);
    const before = this.#state;
    this.#state = state;
    this.#changes++;
    this.#owner?.moved(this, before);
    this.#moved?.resolve();
    this.#moved = undefined;
    if (state !== "stopped" && state !== "failed") return;
    this.#gone.abort();
    for (const lease of this.#leases.list()) lease.holder?.instanceGone();
  }

  /** Takes note of a container that was there already. @param found Its `upFor` is how long it has been up, ms. */
  found({ origin, upFor = 0 }: { readonly origin: string; readonly upFor?: number | undefined }): void {
    this.origin = origin;
    this.startedAt = new Date(Date.now() - upFor);
  }

  /** Notes that the container has ended; does nothing if that is known. */
  end(state: "stopped" | "failed"): void {
    if (mayBecome(this.#state, state)) this.become(state);
  }

  /** Begins to be idle anew, as after a lease. */
  touch(): void {
    this.#idleSince = this.#clock.now();
  }

  /** Notes that the engine has been at the container, whatever came of that. */
  changed(): void {
    this.#changes++;
  }

  /** Notes that the app has answered. */
  answered(): void {
    this.#answers++;
  }

  /** Notes that the app could not be reached. */
  failed(): void {
    this.#owner?.suspect(this, "unreachable");
  }

  /** Notes that the app has closed a connection instead of answering. */
  closed(): void {
    this.#owner?.suspect(this, "closed");
  }

  /** Notes that the app has not answered a request in time, whose slot has been given back. */
  late(): void {
    this.#owner?.suspect(this, "late");
  }

  /**
   * Claims a slot; there and then, so that nothing can come between the choice of an instance and the claim.
   *
   * @param quiet Whether the instance is not kept awake for it.
   */
  claim(quiet = false): Lease {
    const lease = new Lease(this, quiet);
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

  /** Takes a slot back, for {@linkcode Lease.release}. */
  takeBack(lease: Lease): void {
    if (!this.#leases.delete(lease)) return;
    if (lease.quiet) this.#quiet--;
    // It may be the last that keeps the instance awake, with others still open.
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
  /** Whether the instance is not kept awake for it. */
  readonly quiet: boolean;
  /** Gives the slot back; only the first call counts. */
  readonly release = (): void => this.instance.takeBack(this);
  /** Is told when the instance ends while the lease is open: the address of a dead container may never answer. */
  holder: { instanceGone(): void } | undefined;
  /** See {@linkcode Swappable}. */
  place = -1;

  constructor(instance: Instance, quiet: boolean) {
    this.instance = instance;
    this.quiet = quiet;
  }
}

const RANDOM_LENGTH = 6;
/** The greatest multiple of 36 that a byte can be below: bytes from there on would make some characters likelier. */
const FAIR = 252;

/**
 * A container's name: readable, and random enough (2 billion possibilities) that no two of a revision are alike in
 * practice. If they are, the engine refuses the second name, and that one start fails.
 */
export function newInstanceId({ name, service }: Pick<Revision, "name" | "service">): string {
  let random = "";
  while (random.length < RANDOM_LENGTH) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte! < FAIR) random += (byte! % 36).toString(36);
  }
  return `cless-${service}-${name}-${random}`;
}
