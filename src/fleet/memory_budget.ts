import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Fleet } from "./fleet.ts";
import type { Instance } from "../pool/instance.ts";
import type { Launcher } from "../pool/launcher.ts";

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

export type Resident = Pick<Instance, "id" | "state" | "inFlight" | "idleSince">;

/**
 * Chooses the paused instances to stop so that the rest is within the budget. Takes the longest idle first, and none in
 * use. If all of them are not enough, it returns all of them.
 *
 * @param used The memory of every container, bytes by id.
 */
export function overBudget<T extends Resident>(
  instances: readonly T[],
  used: ReadonlyMap<string, number>,
  budgetBytes: number,
): T[] {
  let excess = sumOf(used) - budgetBytes;
  const chosen: T[] = [];
  const paused = instances.filter(({ state, inFlight }) => state === "paused" && inFlight === 0);
  for (const instance of paused.sort((a, b) => a.idleSince - b.idleSince)) {
    if (excess <= 0) break;
    const bytes = used.get(instance.id) ?? 0;
    if (bytes === 0) continue; // stopping it would free nothing
    excess -= bytes;
    chosen.push(instance);
  }
  return chosen;
}

/** Stops paused instances early if all containers together use more memory than the budget. */
export class MemoryBudget {
  readonly #launcher: Launcher;
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #budgetBytes: number;
  /** The ids of instances that are being stopped to free memory; they count as gone. */
  readonly #leaving = new Set<string>();
  #stopTicking: (() => void) | undefined;
  #measuring = false;
  #dueAt = -Infinity;
  /** The sum of all instances' `changes` at the last tick. */
  #changes = 0;

  /** @param budgetBytes For all containers together; `Infinity` for no limit. */
  constructor(launcher: Launcher, fleet: Fleet, clock: Clock, budgetBytes: number) {
    this.#launcher = launcher;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#budgetBytes = budgetBytes;
  }

  start(): void {
    if (this.#budgetBytes !== Infinity) this.#stopTicking = this.#clock.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#stopTicking?.();
  }

  /**
   * Measures the memory, and stops instances, if a measurement is due. Does not measure while no instance is paused.
   */
  #tick(): void {
    if (this.#measuring) return;
    const now = this.#clock.now();
    const changes = this.#fleet.instances().reduce((sum, { changes }) => sum + changes, 0);
    if (changes !== this.#changes) this.#dueAt = Math.min(this.#dueAt, now + CHANGED_INTERVAL_MS);
    this.#changes = changes;
    if (now < this.#dueAt || this.#fleet.paused().length === 0) return;
    this.#measuring = true;
    this.#enforce();
  }

  async #enforce(): Promise<void> {
    let intervalMs = INTERVAL_MS;
    try {
      if (await this.#stopSome() < this.#budgetBytes / 2) intervalMs = CALM_INTERVAL_MS;
    } catch (error) {
      log.debug("cannot measure the containers", { reason: messageOf(error) });
    }
    this.#measuring = false;
    this.#dueAt = this.#clock.now() + intervalMs;
  }

  /** Stops the paused instances that exceed the budget. @returns The memory of all containers before that, bytes. */
  async #stopSome(): Promise<number> {
    // Copied before the engine is asked: an instance may leave this set before the answer comes, and still be in the
    // answer.
    const leaving = new Set(this.#leaving);
    const used = new Map([...await this.#launcher.memory()].filter(([id]) => !leaving.has(id)));
    const pools = new Map(this.#fleet.paused().map(({ instance, pool }) => [instance, pool]));
    for (const instance of overBudget([...pools.keys()], used, this.#budgetBytes)) {
      const { id, revision: { service } } = instance;
      log.info("paused instance is stopped for its memory", { service, instance: id, bytes: used.get(id) });
      this.#leaving.add(id);
      pools.get(instance)!.evict(instance).finally(() => this.#leaving.delete(id));
    }
    return sumOf(used);
  }
}

function sumOf(used: ReadonlyMap<string, number>): number {
  return [...used.values()].reduce((sum, bytes) => sum + bytes, 0);
}
