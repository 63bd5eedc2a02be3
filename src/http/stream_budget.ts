/** The part of the remaining memory that one stream may take. */
const SHARE = 1 / 16;

/**
 * Shares memory among all streams. Each may take a fixed part of what remains. So a few streams get much each, many get
 * little each, and something remains for a new one: Choudhury and Hahne, "Dynamic queue length thresholds for
 * shared-memory packet switches", IEEE/ACM Transactions on Networking 6(2), 1998.
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

  /** How much a stream may read at once: at most `wantedBytes`, and at least `leastBytes` even if no memory remains. */
  share(wantedBytes: number, leastBytes: number): number {
    const share = Math.floor((this.#totalBytes - this.#usedBytes) * SHARE);
    return Math.min(wantedBytes, Math.max(leastBytes, share));
  }

  /** Notes that a stream holds more or fewer bytes in memory. */
  change(byBytes: number): void {
    this.#usedBytes += byBytes;
  }
}
