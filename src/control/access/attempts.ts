import type { Clock } from "../../base/clock.ts";

/** After this many wrong tokens within {@linkcode WINDOW_MS}, an address is refused for {@linkcode PAUSE_MS}. */
const LIMIT = 10;
const WINDOW_MS = 60_000;
const PAUSE_MS = 60_000;
/** At most this many addresses are remembered; the oldest are forgotten. */
const MAX_ADDRESSES = 10_000;

interface Attempt {
  /** The times of the wrong tokens that still count; always fewer than the limit. */
  readonly times: readonly number[];
  /** Until when the address is locked out. More wrong tokens do not count until then. */
  readonly until: number;
}

/**
 * Limits how often an address may try wrong tokens. A correct token is always accepted: it cannot be guessed, and
 * otherwise others behind the same address could lock out its owner.
 */
export class Attempts {
  readonly #clock: Clock;
  /** By address, in the order of the last counted wrong token. */
  readonly #attempts = new Map<string, Attempt>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** The whole seconds until an address may try again, at least 1; `undefined` if it may now. */
  secondsLeft(address: string): number | undefined {
    const left = (this.#attempts.get(address)?.until ?? -Infinity) - this.#clock.now();
    return left > 0 ? Math.ceil(left / 1000) : undefined;
  }

  /** Notes a wrong token. While the address is locked out, a wrong token does not extend that time. */
  wrong(address: string): void {
    const now = this.#clock.now();
    const before = this.#attempts.get(address);
    if (before !== undefined && before.until > now) return;
    const times = [...(before?.times ?? []).filter((time) => now - time < WINDOW_MS), now];
    this.#attempts.delete(address); // so that it moves to the end
    this.#attempts.set(
      address,
      times.length < LIMIT ? { times, until: -Infinity } : { times: [], until: now + PAUSE_MS },
    );
    if (this.#attempts.size > MAX_ADDRESSES) this.#attempts.delete(this.#attempts.keys().next().value!);
  }
}
