import type { Clock } from "../../base/clock.ts";

/** How many wrong tokens are too many. */
export interface AttemptsOptions {
  /** How many wrong ones within the window lead to refusals. */
  readonly limit?: number;
  /** How long a wrong one counts, ms. */
  readonly window?: number;
  /** How long an address is refused, ms. */
  readonly pause?: number;
  /** Of how many addresses it is known what they did; the oldest are forgotten. */
  readonly addresses?: number;
}

interface Attempt {
  /** When the wrong ones came that still count; fewer than the limit. */
  readonly times: readonly number[];
  /** Until when everything is refused. */
  readonly until: number;
}

/**
 * Counts wrong tokens by address: ask {@linkcode secondsLeft} when one was wrong, and tell of it by {@linkcode wrong}. A
 * right one is let in all the same: nobody guesses it, and others on its address could keep its owner out. Addresses do
 * not touch one another.
 */
export class Attempts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #window: number;
  readonly #pause: number;
  readonly #addresses: number;
  /** By address, the one with the oldest wrong token first. */
  readonly #attempts = new Map<string, Attempt>();

  constructor(clock: Clock, options: AttemptsOptions = {}) {
    this.#clock = clock;
    this.#limit = options.limit ?? 10;
    this.#window = options.window ?? 60_000;
    this.#pause = options.pause ?? 60_000;
    this.#addresses = options.addresses ?? 10_000;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#attempts.size;
  }

  /** In how many whole seconds an address may try again, at least 1; `undefined` where it may now. */
  secondsLeft(address: string): number | undefined {
    const left = (this.#attempts.get(address)?.until ?? -Infinity) - this.#clock.now();
    return left > 0 ? Math.ceil(left / 1000) : undefined;
  }

  /** Notes a wrong token. One that was on its way when the refusals began does not make them longer. */
  wrong(address: string): void {
    const now = this.#clock.now();
    const before = this.#attempts.get(address);
    if (before !== undefined && before.until > now) return;
    const times = [...(before?.times ?? []).filter((time) => now - time < this.#window), now];
    this.#attempts.delete(address); // to come last
    this.#attempts.set(
      address,
      times.length < this.#limit ? { times, until: -Infinity } : { times: [], until: now + this.#pause },
    );
    for (const [oldest] of this.#attempts) {
      if (this.#attempts.size <= this.#addresses) break;
      this.#attempts.delete(oldest);
    }
  }
}
