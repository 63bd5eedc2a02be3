import type { Clock } from "../clock.ts";

const TICK_MS = 50;

/** One that waits. */
interface Waiter {
  place: number;
  ticks: number;
  readonly giveUp: () => void;
}

/** Lets many wait a short while for something, with one coarse tick for all instead of a timer for each. */
export class Patience implements Disposable {
  readonly #clock: Clock;
  readonly #waiting: Waiter[] = [];
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The promise's outcome; `undefined` when that takes too long, which is 50 to 100 ms. */
  wait<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { place: this.#waiting.length, ticks: 0, giveUp: () => resolve(undefined) };
      this.#waiting.push(waiter);
      this.#stopTicking ??= this.#clock.every(TICK_MS, () => this.#tick());
      promise.then((value) => {
        this.#delete(waiter);
        resolve(value);
      }, (error) => {
        this.#delete(waiter);
        reject(error);
      });
    });
  }

  [Symbol.dispose](): void {
    this.#stopTicking?.();
  }

  #tick(): void {
    if (this.#waiting.length === 0) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
    }
    for (const waiter of this.#waiting.filter((waiter) => ++waiter.ticks >= 2)) {
      this.#delete(waiter);
      waiter.giveUp();
    }
  }

  #delete(waiter: Waiter): void {
    if (this.#waiting[waiter.place] !== waiter) return;
    const last = this.#waiting.pop()!;
    if (last === waiter) return;
    this.#waiting[waiter.place] = last;
    last.place = waiter.place;
  }
}
