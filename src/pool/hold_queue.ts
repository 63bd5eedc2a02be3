import { ClessError } from "../base/errors.ts";
import type { Asker } from "../model/waker.ts";

interface Held<T> {
  readonly asker: Asker | undefined;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/** The error for requests that find too many others waiting. */
export function tooMany(): ClessError {
  return new ClessError("overloaded", "Too many requests are waiting for this service", { retryAfterS: 1 });
}

/** Waiting requests, limited in number and served in order of arrival. Each may leave at any time. */
export class HoldQueue<T> {
  readonly #limit: number;
  // A Set keeps the order of arrival and removes from the middle at no cost.
  readonly #held = new Set<Held<T>>();
  #empty: PromiseWithResolvers<void> | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Who has waited the longest; `undefined` if nobody waits, or that is not known. */
  get first(): Asker | undefined {
    const [first] = this.#held;
    return first?.asker;
  }

  emptied(): Promise<void> {
    if (this.#held.size === 0) return Promise.resolve();
    this.#empty ??= Promise.withResolvers();
    return this.#empty.promise;
  }

  /**
   * Waits in the queue until it is served or the signal is aborted. @throws {ClessError} `overloaded` when it is full.
   */
  async wait(signal: AbortSignal, asker?: Asker): Promise<T> {
    signal.throwIfAborted();
    if (this.#held.size >= this.#limit) {
      throw tooMany();
    }
    return await new Promise<T>((resolve, reject) => {
      const leave = () => settle(() => reject(signal.reason));
      const settle = (how: () => void) => {
        this.#held.delete(held);
        signal.removeEventListener("abort", leave);
        how();
        if (this.#held.size > 0) return;
        this.#empty?.resolve();
        this.#empty = undefined;
      };
      const held: Held<T> = {
        asker,
        resolve: (value) => settle(() => resolve(value)),
        reject: (reason) => settle(() => reject(reason)),
      };
      this.#held.add(held);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** Gives each waiting request, in order, a value from `next`, until `next` returns `undefined`. */
  serve(next: () => T | undefined): void {
    for (const held of this.#held) {
      const value = next();
      if (value === undefined) return;
      held.resolve(value);
    }
  }

  fail(reason: unknown): void {
    for (const held of this.#held) held.reject(reason);
  }
}
