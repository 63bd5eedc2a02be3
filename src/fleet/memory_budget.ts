import { Limiter } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Fleet } from "./fleet.ts";
import type { Instance } from "../pool/instance.ts";
import type { Launcher, Usage } from "../pool/launcher.ts";
import { isAsleep } from "../model/instance_state.ts";

const log = logger("memory");
const TICK_MS = 500;
/** A measurement stays valid for this long. */
const INTERVAL_MS = 5000;
/**
 * After an instance has started, resumed or paused, a measurement stays valid for this long: memory use may grow
 * quickly.
 */
const CHANGED_INTERVAL_MS = 1500;
/** While less than half of the budget is used, a measurement stays valid for this long. */
const CALM_INTERVAL_MS = 30_000;

/** The engine keeps a process of about this size for each container, outside of the container's memory. */
export const SHIM_BYTES = 6 * 1024 ** 2;

/** At most this many hibernated instances are stopped at the same time. */
const MAX_ENDS = 2;
/** A hibernated instance with so much more in RAM than in swap is only paused: its swap was taken away. */
const RETURNED_BYTES = 16 * 1024 ** 2;

export type Resident = Pick<Instance, "id" | "state" | "inFlight" | "idleSince">;

/** The limits of all containers together, bytes. */
export interface Limits {
  /** In RAM, with the engine's process for each container. */
  readonly memoryBytes: number;
  readonly swapBytes: number;
}

/** Which instances hibernate, and which are stopped. */
export interface Relief<T> {
  readonly hibernate: readonly T[];
  readonly stop: readonly T[];
}

/**
 * Chooses the sleeping instances that make room, so that the rest is within the limits: the longest idle first, and
 * none in use. As many as possible hibernate. Others are stopped only if that is not enough, or if swap is short. If
 * all of them are not enough, it returns all of them.
 *
 * @param used The memory of every container by id.
 */
export function relieve<T extends Resident>(
  instances: readonly T[],
  used: ReadonlyMap<string, Usage>,
  limits: Limits,
  mayHibernate: (instance: T) => boolean,
): Relief<T> {
  const bytesOf = ({ id }: T) => used.get(id)?.bytes ?? 0;
  const swapBytesOf = ({ id }: T) => used.get(id)?.swapBytes ?? 0;
  const idle = instances.filter(({ state, inFlight }) => isAsleep(state) && inFlight === 0)
    .sort((a, b) => a.idleSince - b.idleSince);
  let excess = memoryOf(used) - limits.memoryBytes;
  let swapLeft = limits.swapBytes - sum([...used.values()].map(({ swapBytes = 0 }) => swapBytes));
  const hibernate = idle.filter((instance) => {
    const bytes = bytesOf(instance);
    if (excess <= 0 || bytes === 0 || bytes > swapLeft || instance.state !== "paused") return false;
    if (!mayHibernate(instance)) return false;
    excess -= bytes;
    swapLeft -= bytes;
    return true;
  });
  const stop = idle.filter((instance) => {
    if (hibernate.includes(instance)) return false;
    if (!used.has(instance.id)) return false; // stopping it would free nothing
    if (excess <= 0 && (swapLeft >= 0 || swapBytesOf(instance) === 0)) return false;
    excess -= bytesOf(instance) + SHIM_BYTES;
    swapLeft += swapBytesOf(instance);
    return true;
  });
  return { hibernate, stop };
}

