/** One stream may take this part of what is left. */
const SHARE = 1 / 16;

/**
 * Shares memory among all streams. Each may have a fixed part of what is left, so that few streams get much, many get
 * little, and a new one always finds something: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
 * packet switches", IEEE/ACM Transactions on Networking 6(2), 1998.
 */
export class StreamBudget {
  readonly #totalBytes: number;
  #usedBytes = 0;

  /** @param totalBytes `Infinity` for no limit. */
  constructor(totalBytes = Infinity) {
    this.#totalBytes = totalBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How much a stream may read at once: at most `wantedBytes`, but `leastBytes` even if there is nothing left. */
  share(wantedBytes: number, leastBytes: number): number {
    const share = Math.floor((this.#totalBytes - this.#usedBytes) * SHARE);
    return Math.min(wantedBytes, Math.max(leastBytes, share));
  }

  /** Notes that a stream keeps more bytes in memory, or fewer. */
  change(byBytes: number): void {
    this.#usedBytes += byBytes;
  }
}
