import { networkOf } from "../model/ip.ts";
import type { Clock } from "./clock.ts";

/** After this many wrong attempts within {@linkcode WINDOW_MS}, an address is locked out for {@linkcode PAUSE_MS}. */
const LIMIT = 10;
const WINDOW_MS = 60_000;
const PAUSE_MS = 60_000;
/** At most this many addresses are remembered; the oldest are forgotten. */
const MAX_ADDRESSES = 10_000;

interface Attempt {
  /** The times of the wrong attempts that still count; always fewer than the limit. */
  readonly times: readonly number[];
  /** Until when the address is locked out. More wrong attempts do not count until then. */
  readonly until: number;
}

/** Limits how often an address may try wrong tokens or passwords. IPv6 addresses of one /64 count as one address. */
export class Attempts {
  readonly #clock: Pick<Clock, "now">;
  /** By network, in the order of the last counted wrong attempt. */
  readonly #attempts = new Map<string, Attempt>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** The whole seconds until an address may try again, at least 1; `undefined` if it may now. */
  secondsLeft(address: string): number | undefined {
    if (this.#attempts.size === 0) return undefined;
    const left = (this.#attempts.get(networkOf(address))?.until ?? -Infinity) - this.#clock.now();
    return left > 0 ? Math.ceil(left / 1000) : undefined;
  }

  /** Notes a wrong attempt. While the address is locked out, a wrong attempt does not extend that time. */
  wrong(address: string): void {
    const network = networkOf(address);
    const now = this.#clock.now();
    const before = this.#attempts.get(network);
    if (before !== undefined && before.until > now) return;
    const times = [...(before?.times ?? []).filter((time) => now - time < WINDOW_MS), now];
    this.#attempts.delete(network); // so that it moves to the end
    this.#attempts.set(
      network,
      times.length < LIMIT ? { times, until: -Infinity } : { times: [], until: now + PAUSE_MS },
    );
    if (this.#attempts.size > MAX_ADDRESSES) this.#attempts.delete(this.#attempts.keys().next().value!);
  }
}
