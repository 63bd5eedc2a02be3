import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import { networkOf } from "../model/ip.ts";
import { type Share, WHOLE } from "../model/share.ts";

/** At most this many clients are remembered, of all services together. Each needs 110 to 140 bytes, so 14 MB in all. */
const MAX_KEYS = 100_000;
/** With each new client, this many others are looked at, to forget those that may send as much as a new one. */
const LOOKED_AT = 4;
/** The same if there is no room, until one of these is found. */
const LOOKED_AT_WITHOUT_ROOM = 64;

/** The sums of intervals are exact to much less than this. */
const ROUNDING_MS = 1e-6;

/** A limit on how often requests may come. */
export interface Rate {
  /** In the long run. */
  readonly requestsPerSecond: number;
  /** How many may come at once. */
  readonly burst: number;
}

/**
 * Limits the rate of requests per client, by the Generic Cell Rate Algorithm (ITU-T Recommendation I.371, annex A, in
 * its form of virtual scheduling). It has the effect of a token bucket, with one number per client.
 *
 * If several processes take the requests, each admits its part of the rate and of the burst, but at least one request at
 * once. What is remembered is the time until a bucket is full again, which is the same for all sizes of the part.
 */
export class RateLimiter {
  readonly #clock: Pick<Clock, "now">;
  readonly #maxKeys: number;
  readonly #share: { readonly now: Share };
  /** When each client's bucket is full again, clock ms. */
  readonly #fullAt = new Map<string, number>();
  /** The next client to be looked at; it goes round through all of them. */
  #hand = this.#fullAt.entries();

  /** @param share The part of this process. @param maxKeys How many clients are remembered at most. */
  constructor(clock: Pick<Clock, "now">, share: { readonly now: Share } = { now: WHOLE }, maxKeys = MAX_KEYS) {
    this.#clock = clock;
    this.#share = share;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  /**
   * Counts a request. One that is refused does not count.
   *
   * @param service Its name.
   * @param address The client's; missing if all clients of the service are to share its limit.
   * @throws {ClessError} `rate_limited` if it comes too early.
   */
  take(service: string, rate: Rate, address = ""): void {
    const key = `${service} ${networkOf(address)}`;
    const now = this.#clock.now();
    const { of } = this.#share.now;
    const intervalMs = 1000 * of / rate.requestsPerSecond;
    const burst = of === 1 ? rate.burst : Math.max(1, rate.burst / of);
    const known = this.#fullAt.get(key);
    // At most the time that an empty bucket needs: requests may have been counted at a lower rate before.
    const fullAt = known === undefined ? now : Math.min(Math.max(known, now), now + burst * intervalMs);
    const earlyMs = fullAt - now - (burst - 1) * intervalMs;
    if (earlyMs > ROUNDING_MS) {
      if (fullAt !== known) this.#fullAt.set(key, fullAt);
      throw new ClessError("rate_limited", "Too many requests came in too short a time", {
        retryAfterS: Math.ceil(earlyMs / 1000),
      });
    }
    if (known === undefined) this.#makeRoom(now);
    this.#fullAt.set(key, fullAt + intervalMs);
  }

  /** Forgets clients whose bucket is full again. If none is found, forgets the one whose bucket is full next. */
  #makeRoom(now: number): void {
    let fullest: string | undefined;
    let fullestAt = Infinity;
    const hasRoom = () => this.#fullAt.size < this.#maxKeys;
    for (let looked = 0; looked < (hasRoom() ? LOOKED_AT : LOOKED_AT_WITHOUT_ROOM); looked++) {
      if (this.#fullAt.size === 0) return;
      let next = this.#hand.next();
      if (next.done) next = (this.#hand = this.#fullAt.entries()).next();
      const [key, fullAt] = next.value!;
      if (fullAt <= now) this.#fullAt.delete(key);
      else if (fullAt < fullestAt) [fullest, fullestAt] = [key, fullAt];
    }
    if (!hasRoom() && fullest !== undefined) this.#fullAt.delete(fullest);
  }
}