/** The RAM of all containers, with the engine's process for each. */
function memoryOf(used: ReadonlyMap<string, Usage>): number {
  return sum([...used.values()].map(({ bytes }) => bytes + SHIM_BYTES));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Hibernates or stops sleeping instances early if all containers together use more memory than the budget. */
export class MemoryBudget {
  readonly #launcher: Launcher;
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #budgetBytes: number;
  readonly #swapBudgetBytes: number | undefined;
  /** The ids of instances that are being stopped; they count as gone. */
  readonly #leaving = new Set<string>();
  /** The ids of instances whose memory is being moved to disk; it counts as moved. */
  readonly #moving = new Set<string>();
  /** Instances whose memory could not be moved to disk, until they change, by {@linkcode Instance.changes}. */
  readonly #failed = new WeakMap<Instance, number>();
  readonly #ends = new Limiter(MAX_ENDS);
  /** The size of the machine's swap when it was last whole, bytes. */
  #swapTotalBytes = 0;
  #stopTicking: (() => void) | undefined;
  #measuring = false;
  #dueAt = -Infinity;
  /** The sum of all instances' `changes` at the last tick. */
  #changes = 0;

  /**
   * @param budgetBytes For all containers together; `Infinity` for no limit.
   * @param swapBudgetBytes The swap of all containers together; `undefined` for half of the machine's.
   */
  constructor(launcher: Launcher, fleet: Fleet, clock: Clock, budgetBytes: number, swapBudgetBytes?: number) {
    this.#launcher = launcher;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#budgetBytes = budgetBytes;
    this.#swapBudgetBytes = swapBudgetBytes;
  }

  start(): void {
    this.#stopTicking = this.#clock.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#stopTicking?.();
  }

  /**
   * Measures the memory, and makes room, if a measurement is due. Does not measure while no instance sleeps.
   */
  #tick(): void {
    if (this.#measuring || (this.#budgetBytes === Infinity && !this.#launcher.canHibernate)) return;
    const now = this.#clock.now();
    const changes = this.#fleet.instances().reduce((sum, { changes }) => sum + changes, 0);
    if (changes !== this.#changes) this.#dueAt = Math.min(this.#dueAt, now + CHANGED_INTERVAL_MS);
    this.#changes = changes;
    if (now < this.#dueAt || this.#fleet.asleep().length === 0) return;
    this.#measuring = true;
    this.#enforce();
  }

  async #enforce(): Promise<void> {
    let intervalMs = INTERVAL_MS;
    try {
      if (await this.#makeRoom() < this.#budgetBytes / 2) intervalMs = CALM_INTERVAL_MS;
    } catch (error) {
      log.debug("cannot measure the containers", { reason: messageOf(error) });
    }
    this.#measuring = false;
    this.#dueAt = this.#clock.now() + intervalMs;
  }

  /** Makes room if the limits are exceeded. @returns The memory of all containers before that, bytes. */
  async #makeRoom(): Promise<number> {
    // Copied before the engine is asked: an instance may leave these sets before the answer comes, and still be in the
    // answer.
    const [leaving, moving] = [new Set(this.#leaving), new Set(this.#moving)];
    const all = await this.#launcher.usage();
    const measured = [...all].filter(([id]) => !leaving.has(id));
    const used = new Map(measured.map(([id, { bytes, swapBytes = 0 }]) => {
      return [id, moving.has(id) ? { bytes: 0, swapBytes: swapBytes + bytes } : { bytes, swapBytes }];
    }));
    const pools = new Map(this.#fleet.asleep().map(({ instance, pool }) => [instance, pool]));
    for (const [instance, pool] of pools) {
      const { bytes = 0, swapBytes = Infinity } = all.get(instance.id) ?? {}; // without a figure, nothing is known
      if (instance.state === "hibernated" && bytes > swapBytes + RETURNED_BYTES) pool.memoryBack(instance);
    }
    const limits = { memoryBytes: this.#budgetBytes, swapBytes: this.#swapLimitBytes() };
    const mayHibernate = (instance: Instance) =>
      this.#launcher.canHibernate && instance.revision.hibernateAfterMs < Infinity && !moving.has(instance.id) &&
      this.#failed.get(instance) !== instance.changes;
    const { hibernate, stop } = relieve([...pools.keys()], used, limits, mayHibernate);
    for (const instance of hibernate) {
      const hibernated = pools.get(instance)!.hibernate(instance);
      hibernated.then((isDone) => !isDone && this.#failed.set(instance, instance.changes));
      this.#note(this.#moving, instance, "paused instance hibernates, since memory is short", used, hibernated);
    }
    for (const instance of stop) {
      const message = `${instance.state} instance is stopped for its memory`;
      const evict = () => pools.get(instance)!.evict(instance);
      // The app's memory comes back while it ends, so only few end at the same time.
      const evicted = instance.state === "hibernated" ? this.#ends.run(evict) : evict();
      this.#note(this.#leaving, instance, message, used, evicted);
    }
    return memoryOf(used);
  }

  #swapLimitBytes(): number {
    const { canHibernate, swapTotalBytes } = this.#launcher;
    // The kernel empties swap that is taken away: nobody has to be stopped for that.
    if (!canHibernate && swapTotalBytes < this.#swapTotalBytes) return Infinity;
    this.#swapTotalBytes = swapTotalBytes;
    return this.#swapBudgetBytes ?? swapTotalBytes / 2;
  }

  #note(
    ids: Set<string>,
    { id, revision: { service } }: Instance,
    message: string,
    used: ReadonlyMap<string, Usage>,
    over: Promise<unknown>,
  ): void {
    const { bytes, swapBytes } = used.get(id)!;
    log.info(message, { service, instance: id, bytes, swapBytes });
    ids.add(id);
    over.finally(() => ids.delete(id));
  }
}
