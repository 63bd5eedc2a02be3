import type { Clock } from "../../base/clock.ts";

/** Options of {@linkcode Attempts}. */
export interface AttemptsOptions {
  /** How many wrong tokens within the window lead to refusals. */
  readonly limit?: number;
  readonly windowMs?: number;
  readonly pauseMs?: number;
  /** How many addresses are remembered; the oldest are forgotten. */
  readonly addresses?: number;
}

interface Attempt {
  /** When the wrong tokens that still count came; fewer than the limit. */
  readonly times: readonly number[];
  /** Until when wrong tokens are refused without a check. */
  readonly until: number;
}

/**
 * Limits how often an address may try wrong tokens. A correct token is always accepted: it cannot be guessed, and
 * others behind the same address could lock out its owner.
 */
export class Attempts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #window: number;
  readonly #pause: number;
  readonly #addresses: number;
  /** By address; the one with the oldest wrong token comes first. */
  readonly #attempts = new Map<string, Attempt>();

  constructor(clock: Clock, options: AttemptsOptions = {}) {
    this.#clock = clock;
    this.#limit = options.limit ?? 10;
    this.#window = options.windowMs ?? 60_000;
    this.#pause = options.pauseMs ?? 60_000;
    this.#addresses = options.addresses ?? 10_000;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** The whole seconds until an address may try again, at least 1; `undefined` if it may now. */
  secondsLeft(address: string): number | undefined {
    const left = (this.#attempts.get(address)?.until ?? -Infinity) - this.#clock.now();
    return left > 0 ? Math.ceil(left / 1000) : undefined;
  }

  /** Notes a wrong token; during a refusal that does not extend the refusal. */
  wrong(address: string): void {
    const now = this.#clock.now();
    const before = this.#attempts.get(address);
    if (before !== undefined && before.until > now) return;
    const times = [...(before?.times ?? []).filter((time) => now - time < this.#window), now];
    this.#attempts.delete(address); // it moves to the end
    this.#attempts.set(
      address,
      times.length < this.#limit ? { times, until: -Infinity } : { times: [], until: now + this.#pause },
    );
    if (this.#attempts.size > this.#addresses) this.#attempts.delete(this.#attempts.keys().next().value!);
  }
}
