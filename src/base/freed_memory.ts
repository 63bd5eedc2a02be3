import { cpuUsage } from "node:process";
import type { Clock } from "./clock.ts";
import { logger } from "./log.ts";

const log = logger("memory");
/**
 * The memory is checked at this interval. With it and the two times below, memory is returned within a minute after
 * many clients have left.
 */
const TICK_MS = 10_000;
/** The least time between two returns. */
const MIN_PAUSE_MS = 30_000;
/**
 * The return costs processor time, and so does getting the memory back. While cless uses more than this part of a
 * processor, the memory would probably be needed again soon.
 */
const BUSY = 0.5;
/** Even if cless is always busy, memory is returned after this time. */
const MAX_PAUSE_MS = 300_000;
/** The longest time that the allocator takes to return the memory. */
const RETURN_MS = 1000;
/** Memory is returned if the process uses at least this many times its lowest use so far. */
const WORTH = 1.4;
/** If memory has changed by less than this since the last return, there is nothing to return. */
const CHANGE_BYTES = 512 * 1024;

/** What {@linkcode FreedMemory} needs of a process. */
export interface OwnProcess {
  usedBytes(): number;
  /** The processor time used so far. */
  cpuMs(): number;
  /** Makes the allocator return free memory. */
  release(): void;
}

const THIS_PROCESS: OwnProcess = {
  usedBytes: () => Deno.memoryUsage().rss,
  cpuMs() {
    const { user, system } = cpuUsage();
    return (user + system) / 1000;
  },
  release: releaseFreedMemory,
};

/**
 * Returns freed memory to the system when there is much of it. By itself, glibc returns only the memory after the last
 * block in use. So one small block that is kept for long may keep hundreds of megabytes that clients have needed:
 * mallopt(3), M_TRIM_THRESHOLD.
 */
export class FreedMemory {
  readonly #clock: Clock;
  readonly #process: OwnProcess;
  #leastBytes = Infinity;
  /** The memory in use after the last return. */
  #lastBytes = 0;
  #returnedMs = -Infinity;
  /** When the process was last calm, or when this began. */
  #calmMs = 0;
  #cpuMs = 0;
  #cancels: (() => void)[] = [];

  constructor(clock: Clock, process = THIS_PROCESS) {
    this.#clock = clock;
    this.#process = process;
  }

  start(): void {
    this.stop();
    this.#leastBytes = this.#process.usedBytes();
    this.#cpuMs = this.#process.cpuMs();
    this.#calmMs = this.#clock.now();
    this.#cancels = [this.#clock.every(TICK_MS, () => this.#tick())];
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
  }

  #tick(): void {
    const bytes = this.#process.usedBytes();
    const now = this.#clock.now();
    const cpuMs = this.#process.cpuMs();
    const isBusy = cpuMs - this.#cpuMs > BUSY * TICK_MS;
    this.#cpuMs = cpuMs;
    if (!isBusy) this.#calmMs = now;
    this.#leastBytes = Math.min(this.#leastBytes, bytes);
    if (bytes < WORTH * this.#leastBytes || Math.abs(bytes - this.#lastBytes) < CHANGE_BYTES) return;
    if (now - this.#returnedMs < MIN_PAUSE_MS) return;
    if (isBusy && now - Math.max(this.#returnedMs, this.#calmMs) < MAX_PAUSE_MS) return;
    this.#returnedMs = now;
    this.#process.release();
    this.#cancels[1] = this.#clock.after(RETURN_MS, () => {
      this.#lastBytes = this.#process.usedBytes();
      this.#leastBytes = Math.min(this.#leastBytes, this.#lastBytes);
      log.debug("memory has been returned", { before: bytes, after: this.#lastBytes });
    });
  }
}

/**
 * Collects garbage, and makes Deno call malloc_trim(3), which it does whenever a worker has ended: `create_worker` in
 * https://github.com/denoland/deno/blob/v2.9.5/runtime/ops/worker_host.rs. The start of the worker takes 30 ms.
 */
export async function releaseFreedMemory(): Promise<void> {
  try {
    await collectGarbage();
    const worker = new Worker("data:text/javascript,self.close()", { type: "module" });
    worker.onerror = (event) => event.preventDefault(); // an error would end this process
  } catch (error) {
    log.debug("memory cannot be returned", { error });
  }
}

/**
 * While requests keep coming, V8 may put off a full collection for many minutes, and so keep the buffers of clients that
 * have left. V8 has a function that collects at once: with the flag `--expose-gc`, each new context (node:vm) has it as
 * `gc`.
 */
async function collectGarbage(): Promise<void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import("node:v8"), import("node:vm")]);
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}
