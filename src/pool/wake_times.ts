import type { Clock } from "../base/clock.ts";
import type { InstanceState } from "../model/instance_state.ts";
import type { Waker } from "../model/waker.ts";
import type { HoldQueue } from "./hold_queue.ts";
import type { Instance } from "./instance.ts";

/** The last cold starts are remembered, up to this many. */
const MAX_STARTS = 9;

/** From what an instance woke: from nothing, a pause, or a pause in which its memory was in the swap. */
export type WakeTier = "cold" | "resume" | "hibernated";

/** Gets how long wakes have taken. */
export interface WakeObserver {
  /**
   * Called when an instance is awake. @param ms The time from the decision to start or resume it. A cold start takes
   * until the app answers at its readiness path; another wake takes until the app's first answer to a request, or until
   * the app runs if it answers none. @param by Who has waited the longest when that was decided.
   */
  woken?(instance: Instance, how: WakeTier, ms: number, by: Waker): void;
}

/** Tells from what and for whom the instances of a pool woke, and measures how long they took. */
export class WakeTimes {
  readonly #clock: Clock;
  readonly #queue: Pick<HoldQueue<unknown>, "first" | "size">;
  readonly #observer: WakeObserver | undefined;
  /** For each instance that became ready: from what it woke, and the serial number of that wake. */
  readonly #woken = new WeakMap<Instance, { readonly how: WakeTier; readonly number: number }>();
  /** For whom each instance was launched. */
  readonly #launchedFor = new WeakMap<Instance, Waker>();
  #count = 0;
  /** How long the last ones took, ms; the latest comes last. */
  readonly #coldStarts: number[] = [];

  /** @param queue The requests that wait for an instance of the pool. */
  constructor(
    clock: Clock,
    queue: Pick<HoldQueue<unknown>, "first" | "size">,
    observer: WakeObserver | undefined,
  ) {
    this.#clock = clock;
    this.#queue = queue;
    this.#observer = observer;
  }

  /** How many wakes there have been. */
  get count(): number {
    return this.#count;
  }

  /** The median time of the last cold starts, ms; `undefined` if there was none. */
  get usualColdStartMs(): number | undefined {
    const sorted = this.#coldStarts.toSorted((a, b) => a - b);
    const middle = sorted.length / 2;
    const [below, above] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
    return below === undefined || above === undefined ? undefined : (below + above) / 2;
  }

  /** From what an instance woke, if it did after the first `count` wakes. */
  wakeSince(instance: Instance, count: number): WakeTier | undefined {
    const woken = this.#woken.get(instance);
    return woken !== undefined && woken.number > count ? woken.how : undefined;
  }

  /** Notes the decision to launch an instance. */
  launching(instance: Instance): void {
    this.#launchedFor.set(instance, this.#wakerOf(instance));
  }

  /** Notes a cold start. @param ms The time until the app answered, with that of the container. */
  started(instance: Instance, ms: number): void {
    this.#coldStarts.push(instance.coldStartMs!);
    if (this.#coldStarts.length > MAX_STARTS) this.#coldStarts.shift();
    this.#observer?.woken?.(instance, "cold", ms, this.#launchedFor.get(instance) ?? { kind: "unknown" });
  }

  /** Notes the decision to resume an instance. */
  resuming(instance: Instance): void {
    const how = instance.isInSwap ? "hibernated" : "resume";
    instance.waking ??= { how, by: this.#wakerOf(instance), beganMs: this.#clock.now() };
  }

  /**
   * Notes a change of an instance's state. If requests wait for an instance, the wake ends with the app's first answer,
   * and otherwise as soon as the app runs.
   */
  moved(instance: Instance, before: InstanceState): void {
    const { state, waking } = instance;
    if (state === "ready") this.#note(instance, before);
    if (waking === undefined) return;
    if (state === "ready") instance.waking = { ...waking, ranMs: this.#clock.now() };
    if (state === "ready" && this.#queue.size > 0) return;
    if (state === "ready" || before === "ready") this.#woke(instance, instance.waking!.ranMs!);
    instance.waking = undefined;
  }

  /** Notes the app's first answer after a wake. */
  answered(instance: Instance): void {
    this.#woke(instance, this.#clock.now());
  }

  /** Notes that no request is left after a wake, and that none was answered. */
  unanswered(instance: Instance): void {
    const { ranMs } = instance.waking!;
    if (ranMs !== undefined) this.#woke(instance, ranMs);
  }

  /** For whom an instance is about to wake: for who has waited the longest, if anybody waits. */
  #wakerOf({ inFlight, operator }: Instance): Waker {
    if (this.#queue.size > 0) return this.#queue.first?.() ?? { kind: "unknown" };
    return operator ?? { kind: inFlight > 0 ? "unknown" : "minimum" }; // somebody may have paused it while it had requests
  }

  #note(instance: Instance, before: InstanceState): void {
    const how = instance.isInSwap ? "hibernated" : before === "paused" ? "resume" : "cold";
    instance.isInSwap = false;
    // No request has waited for an instance that was found running.
    if (how === "cold" && instance.coldStartMs === undefined) return;
    this.#woken.set(instance, { how, number: ++this.#count });
  }

  #woke(instance: Instance, endMs: number): void {
    const { by, how, beganMs } = instance.waking!;
    instance.waking = undefined;
    this.#observer?.woken?.(instance, how, endMs - beganMs, by);
  }
}
