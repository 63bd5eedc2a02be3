import type { Clock } from "../../base/clock.ts";

/** The end of a WebSocket: it comes with the end of both sides, or a while after that of one. */
export class Ending {
  readonly #ended = Promise.withResolvers<void>();
  readonly #clock: Clock;
  readonly #patience: number;
  #open = 2;
  #stopWaiting: (() => void) | undefined;

  /** @param patience How long a side may leave a close unanswered, ms. */
  constructor(clock: Clock, patience: number) {
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Resolves at the end. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** A side has been told to close. */
  begin(): void {
    // The platform waits for the answer without a limit, and a lease must not.
    this.#stopWaiting ??= this.#clock.after(this.#patience, () => this.#ended.resolve());
  }

  /** A side has closed. */
  sideClosed(): void {
    this.begin();
    if (--this.#open > 0) return;
    this.#stopWaiting?.();
    this.#ended.resolve();
  }
}
