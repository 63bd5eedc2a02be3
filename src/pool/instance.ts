import type { InstanceState } from "../model/instance_state.ts";
import type { Revision, RevisionName } from "../model/revision.ts";
import type { Waker } from "../model/waker.ts";
import type { Clock } from "../base/clock.ts";
import { SwapList, type Swappable } from "../base/swap_list.ts";
import type { HeldSlots } from "./held_slots.ts";
import type { ContainerEvent } from "./launcher.ts";
import type { Probed } from "./probe.ts";

/** What a request has observed of an app that seems unwell: see the table in health.ts. */
export type Suspicion = "unreachable" | "closed" | "late" | "silent";

/** The pool of an instance. */
export interface InstanceOwner {
  /** Called at each change of state. If the instance has ended, the holders of its leases are told after this call. */
  moved(instance: Instance, before: InstanceState): void;
  suspect(instance: Instance, why: Suspicion): void;
  /** Whether this process decides when an instance sleeps and ends. */
  isOurs(instance: Instance): boolean;
  /** Whether the app gives any answer within a time. */
  answers(instance: Instance, withinMs: number): Promise<boolean>;
  /** Called at the app's first answer after a wake. */
  answeredAfterWake(instance: Instance): void;
  /** Called if no request is left after a wake, and none was answered. */
  unansweredAfterWake(instance: Instance): void;
  /** Called for each slot that is claimed, also for a request of the process before. */
  claimed(): void;
  /** Called for each slot that is given back. */
  freed(instance: Instance): void;
}

/** Counts the requests of a service, except those that keep no instance awake. */
export interface Visits {
  /** Called when a request begins to wait or is in flight. */
  came(): void;
  /** Called once for each of these, when it waits in vain or its slot is given back. @param nowMs Clock ms. */
  left(nowMs: number): void;
}

/** One container of a revision, and the requests that it serves. */
export class Instance {
  /** Also the container's name. */
  readonly id: string;
  readonly revision: Revision;
  /** Those of its slots that this process holds; `undefined` if all are. */
  held: HeldSlots | undefined;
  /** When it was started, as far as known; wall-clock time. */
  startedAt: Date = new Date();
  /** Where the host reaches the app, such as `http://172.18.0.2:8080`; empty until the container runs. */
  origin = "";
  /** The time from the start to the first good answer; missing for an instance that was adopted. */
  coldStartMs: number | undefined;
  /** What the app did at the last probe of its start. */
  probed: Probed | undefined;
  /** The container's exit code, if the engine reported one. */
  exitCode: number | undefined;
  /** Whether the engine reported that it was killed for memory. */
  oom = false;
  /** Whether somebody stopped or killed the container. Also true if nobody observed how it ended. */
  byHand = false;
  /** How many requests it served when it ended. */
  inFlightAtEnd = 0;
  /** Why it did not become ready, or ended; for operators. */
  failure: string | undefined;
  /** Set from the decision to resume it until the app's first answer. Clock ms; `ranMs` is when it ran. */
  waking:
    | {
      readonly how: "resume" | "hibernated";
      readonly by: Waker;
      readonly beganMs: number;
      readonly ranMs?: number;
    }
    | undefined;
  /** Whether its memory was moved to swap at this pause, so that it wakes like a hibernated one. */
  isInSwap = false;
  /** How many answers the app has begun. */
  answers = 0;
  /** Whether one of them had a status below 500. */
  hasServed = false;
  /** Increases with every change of its container. An observation made at a lower number is out of date. */
  changes = 0;
  /** When the last lease that kept it awake ended, clock ms. Meaningless while such a lease is open. */
  idleSince: number;
  /** When the last lease that kept it awake ended; wall-clock time. */
  lastUsedAt: Date | undefined;
  #state: InstanceState = "starting";
  readonly #leases = new SwapList<Lease>();
  readonly #owner: InstanceOwner | undefined;
  /** How many leases do not keep the instance awake. */
  #quiet = 0;
  /** How many leases are those of operators' sessions. */
  #sessions = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #moved: PromiseWithResolvers<void> | undefined;
  readonly #gone = new AbortController();
  readonly #clock: Clock;

  constructor(id: string, revision: Revision, clock: Clock, owner?: InstanceOwner) {
    this.id = id;
    this.revision = revision;
    this.#clock = clock;
    this.#owner = owner;
    this.idleSince = clock.now();
  }

  get state(): InstanceState {
    return this.#state;
  }

  /** Whether this process decides when it sleeps and ends; if not, another cless does. */
  get isOurs(): boolean {
    return this.#owner?.isOurs(this) ?? true;
  }

  /** How many leases are open: its requests and the sessions of operators. */
  get inFlight(): number {
    return this.#leases.size;
  }

  /** How many requests it serves. */
  get requests(): number {
    return this.#leases.size - this.#sessions;
  }

  /** How many requests this process may have on it now; Infinity for no limit. */
  get slots(): number {
    return this.held?.count ?? (this.revision.concurrency || Infinity);
  }

  /** How many sessions of operators are open in it. */
  get sessions(): number {
    return this.#sessions;
  }

  /** The operator with the oldest session; `undefined` if none is open. */
  get operator(): Waker | undefined {
    return this.#sessions === 0 ? undefined : this.#leases.list().find(({ session }) => session !== undefined)?.session;
  }

  /** How many open leases keep the instance awake. */
  get inUse(): number {
    return this.#leases.size - this.#quiet;
  }

