import { delay, Limiter } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { logger } from "../../base/log.ts";
import type { ContainerUsage } from "../container_usage.ts";
import type { Folders } from "./cgroups.ts";
import type { Freezer } from "./freezer.ts";
import type { FreezerHelper } from "./helper.ts";

const log = logger("hibernation");
/** While this much swap is not free, nothing is moved there. */
const MIN_FREE_BYTES = 64 * 1024 ** 2;
/** The machine's swap is looked at again after this time. */
const CHECK_INTERVAL_MS = 10_000;
const PROGRESS_INTERVAL_MS = 20;
/**
 * A reclaim may take this long, and the time for its memory at {@linkcode MIN_BYTES_PER_MS}. If it takes longer, the disk
 * is too slow.
 */
const RECLAIM_TIMEOUT_MS = 30_000;
const MIN_BYTES_PER_MS = 5000;
/** A reclaim has succeeded if at most this much stays in RAM, or at most half of what was there. */
const SMALL_BYTES = 16 * 1024 ** 2;
/** The kernel needs some time to empty swap that is taken away. Its size is smaller from the start. */
const SHRINK_MS = 30_000;
/** After a reclaim that was too slow, there is none for this time. */
const SLOW_PAUSE_MS = 600_000;

/** The machine's swap, bytes. */
export interface SwapSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** The machine's swap now. */
export function readSwap(): SwapSpace {
  const { swapFree, swapTotal } = Deno.systemMemoryInfo();
  return { totalBytes: swapTotal, freeBytes: swapFree };
}

/** Why nothing can be moved to swap; `undefined` if it can. */
export function swapProblem({ freeBytes, totalBytes }: SwapSpace): string | undefined {
  if (totalBytes === 0) return "the machine has no swap";
  return freeBytes < MIN_FREE_BYTES ? "the machine's swap is full" : undefined;
}

/**
 * Moves the memory of frozen containers to the machine's swap, one after the other, so that neither the disk nor others
 * suffer. A thaw breaks this off at once. While there is no swap, or it is full or slow, nothing is moved.
 */
export class Hibernator {
  readonly #freezer: Pick<Freezer, "foldersOf" | "isStopped">;
  readonly #helper: Pick<FreezerHelper, "ask"> | undefined;
  readonly #clock: Clock;
  readonly #swapBudgetBytes: number | undefined;
  readonly #readSwap: () => SwapSpace;
  readonly #turns = new Limiter(1);
  /** The most that each container has had in RAM before a reclaim, bytes: later it has only what has come back. */
  readonly #largest = new WeakMap<Folders, number>();
  #stopChecks: (() => void) | undefined;
  #problem: string | undefined = "the machine's swap is not known yet";
  #slowUntil = -Infinity;
  #shrinksUntil = -Infinity;
  #isFirst = true;
  #isStopped = false;
  #swapTotalBytes = 0;

  /** @param swapBudgetBytes For all containers together; `undefined` for half of the machine's swap. */
  constructor(
    freezer: Pick<Freezer, "foldersOf" | "isStopped">,
    helper: Pick<FreezerHelper, "ask"> | undefined,
    clock: Clock,
    swapBudgetBytes?: number,
    read = readSwap,
  ) {
    this.#freezer = freezer;
    this.#helper = helper;
    this.#clock = clock;
    this.#swapBudgetBytes = swapBudgetBytes;
    this.#readSwap = read;
  }

  /** Why nothing can be moved now; `undefined` if it can. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The size of the machine's swap, bytes. */
  get swapTotalBytes(): number {
    return this.#swapTotalBytes;
  }

