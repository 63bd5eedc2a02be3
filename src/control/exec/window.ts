import { MAX_PIECE_BYTES, WINDOW_BYTES } from "./messages.ts";

/** How much may be sent until the receiver says that it has taken some: the sender's side of a window. */
export class SendWindow {
  #left = WINDOW_BYTES;
  #waiting: PromiseWithResolvers<void> | undefined;
  #isClosed = false;

  /** Waits until a piece fits, and counts it as sent. Returns false if the window is closed. One caller at a time. */
  async take(bytes: number): Promise<boolean> {
    while (this.#left < bytes && !this.#isClosed) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
    this.#left -= bytes;
    return !this.#isClosed;
  }

  /** Notes that the receiver has taken some bytes. */
  give(bytes: number): void {
    this.#left = Math.min(WINDOW_BYTES, this.#left + bytes);
    this.#waiting?.resolve();
  }

  /** Lets nobody wait any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting?.resolve();
  }
}

/** What has arrived and what is taken of it: the receiver's side of a window. */
export class ReceiveWindow {
  /** How many bytes have arrived and are not reported as taken. */
  #open = 0;
  #taken = 0;

  /** Notes that bytes have arrived. Returns false if they are more than the sender may send. */
  arrived(bytes: number): boolean {
    this.#open += bytes;
    return this.#open <= WINDOW_BYTES;
  }

  /** Notes that bytes are taken. Returns how many to report to the sender now; 0 for none, since it has room enough. */
  took(bytes: number): number {
    this.#taken += bytes;
    if (this.#taken < MAX_PIECE_BYTES) return 0;
    const report = this.#taken;
    this.#open -= report;
    this.#taken = 0;
    return report;
  }
}
