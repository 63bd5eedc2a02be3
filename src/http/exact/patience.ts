import type { Clock } from "../../base/clock.ts";
import { SwapList, type Swappable } from "../../base/swap_list.ts";

const TICK_MS = 50;

/** One that waits. */
interface Waiter extends Swappable {
  ticks: number;
  readonly giveUp: () => void;
}

/** Lets many wait a short while for something, with one coarse tick for all instead of a timer for each. */
export class Patience implements Disposable {
  readonly #clock: Clock;
  readonly #waiting = new SwapList<Waiter>();
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The promise's outcome; `undefined` when that takes too long, which is 50 to 100 ms. */
  wait<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { place: -1, ticks: 0, giveUp: () => resolve(undefined) };
      this.#waiting.add(waiter);
      this.#stopTicking ??= this.#clock.every(TICK_MS, () => this.#tick());
      promise.then((value) => {
        this.#waiting.delete(waiter);
        resolve(value);
      }, (error) => {
        this.#waiting.delete(waiter);
        reject(error);
      });
    });
  }

  [Symbol.dispose](): void {
    this.#stopTicking?.();
  }

  #tick(): void {
    if (this.#waiting.size === 0) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
    }
    for (const waiter of this.#waiting.list().filter((waiter) => ++waiter.ticks >= 2)) {
      this.#waiting.delete(waiter);
      waiter.giveUp();
    }
  }
}