  /** Looks at the machine's swap, now and from time to time. */
  start(): void {
    if (this.#helper === undefined) return;
    this.#stopChecks = this.#clock.every(CHECK_INTERVAL_MS, () => this.#check());
    this.#check();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopChecks?.();
  }

  /**
   * Moves the memory of a container to swap.
   *
   * @param usage Measures all containers.
   * @throws {Error} If that is not possible now, or if the container is thawed meanwhile.
   */
  async hibernate(id: string, usage: Pick<ContainerUsage, "read">): Promise<void> {
    await this.#turns.run(() => this.#reclaim(id, usage));
  }

  async #reclaim(id: string, usage: Pick<ContainerUsage, "read">): Promise<void> {
    const folders = await this.#freezer.foldersOf(id);
    if (this.#isStopped) throw new Error("cless is ending");
    const isFrozen = () => this.#freezer.isStopped(id);
    if (folders === undefined || !isFrozen()) throw new Error("it is not frozen by its control group");
    this.#check();
    if (this.#problem !== undefined) throw new Error(this.#problem);
    if (!await this.#hasRoom(id, usage)) throw new Error("the budget for swap is used up");
    const answer = await this.#helper?.ask("reclaim", folders);
    const started = bytesIn("started", answer);
    if (started === undefined) throw new Error(answer ?? "the helper does not answer");
    const before = Math.max(started, this.#largest.get(folders) ?? 0);
    this.#largest.set(folders, before);
    const deadlineMs = this.#clock.now() + RECLAIM_TIMEOUT_MS + before / MIN_BYTES_PER_MS;
    let progress: string | undefined = "running";
    while (progress === "running" && isFrozen() && !this.#isStopped && this.#clock.now() < deadlineMs) {
      await delay(this.#clock, PROGRESS_INTERVAL_MS);
      progress = await this.#helper?.ask("progress", folders);
    }
    if (!isFrozen()) throw new Error("it was woken meanwhile");
    if (progress === "running") {
      await this.#helper?.ask("cancel", folders);
      if (this.#isStopped) throw new Error("cless is ending");
      this.#slowUntil = this.#clock.now() + SLOW_PAUSE_MS;
      throw new Error("the disk with the swap is too slow");
    }
    const after = bytesIn("done", progress);
    if (after === undefined) throw new Error(progress ?? "the helper does not answer");
    if (after > Math.max(SMALL_BYTES, before / 2)) throw new Error(`${after} of ${before} bytes stay in memory`);
  }

  /** What does not fit into the budget must not be moved: another one would have to be stopped for it. */
  async #hasRoom(id: string, usage: Pick<ContainerUsage, "read">): Promise<boolean> {
    const usages = await usage.read();
    const swapBytes = [...usages.values()].reduce((sum, { swapBytes = 0 }) => sum + swapBytes, 0);
    const budgetBytes = this.#swapBudgetBytes ?? this.#swapTotalBytes / 2;
    return swapBytes + (usages.get(id)?.bytes ?? 0) <= budgetBytes;
  }

  #check(): void {
    const swap = this.#readSwap();
    const { freeBytes, totalBytes } = swap;
    if (totalBytes < this.#swapTotalBytes) this.#shrinksUntil = this.#clock.now() + SHRINK_MS;
    if (totalBytes > this.#swapTotalBytes) this.#shrinksUntil = -Infinity;
    this.#swapTotalBytes = totalBytes;
    const isShrinking = this.#clock.now() < this.#shrinksUntil;
    const isSlow = this.#clock.now() < this.#slowUntil;
    const problem = swapProblem(swap) ??
      (isShrinking
        ? "the machine's swap is being taken away"
        : isSlow
        ? "the disk with the swap is too slow"
        : undefined);
    if (problem === this.#problem) return;
    const level = this.#isFirst ? "debug" : problem === undefined ? "info" : "warning";
    this.#isFirst = false;
    this.#problem = problem;
    if (problem === undefined) log[level]("idle instances hibernate", { freeBytes, totalBytes });
    else log[level]("no instance hibernates", { reason: problem });
  }
}

/** The number after a word of the helper's answer; `undefined` if it answers something else. */
function bytesIn(word: string, answer: string | undefined): number | undefined {
  const [first, bytes] = answer?.split(" ") ?? [];
  return first === word ? Number(bytes) : undefined;
}
