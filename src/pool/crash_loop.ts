import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Instance } from "./instance.ts";

/** So many failures in a row make a crash loop. */
export const CRASH_LOOP = 3;
const SHORTEST_MS = 500;
/** How much longer or shorter than it should be a back-off is at most: many services must not try again at once. */
const JITTER = 0.2;
/** A minute is the longest that it ever comes to. */
const LONGEST_MS = 60_000 / (1 + JITTER);
/** An instance that has been ready for so long is a good one. */
const GOOD_MS = 60_000;
/** So long after the last failure another one is the first: where instances are stopped soon, none is ever a good one. */
const ROW_MS = 600_000;

/** Why a revision does not work; for operators. */
export interface Failure {
  readonly reason: string;
  /** The last lines that the app wrote; empty until they are known. */
  readonly output: string;
  /** Wall-clock time. */
  readonly at: Date;
  /** How many there have been in a row, this one included. */
  readonly count: number;
}

/**
 * Counts how often a revision has failed in a row, and says how long it is left alone: a request may try again at once until
 * the third failure, a start that nobody waits for has to wait after each.
 */
export class CrashLoop {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #told: ((failure: Failure) => void) | undefined;
  #failure: Failure | undefined;
  #count = 0;
  #until = -Infinity;
  #ends = 0;
  #endsUntil = -Infinity;
  /** When it failed or ended last, in the clock's ms. */
  #lastAt = -Infinity;

  /**
   * @param random From 0 to below 1, evenly.
   * @param told Is told of every failure, once it is known what the app has written.
   */
  constructor(clock: Clock, random: () => number, told?: (failure: Failure) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#told = told;
  }

  /** How many failures there have been in a row. */
  get count(): number {
    return this.#count;
  }

  /** The last failure, unless a good instance came after it. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** How long requests are turned away, ms; 0 where they are not. */
  get left(): number {
    return this.#count < CRASH_LOOP ? 0 : Math.max(0, this.#until - this.#clock.now());
  }

  /** How long a start that nobody waits for has to wait, ms. */
  get leftUnasked(): number {
    return Math.max(0, Math.max(this.#until, this.#endsUntil) - this.#clock.now());
  }

  /**
   * Notes a failed start, or an app that has crashed soon after it.
   *
   * @param since What {@linkcode count} was when it began: starts at the same time fail for the same reason, which counts
   * once.
   * @param output What the app has written.
   */
  failed(reason: string, since: number, output: Promise<string> = Promise.resolve("")): void {
    const isNext = since === this.#count;
    this.#note();
    if (isNext) {
      this.#count++;
      this.#until = this.#clock.now() + this.#backOff(this.#count - CRASH_LOOP);
    }
    const failure = this.#failure = { reason, output: "", at: new Date(), count: this.#count };
    output.then((output) => {
      const explained = { ...failure, output };
      if (this.#failure === failure) this.#failure = explained;
      this.#told?.(explained);
    });
  }

  /**
   * Notes that the container of an instance has ended by itself or by somebody else's hand, or that the app in it has to be
   * given up. It is a failure where that is the app's doing, soon after it was ready, whatever its exit code.
   *
   * @param output What the app has written.
   */
  lost(instance: Instance, reason: string, output?: Promise<string>): void {
    const { age = 0 } = instance;
    this.judge(age);
    if (age >= GOOD_MS) return;
    this.#note();
    if (!instance.byHand) this.failed(`${reason} soon after it was ready`, this.#count, output);
    this.#ends++;
    if (this.#ends > 1) this.#endsUntil = this.#clock.now() + this.#backOff(this.#ends - 2); // once can happen
  }

  /**
   * Forgets what was, where an instance has been ready for long enough, and is younger than the last failure: that an older
   * one still serves says nothing of the next start.
   *
   * @param age For how long it has been, ms.
   */
  judge(age: number | undefined): void {
    if (age === undefined || age < GOOD_MS || this.#clock.now() - age < this.#lastAt) return;
    this.#count = this.#ends = 0;
    this.#until = this.#endsUntil = -Infinity;
    this.#failure = undefined;
  }

  /** What those are told who are turned away. */
  refusal(): ClessError {
    return new ClessError("crash_loop", "The service has failed to start several times in a row", {
      detail: `${this.#count} failures in a row, the last: ${this.#failure?.reason}`,
      ...(this.#failure === undefined ? {} : { output: this.#failure.output }),
      retryAfterS: Math.max(1, Math.ceil(this.left / 1000)),
    });
  }

  #note(): void {
    const now = this.#clock.now();
    if (now - this.#lastAt > ROW_MS) this.#count = this.#ends = 0;
    this.#lastAt = now;
  }

  /** @param doublings How often it has doubled. */
  #backOff(doublings: number): number {
    const ms = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** Math.max(0, doublings));
    return ms * (1 - JITTER + 2 * JITTER * this.#random());
  }
}
