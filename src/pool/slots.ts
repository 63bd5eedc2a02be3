import type { Asker, Waker } from "../model/waker.ts";
import type { HoldQueue } from "./hold_queue.ts";
import type { Instance, Lease } from "./instance.ts";

/** With this many instances or more, the choice is between two drawn at random. */
const MANY = 9;

/**
 * The slots of the ready instances, as far as this process may use them. No instance gets more requests than that, and
 * no request overtakes a waiting one.
 */
export class Slots {
  readonly #random: () => number;
  readonly #queue: HoldQueue<Lease>;
  readonly #ready: Instance[] = [];
  #open = 0;
  #peak = 0;

  constructor(queue: HoldQueue<Lease>, random: () => number) {
    this.#queue = queue;
    this.#random = random;
  }

  /** Claims a slot if one is free and no request waits. @param quiet See {@linkcode Lease.quiet}. */
  claim(quiet: boolean): Lease | undefined {
    return this.#queue.size > 0 ? undefined : this.#claim(quiet);
  }

  /** Restarts the idle time of a ready instance that has a free slot. Returns whether there is one. */
  touch(): boolean {
    const lease = this.claim(false);
    lease?.release();
    return lease !== undefined;
  }

  /** Opens a session on a ready instance, full or not; `undefined` if there is none. */
  enter(by: Waker): Lease | undefined {
    return choose(this.#ready, () => Infinity, this.#random)?.enter(by);
  }

  /** Waits for a slot, until the signal is aborted. @throws {ClessError} `overloaded` if too many wait. */
  wait(signal: AbortSignal, asker?: Asker): Promise<Lease> {
    const granted = this.#queue.wait(signal, asker);
    this.#note();
    return granted;
  }

  /** Gives the free slots to the waiting requests, in order. */
  serve(): void {
    this.#queue.serve(() => this.#claim(false));
  }

  /** Adds a ready instance. */
  add(instance: Instance): void {
    this.#ready.push(instance);
  }

  delete(instance: Instance): void {
    const at = this.#ready.indexOf(instance);
    if (at >= 0) this.#ready.splice(at, 1);
  }

  /** Notes that a slot was claimed, here or for the process before; called only if slots are limited. */
  claimed(): void {
    this.#open++;
  }

  /** Notes that a slot was given back; called only if slots are limited. */
  freed(): void {
    this.#note();
    this.#open--;
  }

  /** The highest number of requests, in flight and waiting together, since the last call. */
  takePeak(): number {
    this.#note();
    const peak = this.#peak;
    this.#peak = this.#open + this.#queue.size;
    return peak;
  }

  #claim(quiet: boolean): Lease | undefined {
    return choose(this.#ready, ({ slots }) => slots, this.#random)?.claim(quiet);
  }

  /** Called before the number falls: it is at its highest then. */
  #note(): void {
    const now = this.#open + this.#queue.size;
    if (now > this.#peak) this.#peak = now;
  }
}

/**
 * Chooses the instance with the fewest requests of those that have fewer than their limit. Among equals it takes the
 * first, so that the others may become idle. If there are many instances, it draws two and takes the better one. That is nearly as
 * good, has a constant cost, and does not send all simultaneous requests to one instance (Michael Mitzenmacher, "The
 * Power of Two Choices in Randomized Load Balancing", IEEE Transactions on Parallel and Distributed Systems 12(10),
 * 2001).
 *
 * @param random From 0 to below 1, evenly.
 */
export function choose(
  ready: readonly Instance[],
  limitOf: (instance: Instance) => number,
  random: () => number,
): Instance | undefined {
  if (ready.length >= MANY) {
    const first = Math.floor(random() * ready.length);
    const other = Math.floor(random() * (ready.length - 1));
    const [a, b] = [ready[first]!, ready[other < first ? other : other + 1]!];
    const better = b.requests < a.requests ? b : a;
    if (better.requests < limitOf(better)) return better;
  }
  let best: Instance | undefined;
  for (const instance of ready) {
    const { requests } = instance;
    if ((best === undefined || requests < best.requests) && requests < limitOf(instance)) best = instance;
  }
  return best;
}
