import type { Clock } from "../base/clock.ts";
import type { InstanceState } from "../model/instance_state.ts";
import type { Instance } from "./instance.ts";

/** From what an instance woke. */
export type Wake = "cold" | "resume" | "hibernated";

/** Gets how long wakes have taken. */
export interface WakeObserver {
  /**
   * Called when an instance is awake. @param ms The time from the decision to start or resume it. A cold start takes
   * until the app answers at its readiness path; another wake takes until the app's first answer to a request, or until
   * the app runs if it answers none.
   */
  woken?(instance: Instance, how: Wake, ms: number): void;
}

/** Measures how long the instances of a pool take to wake from a pause or from hibernation. */
export class WakeTimes {
  readonly #clock: Clock;
  readonly #observer: WakeObserver | undefined;

  constructor(clock: Clock, observer: WakeObserver | undefined) {
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Notes the decision to resume an instance. */
  begin(instance: Instance): void {
    instance.waking ??= { how: instance.isInSwap ? "hibernated" : "resume", beganMs: this.#clock.now() };
  }

  /**
   * Notes a change of an instance's state. @param isAwaited Whether requests wait for an instance: then the wake ends
   * with the app's first answer, and otherwise as soon as the app runs.
   */
  moved(instance: Instance, before: InstanceState, isAwaited: boolean): void {
    const { state, waking } = instance;
    if (waking === undefined) return;
    if (state === "ready") instance.waking = { ...waking, ranMs: this.#clock.now() };
    if (state === "ready" && isAwaited) return;
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

  #woke(instance: Instance, endMs: number): void {
    const { how, beganMs } = instance.waking!;
    instance.waking = undefined;
    this.#observer?.woken?.(instance, how, endMs - beganMs);
  }
}
