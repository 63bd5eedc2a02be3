import type { Clock } from "./clock.ts";
import { SwapList, type Swappable } from "./swap_list.ts";

/** An object with deadlines, which {@linkcode CoarseTimeouts} watches. */
export interface Timed extends Swappable {
  /** Called at every tick while the object is watched; acts if one of its deadlines has passed. */
  check(nowMs: number): void;
}

/**
 * Watches the deadlines of many objects with one timer. Most objects are removed before the first tick, at almost no
 * cost. A deadline may be noticed one tick late. The timer runs only while something is watched.
 */
export class CoarseTimeouts<T extends Timed = Timed> implements Disposable {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #watched = new SwapList<T>();
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#watched.size;
  }

  /** A copy of the watched objects. */
  list(): T[] {
    return this.#watched.list();
  }

  add(item: T): void {
    this.#watched.add(item);
    this.#stopTicking ??= this.#clock.every(this.#tickMs, () => this.#tick());
  }

  /** Returns whether it was watched. */
  delete(item: T): boolean {
    return this.#watched.delete(item);
  }

  /** The promise's outcome, or `undefined` if it takes longer than `timeoutMs`. */
  within<V>(this: CoarseTimeouts, promise: Promise<V>, timeoutMs: number): Promise<V | undefined> {
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#clock.now() + timeoutMs;
      const waiter: Timed = {
        place: -1,
        check: (nowMs) => {
          if (nowMs <= deadlineMs) return;
          this.delete(waiter);
          resolve(undefined);
        },
      };
      this.add(waiter);
      promise.then((value) => {
        this.delete(waiter);
        resolve(value);
      }, (error) => {
        this.delete(waiter);
        reject(error);
      });
    });
  }

  [Symbol.dispose](): void {
    this.#stopTicking?.();
  }

  #tick(): void {
    if (this.#watched.size === 0) {
      this.#stopTicking?.();
      this.#stopTicking = undefined;
      return;
    }
    const nowMs = this.#clock.now();
    for (const item of this.#watched.list()) item.check(nowMs);
  }
}
