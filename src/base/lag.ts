import type { Clock } from "./clock.ts";

/** How often the lag is measured under load, and otherwise. */
const BUSY_TICK_MS = 20;
const TICK_MS = 100;
/** For how long a lag is remembered, and from which size on. */
const KEPT_MS = 60_000;
const NOTED_MS = 20;
/** Whoever judges an app by what it has not done in time must have had less lag than this. */
const MOST_LAG_MS = 250;

/** What judges of apps need to know of this program's own lag. */
export interface Lag {
  /** Measures until the returned function is called. */
  watch(): () => void;
  /** Whether the program has been so late since a moment, clock ms, that it may have missed what others did in time. */
  wasLate(sinceMs: number): boolean;
}

/** No lag at all. */
export const NO_LAG: Lag = { watch: () => () => {}, wasLate: () => false };

/** A message of the program to itself that takes the way of a request, without an app. Rejects if it cannot be sent. */
export interface RoundTrip {
  send(): Promise<void>;
}

/**
 * Measures how late this program is: by how much its timer is late (the delay of the event loop), and how long a
 * message to itself takes, which waits in the same queues as requests and the answers of apps. It measures only while
 * somebody watches.
 */
export class LagMeter implements Lag {
  readonly #clock: Clock;
  readonly #trip: RoundTrip;
  #watchers = 0;
  #cancel: (() => void) | undefined;
  #dueMs = Infinity;
  /** When the message under way was sent; `Infinity` if there is none. */
  #sentMs = Infinity;
  #lastMs = 0;
  #noted: { readonly at: number; readonly ms: number }[] = [];
  readonly #heard = new Set<() => void>();
  /** Whether to measure often. */
  busy = false;

  constructor(clock: Clock, trip: RoundTrip) {
    this.#clock = clock;
    this.#trip = trip;
  }

  /** The lag now, ms: that of the last message, or of the one under way if that has taken longer already. */
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

  /** Calls back after each measurement, until the returned function is called. */
  hear(callback: () => void): () => void {
    this.#heard.add(callback);
    return () => void this.#heard.delete(callback);
  }

  wasLate(sinceMs: number): boolean {
    return this.worstSince(sinceMs) > MOST_LAG_MS;
  }

  /** The greatest lag since a moment, clock ms. */
  worstSince(sinceMs: number): number {
    let worst = this.currentMs;
    for (const { at, ms } of this.#noted) if (at >= sinceMs && ms > worst) worst = ms;
    return worst;
  }

  /** How late the timer and the message under way are already. */
  #overdueMs(): number {
    const now = this.#clock.now();
    return Math.max(0, now - this.#dueMs, now - this.#sentMs);
  }

  #setTimer(): void {
    const ms = this.busy ? BUSY_TICK_MS : TICK_MS;
    this.#dueMs = this.#clock.now() + ms;
    this.#cancel = this.#clock.after(ms, () => this.#tick());
  }

  #tick(): void {
    this.#note(this.#overdueMs());
    this.#setTimer();
    if (this.#sentMs === Infinity) this.#measure();
    for (const hear of this.#heard) hear();
  }

  async #measure(): Promise<void> {
    this.#sentMs = this.#clock.now();
    try {
      await this.#trip.send();
      this.#lastMs = this.#clock.now() - this.#sentMs;
      this.#note(this.#lastMs);
    } catch {
      this.#lastMs = 0; // it cannot be sent, which says nothing
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
