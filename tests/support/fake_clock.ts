import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  due: number;
  /** Keeps those that are due at the same time in the order in which they were set. */
  readonly order: number;
  readonly period: number | undefined;
  readonly callback: () => void;
}

/** How long a promise may take in real time, ms: it must not fail where the machine is busy. */
const PATIENCE_MS = 60_000;

/** A clock that stands still until a test makes time pass. */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now: number;
  #set = 0;

  /** @param now Where it starts, ms. */
  constructor(now = 1000) {
    this.#now = now;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    return ms === Infinity ? () => {} : this.#add(Math.max(0, ms), undefined, callback);
  }

  every(ms: number, callback: () => void): () => void {
    return this.#add(ms, ms, callback);
  }

  /** Lets time pass: calls back what falls due on the way, in order, each after what the one before set off has settled. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let timer = this.#first(end); timer !== undefined; timer = this.#first(end)) {
      this.#now = Math.max(this.#now, timer.due);
      if (timer.period === undefined) this.#timers.delete(timer);
      else timer.due += timer.period;
      timer.callback();
      await settle();
    }
    this.#now = end;
  }

  /** Lets time pass in which nothing is called back, as if the process stood still. */
  stall(ms: number): void {
    this.#now += ms;
  }

  /** Lets time pass until a promise has settled, and gives back what it came to; fails when it does not settle. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    let settled = false;
    const note = () => void (settled = true);
    promise.then(note, note);
    while (!settled) {
      if (performance.now() > deadline) throw new Error("It does not settle, however much time passes");
      await this.advance(50);
      await new Promise((resolve) => setTimeout(resolve, 0)); // what comes over a socket takes real time
    }
    return await promise;
  }

  #add(ms: number, period: number | undefined, callback: () => void): () => void {
    const timer = { due: this.#now + ms, order: this.#set++, period, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  #first(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due > end) continue;
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }
}

/** Resolves when every promise that can settle by itself has settled; what the outside world owes is not waited for. */
export function settle(): Promise<void> {
  // A task runs only after all microtasks, however long their chains are.
  return new Promise((resolve) => setImmediate(resolve));
}
