import type { Clock } from "./clock.ts";
import { logger } from "./log.ts";

const log = logger("memory");
/** A minute after many clients have left, their memory has been returned. */
const TICK_MS = 10_000;
const MIN_PAUSE_MS = 30_000;
/** How long the allocator takes at most to return the memory. */
const RETURN_MS = 1000;
/** Memory is returned if there is so many times more than the least so far. */
const WORTH = 1.4;
/** If less than that has changed since the last time, there is nothing to return. */
const CHANGE_BYTES = 512 * 1024;

/**
 * Returns freed memory to the system when there is much of it. By itself, glibc returns only what is behind the last
 * piece in use. A few bytes that are kept for long then keep hundreds of megabytes that clients have needed: malloc(3),
 * M_TRIM_THRESHOLD.
 */
export class FreedMemory {
  readonly #clock: Clock;
  readonly #usedBytes: () => number;
  readonly #release: () => void;
  #leastBytes = Infinity;
  /** What was in use when memory had been returned last. */
  #lastBytes = 0;
  #returnedMs = -Infinity;
  #cancels: (() => void)[] = [];

  /** @param usedBytes How much memory this process has. @param release Makes the allocator return what is free. */
  constructor(clock: Clock, usedBytes = () => Deno.memoryUsage().rss, release = releaseFreedMemory) {
    this.#clock = clock;
    this.#usedBytes = usedBytes;
    this.#release = release;
  }

  start(): void {
    this.stop();
    this.#leastBytes = this.#usedBytes();
    this.#cancels = [this.#clock.every(TICK_MS, () => this.#tick())];
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
  }

  #tick(): void {
    const bytes = this.#usedBytes();
    this.#leastBytes = Math.min(this.#leastBytes, bytes);
    if (bytes < WORTH * this.#leastBytes || Math.abs(bytes - this.#lastBytes) < CHANGE_BYTES) return;
    const now = this.#clock.now();
    if (now - this.#returnedMs < MIN_PAUSE_MS) return;
    this.#returnedMs = now;
    this.#release();
    this.#cancels[1] = this.#clock.after(RETURN_MS, () => {
      this.#lastBytes = this.#usedBytes();
      this.#leastBytes = Math.min(this.#leastBytes, this.#lastBytes);
      log.debug("memory has been returned", { before: bytes, after: this.#lastBytes });
    });
  }
}

/**
 * Calls malloc_trim(3), as Deno does whenever a worker has ended: `create_worker` in
 * https://github.com/denoland/deno/blob/v2.9.5/runtime/ops/worker_host.rs. The start of the worker takes 30 ms.
 */
export function releaseFreedMemory(): void {
  try {
    const worker = new Worker("data:text/javascript,self.close()", { type: "module" });
    worker.onerror = (event) => event.preventDefault(); // an error would end this process
  } catch (error) {
    log.debug("memory cannot be returned", { error });
  }
}
