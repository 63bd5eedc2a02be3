import { ClessError } from "../errors.ts";

interface Held<T> {
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/** Requests that wait for something: first come first served, bounded, and each may leave at any time. */
export class HoldQueue<T> {
  readonly #limit: number;
  // A Set keeps the order of arrival and lets one leave from the middle at no cost.
  readonly #held = new Set<Held<T>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many wait. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Joins the queue.
   *
   * @param signal Leaves the queue at once, with the signal's reason, when it is aborted.
   * @throws {ClessError} `overloaded`, when the queue is full.
   */
  async wait(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#held.size >= this.#limit) {
      throw new ClessError("overloaded", "Too many requests are waiting for this service", { retryAfterS: 1 });
    }
    return await new Promise<T>((resolve, reject) => {
      const leave = () => settle(() => reject(signal.reason));
      const settle = (how: () => void) => {
        this.#held.delete(held);
        signal.removeEventListener("abort", leave);
        how();
      };
      const held: Held<T> = {
        resolve: (value) => settle(() => resolve(value)),
        reject: (reason) => settle(() => reject(reason)),
      };
      this.#held.add(held);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** Gives, in order, each of those who wait what `next` returns, until it returns nothing. */
  serve(next: () => T | undefined): void {
    for (const held of this.#held) {
      const value = next();
      if (value === undefined) return;
      held.resolve(value);
    }
  }

  /** Sends all who wait away with an error. */
  fail(reason: unknown): void {
    for (const held of this.#held) held.reject(reason);
  }
}