  /** The leases of its requests. */
  get leases(): readonly Lease[] {
    return this.#sessions === 0
      ? this.#leases.list()
      : this.#leases.list().filter(({ session }) => session === undefined);
  }

  /** Aborted when the container has ended, for whatever reason. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Whether the engine has reported that its container ended, and that nobody had stopped or killed it. */
  get endedByItself(): boolean {
    return this.exitCode !== undefined && !this.byHand;
  }

  /** Changes the state; the pool has checked that the change is allowed. */
  become(state: InstanceState): void {
    const before = this.#state;
    this.#state = state;
    this.changes++;
    this.#owner?.moved(this, before);
    this.#moved?.resolve();
    this.#moved = undefined;
    if (state !== "stopped" && state !== "failed") return;
    this.inFlightAtEnd = this.requests;
    this.#gone.abort();
    for (const lease of this.#leases.list()) lease.holder?.instanceGone(false);
  }

  /** Notes what the engine reported of the container's end. */
  noteEnd({ byHand, exitCode, oom = false }: Pick<ContainerEvent, "byHand" | "exitCode" | "oom">): void {
    this.exitCode = exitCode;
    this.oom = oom;
    this.byHand = byHand ?? exitCode === undefined;
  }

  /** Reports what a request has observed of the app. Call it after the request's lease is released. */
  suspect(why: Suspicion): void {
    this.#owner?.suspect(this, why);
  }

  /** Asks the app, without a lease, whether it gives any answer within a time. */
  async answersWithin(ms: number): Promise<boolean> {
    return await this.#owner?.answers(this, ms) ?? false;
  }

  /** Notes the app's first answer after a wake. */
  answeredAfterWake(): void {
    this.#owner?.answeredAfterWake(this);
  }

  /** Claims a slot. It is synchronous, so that the instance cannot change between its choice and the claim. */
  claim(quiet = false): Lease {
    const lease = new Lease(this, quiet);
    this.#leases.add(lease);
    if (quiet) this.#quiet++;
    this.#owner?.claimed();
    return lease;
  }

  /**
   * Opens a session of an operator. Until its lease is released, it keeps the instance as a request does, but takes no
   * slot. If the instance sleeps, its pool resumes it the next time that it decides. @param by The operator.
   */
  enter(by: Waker): Lease {
    const lease = new Lease(this, false, by);
    this.#leases.add(lease);
    this.#sessions++;
    return lease;
  }

  /** Aborts the requests in flight, since the app hangs. */
  abortRequests(): void {
    for (const lease of this.#leases.list()) lease.holder?.instanceGone(true);
  }

  /** Resolves at the next change of its state. */
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

  /** Frees the slot of a lease: see {@linkcode Lease.release}. */
  takeBack(lease: Lease): void {
    if (!this.#leases.delete(lease)) return;
    if (lease.session !== undefined) this.#sessions--;
    if (lease.quiet) this.#quiet--;
    // The lease may be the last one that keeps the instance awake, even if quiet ones are still open.
    else if (this.#leases.size === this.#quiet) {
      this.idleSince = this.#clock.now();
      this.lastUsedAt = new Date();
    }
    lease.visits?.left(this.inUse === 0 ? this.idleSince : this.#clock.now());
    if (this.waking !== undefined && this.requests === 0) this.#owner?.unansweredAfterWake(this);
    if (this.#leases.size === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
    if (lease.session === undefined) this.#owner?.freed(this);
  }
}

/** One claimed slot on an instance, or the session of an operator, which needs no slot. */
export class Lease implements Swappable {
  readonly instance: Instance;
  /** Whether it does not keep the instance awake. */
  readonly quiet: boolean;
  /** Whose session it is; `undefined` for a request. */
  readonly session: Waker | undefined;
  /** Gives the slot back; only the first call counts. */
  readonly release = (): void => this.instance.takeBack(this);
  #isAnswered = false;
  #isOver = false;
  /** Is told when the instance ends or hangs while the lease is open: a dead container's address may never answer. */
  holder: { instanceGone(isHung: boolean): void } | undefined;
  /** Counts the lease's request, if it counts. */
  visits: Visits | undefined;
  place = -1;

  constructor(instance: Instance, quiet: boolean, session?: Waker) {
    this.instance = instance;
    this.quiet = quiet;
    this.session = session;
  }

  /**
   * Notes that the app has begun its response. Returns true if the response has not ended, so that the slot is still
   * needed.
   */
  answered(status: number): boolean {
    this.#isAnswered = true;
    this.instance.answers++;
    if (this.instance.waking !== undefined) this.instance.answeredAfterWake();
    if (status < 500) this.instance.hasServed = true;
    if (this.#isOver) this.release();
    return !this.#isOver;
  }

  /** Notes that the app has ended its response, and gives the slot back if {@linkcode answered} was called before. */
  appEnded(): void {
    this.#isOver = true;
    if (this.#isAnswered) this.release();
  }
}

const RANDOM_LENGTH = 6;

/** A new name for a container, with 2 billion possibilities per revision. A duplicate only makes one start fail. */
export function newInstanceId({ name, service }: RevisionName): string {
  // With such large numbers, all remainders are practically equally likely.
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  const random = (number! % 36n ** BigInt(RANDOM_LENGTH)).toString(36).padStart(RANDOM_LENGTH, "0");
  return `cless-${service}-${name}-${random}`;
}
