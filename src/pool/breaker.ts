import { choose } from "./choice.ts";
import { HoldQueue } from "./hold_queue.ts";
import type { Instance, Lease } from "./instance.ts";

/** Why a request had to wait. */
export type Wake = "cold" | "resume";

/** A lease, and what it had to wait for, if anything. */
export interface Grant {
  readonly lease: Lease;
  readonly how?: Wake;
}

/** Options of a {@linkcode Breaker}. */
export interface BreakerOptions {
  /** How many requests an instance serves at once; 0 for any number. */
  readonly concurrency: number;
  /** How many requests may wait. */
  readonly maxPending: number;
  /** From 0 to below 1, evenly. */
  readonly random: () => number;
}

/**
 * The slots of the ready instances of a revision, and the one queue before them: no instance gets more requests than it
 * takes, and nobody overtakes who waits.
 */
export class Breaker {
  readonly #limit: number;
  readonly #random: () => number;
  readonly #queue: HoldQueue<Grant>;
  readonly #ready: Instance[] = [];
  /** Why an instance has become ready, and who came before it had. */
  readonly #woken = new WeakMap<Instance, { how: Wake; turn: number }>();
  #open = 0;
  #peak = 0;

  constructor({ concurrency, maxPending, random }: BreakerOptions) {
    this.#limit = concurrency === 0 ? Infinity : concurrency;
    this.#random = random;
    this.#queue = new HoldQueue(maxPending);
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** The instances that are ready. */
  get ready(): readonly Instance[] {
    return this.#ready;
  }

  /** How many requests the ready instances have. */
  get inFlight(): number {
    return this.#ready.reduce((sum, { inFlight }) => sum + inFlight, 0);
  }

  /** Resolves when nobody waits. */
  emptied(): Promise<void> {
    return this.#queue.emptied();
  }

  /**
   * Claims a slot, where one is free and nobody waits for it.
   *
   * @param quiet Whether it is for a request that the instance is not kept awake for.
   */
  claim(quiet = false): Lease | undefined {
    return this.#queue.size > 0 ? undefined : this.#claim(quiet);
  }

  /**
   * Waits for a slot.
   *
   * @param signal Ends the waiting.
   * @throws {ClessError} `overloaded` when too many wait.
   */
  wait(signal: AbortSignal): Promise<Grant> {
    const granted = this.#queue.wait(signal);
    this.#note();
    return granted;
  }

  /** Gives the slots that are free to those who wait, in order. */
  serve(): void {
    this.#queue.serve((turn) => {
      const lease = this.#claim();
      if (lease === undefined) return undefined;
      const woken = this.#woken.get(lease.instance);
      return woken !== undefined && turn < woken.turn ? { lease, how: woken.how } : { lease };
    });
  }

  /** Sends away all who wait. */
  refuse(error: unknown): void {
    this.#queue.fail(error);
  }

  /**
   * Takes in an instance that has become ready.
   *
   * @param how Why: those who wait now have waited for that; missing for one that was found so.
   */
  add(instance: Instance, how?: Wake): void {
    this.#ready.push(instance);
    if (how !== undefined) this.#woken.set(instance, { how, turn: this.#queue.turn });
  }

  /** Takes out an instance that is not ready any more. */
  delete(instance: Instance): void {
    const at = this.#ready.indexOf(instance);
    if (at >= 0) this.#ready.splice(at, 1);
  }

  /** Notes that a slot was given back, where slots are counted. */
  freed(): void {
    this.#open--;
  }

  /** The most requests that there were at once, in flight and waiting, since it was last asked. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#open + this.#queue.size;
    return peak;
  }

  #claim(quiet = false): Lease | undefined {
    const ready = this.#ready;
    if (this.#limit === Infinity) {
      return (ready.length === 1 ? ready[0] : choose(ready, Infinity, this.#random))?.claim(quiet);
    }
    const lease = choose(ready, this.#limit, this.#random)?.claim(quiet);
    if (lease !== undefined) {
      this.#open++;
      this.#note();
    }
    return lease;
  }

  #note(): void {
    const now = this.#open + this.#queue.size;
    if (now > this.#peak) this.#peak = now;
  }
}
