import type { Clock } from "../base/clock.ts";

/** {@linkcode Pace.most} while there is no overload. */
export const MOST_LATELY = 48;
/** A request counts as lately begun for at least one and at most two ticks, ms. */
const TICK_MS = 2;
/** There are ticks only while more than this share of {@linkcode Pace.most} counts: they take processor time. */
const NEARLY = 3 / 4;

/**
 * Lets requests begin in order, and only so many together. The more requests cless handles at the same time, the more
 * processor time each takes, since their memory does not stay in the processor's caches: if all that come over 1,000
 * connections began at once, each would take about twice as long as over 64 (docs/bench.md), and cless would refuse
 * requests at half of the load that it can bear.
 *
 * A request that is still unanswered after two ticks waits for its app or its client. It does not count any more, so slow
 * apps keep no others from beginning. Ticks are timers, so they come late if cless lags, and each request counts for at
 * least one turn of the event loop.
 */
export class Pace {
  /** While this many requests that began lately are unanswered, others wait. */
  most = MOST_LATELY;
  readonly #clock: Clock;
  readonly #waiting: { readonly sinceMs: number; readonly begin: () => void }[] = [];
  #first = 0;
  /** How many requests that began in this tick, and in the one before, are unanswered. */
  #young = 0;
  #older = 0;
  #tick = 0;
  #isTicking = false;
  #isDraining = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many requests have not begun. */
  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** How long the first of them has waited, ms; 0 if there is none. */
  get lagMs(): number {
    return this.waiting > 0 ? this.#clock.now() - this.#waiting[this.#first]!.sinceMs : 0;
  }

  /** Whether a request has to wait. */
  get isFull(): boolean {
    return this.waiting > 0 || !this.#hasRoom;
  }

  /** Calls back when a request may begin. @param begin It does not throw. */
  wait(begin: () => void): void {
    this.#waiting.push({ sinceMs: this.#clock.now(), begin });
    this.#keepTicking();
  }

  /** Counts a request that begins. Returns what {@linkcode ended} wants. */
  begun(): number {
    this.#young++;
    if (this.#isNearlyFull) this.#keepTicking();
    return this.#tick;
  }

  /** Notes that a request is answered, or was given up. @param tick What {@linkcode begun} returned. */
  ended(tick: number): void {
    if (tick === this.#tick) this.#young--;
    else if (tick === this.#tick - 1) this.#older--;
    else return;
    if (this.waiting > 0) this.#drain();
  }

  get #hasRoom(): boolean {
    return this.#young + this.#older < this.most;
  }

  get #isNearlyFull(): boolean {
    return this.#young + this.#older > NEARLY * this.most;
  }

  #drain(): void {
    if (this.#isDraining) return; // a request that begins may be answered at once
    this.#isDraining = true;
    while (this.waiting > 0 && this.#hasRoom) this.#waiting[this.#first++]!.begin();
    this.#isDraining = false;
    if (this.waiting > this.#first) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }

  #keepTicking(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#clock.after(TICK_MS, () => {
      this.#isTicking = false;
      this.#tick++;
      this.#older = this.#young;
      this.#young = 0;
      this.#drain();
      if (this.waiting > 0 || this.#isNearlyFull) this.#keepTicking();
    });
  }
}
