import type { Clock } from "../base/clock.ts";

/** The time over which the pace is measured, once there is a queue. */
const WINDOW_MS = 250;
/** The target for the longest wait for a slot. */
const WAIT_MS = 500;
/** This many requests may wait however slow the app is: slow responses alone are no overload. */
const MIN_WAITING = 100;

/**
 * Limits how many requests may wait for a slot of the ready instances. The limit is the number of slots that were
 * recently freed per millisecond, times the target wait (Little's law). So each waiting request gets a slot in time.
 * With more requests, all of them would wait longer.
 */
export class Pace {
  readonly #clock: Clock;
  #sinceMs = 0;
  #freed = 0;
  #limit = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a slot was given back. */
  freed(): void {
    this.#freed++;
  }

  /** Forgets what was measured. */
  restart(): void {
    this.#sinceMs = this.#clock.now();
    this.#freed = 0;
    this.#limit = Infinity;
  }

  /** How many requests may wait. @param waiting How many wait now. */
  limit(waiting: number): number {
    if (waiting === 0) this.restart();
    const tookMs = this.#clock.now() - this.#sinceMs;
    if (tookMs >= WINDOW_MS) {
      this.#limit = Math.max(MIN_WAITING, this.#freed / tookMs * WAIT_MS);
      this.#sinceMs += tookMs;
      this.#freed = 0;
    }
    return this.#limit;
  }
}
