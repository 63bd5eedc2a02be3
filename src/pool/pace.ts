import type { Clock } from "../base/clock.ts";

/** Over which time the pace is measured, once there is a queue. */
const WINDOW_MS = 250;
/** How long a request may have to wait for a slot. */
const WAIT_MS = 700;
/** So many may wait however slow the app is: that an answer takes long is no overload. */
const LEAST = 100;

/**
 * Bounds how many requests wait for a slot of the ready instances: to as many as get one soon, at the pace at which slots
 * have just been given back (Little's law). More would only wait longer, all of them.
 */
export class Pace {
  readonly #clock: Clock;
  #sinceMs = 0;
  #freed = 0;
  #most = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a slot was given back. */
  freed(): void {
    this.#freed++;
  }

  /** Begins anew: nothing is known of the pace yet. */
  restart(): void {
    this.#sinceMs = this.#clock.now();
    this.#freed = 0;
    this.#most = Infinity;
  }

  /** How many may wait, if so many do now. */
  limit(waiting: number): number {
    if (waiting === 0) this.restart();
    const tookMs = this.#clock.now() - this.#sinceMs;
    if (tookMs >= WINDOW_MS) {
      this.#most = Math.max(LEAST, this.#freed / tookMs * WAIT_MS);
      this.#sinceMs += tookMs;
      this.#freed = 0;
    }
    return this.#most;
  }
}
