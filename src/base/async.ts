import type { Clock } from "./clock.ts";

/** Waits for `ms`; resolves early, without an error, when the signal is aborted. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}

/** Resolves when the promise is fulfilled or rejected, or after `ms`, whichever comes first. */
export async function atMost(promise: Promise<unknown>, clock: Clock, ms: number): Promise<void> {
  await within(promise.catch(() => {}), clock, ms);
}

/** The promise's outcome, or `undefined` if it takes longer than `ms`. */
export function within<T>(promise: Promise<T>, clock: Clock, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    promise.then(resolve, reject).finally(cancel);
  });
}

/**
 * Waits for some work while it makes progress: resolves when it is done or has failed, or when `remaining` has not
 * decreased for `stallMs`.
 */
export async function whileItMoves(
  work: Promise<unknown>,
  remaining: () => number,
  clock: Clock,
  stallMs: number,
): Promise<void> {
  let done = false;
  const finish = () => void (done = true);
  work.then(finish, finish);
  for (let before = Infinity; !done && remaining() < before;) {
    before = remaining();
    await atMost(work, clock, stallMs);
  }
}

/** Runs at most `limit` tasks at the same time; further tasks wait, first in first out. */
export class Limiter {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs a task as soon as there is room for it, and settles as the task does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next(); // hands its place to the next task, so that no new task can take it
    }
  }
}
