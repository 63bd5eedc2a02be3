import type { Clock } from "./clock.ts";

/** A message is sent at most this often. */
const MESSAGE_MS = 20;
/** The lag is measured at this interval by default. */
const TICK_MS = 100;
/** A lag is remembered for this long. */
const KEPT_MS = 60_000;
/** A smaller lag is not remembered. */
const NOTED_MS = 20;
/** If cless itself lagged more than this, an app's missed deadline does not count. */
const MAX_LAG_MS = 250;

/** This program's own lag, as far as it matters for judging apps. */
export interface Lag {
  /** Keeps the lag measured until the returned function is called. */
  watch(): () => void;
  /** Whether the lag since a time, clock ms, was so large that this program may have noticed timely events too late. */
  wasLate(sinceMs: number): boolean;
}

/** No lag at all. */
export const NO_LAG: Lag = { watch: () => () => {}, wasLate: () => false };

/**
 * Sends a message from this program to itself, on the path of a request but without an app. Rejects if it cannot be
 * sent.
 */
export interface RoundTrip {
  send(): Promise<void>;
}

/**
 * Measures the lag of this program. The lag is the greater of two times: how late a timer fires (the delay of the event
 * loop), and how long a message to itself takes. The message waits in the same queues as requests and apps' responses.
 * It is measured only while somebody watches.
 */
export class LagMeter implements Lag {
  readonly #clock: Clock;
  readonly #trip: RoundTrip;
  #watchers = 0;
  #cancel: (() => void) | undefined;
  #dueMs = Infinity;
  /** When the message under way was sent; `Infinity` if there is none. */
  #sentMs = Infinity;
  /** When the last message was sent. */
  #beganMs = -Infinity;
  #lastMs = 0;
  #noted: { readonly at: number; readonly ms: number }[] = [];
  readonly #heard = new Set<() => void>();
  /** The lag is measured at this interval. */
  tickMs = TICK_MS;

  constructor(clock: Clock, trip: RoundTrip) {
    this.#clock = clock;
    this.#trip = trip;
  }

  /**
   * The present lag, ms: the largest of the last message's time, the timer's delay so far, and the time so far of the
   * message under way.
   */
  get currentMs(): number {
    return Math.max(this.#lastMs, this.#overdueMs());
  }

  watch(): () => void {
    if (this.#watchers++ === 0) this.#setTimer();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.#watchers > 0) return;
      this.#cancel?.();
      this.#cancel = undefined;
      this.#dueMs = Infinity;
      this.#lastMs = 0;
    };
  }

  /** Calls back after each tick, until the returned function is called. */
  hear(callback: () => void): () => void {
    this.#heard.add(callback);
    return () => void this.#heard.delete(callback);
  }

  wasLate(sinceMs: number): boolean {
    return this.worstSince(sinceMs) > MAX_LAG_MS;
  }

  /** The greatest lag of the last minute, ms. */
  get worstMs(): number {
    return this.worstSince(this.#clock.now() - KEPT_MS);
  }

  /** The greatest lag since a time, clock ms. */
  worstSince(sinceMs: number): number {
    let worst = this.currentMs;
    for (const { at, ms } of this.#noted) if (at >= sinceMs && ms > worst) worst = ms;
    return worst;
  }

  /** How late the timer or the message under way is already, ms. */
  #overdueMs(): number {
    const now = this.#clock.now();
    return Math.max(0, now - this.#dueMs, now - this.#sentMs);
  }

  #setTimer(): void {
    this.#dueMs = this.#clock.now() + this.tickMs;
    this.#cancel = this.#clock.after(this.tickMs, () => this.#tick());
  }

  #tick(): void {
    this.#note(this.#overdueMs());
    if (this.#sentMs === Infinity && this.#clock.now() - this.#beganMs >= MESSAGE_MS - 1) this.#measure();
    for (const hear of this.#heard) hear();
    if (this.#watchers > 0) this.#setTimer();
  }

  async #measure(): Promise<void> {
    this.#beganMs = this.#sentMs = this.#clock.now();
    try {
      await this.#trip.send();
      this.#lastMs = this.#clock.now() - this.#sentMs;
      this.#note(this.#lastMs);
    } catch {
      this.#lastMs = 0; // a message that cannot be sent says nothing about the lag
    } finally {
      this.#sentMs = Infinity;
    }
  }

  #note(ms: number): void {
    if (ms < NOTED_MS) return;
    const now = this.#clock.now();
    if (this.#noted.length > 0 && this.#noted[0]!.at < now - KEPT_MS) {
      this.#noted = this.#noted.filter(({ at }) => at >= now - KEPT_MS);
    }
    this.#noted.push({ at: now, ms });
  }
}
