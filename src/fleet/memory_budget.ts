import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Fleet } from "./fleet.ts";
import type { Instance } from "../pool/instance.ts";
import type { Launcher } from "../pool/launcher.ts";

const log = logger("memory");
/** How often the engine is asked at most, ms. */
const INTERVAL_MS = 5000;
/** So soon it is asked where an instance was started, resumed or paused meanwhile: one that served may need much more, ms. */
const SOON_MS = 1500;
/** As long as less than half of the budget is used, that is often enough. */
const CALM_INTERVAL_MS = 30_000;

/** What {@linkcode overBudget} has to know of an instance. */
export type Resident = Pick<Instance, "id" | "state" | "inFlight" | "idleSince">;

/**
 * Chooses the paused instances that have to go so that all together use no more than they may: those that have not been
 * used for the longest time first, and one in use never. Where that is not enough, all that can go.
 *
 * @param used How much each container uses, bytes by id, also those of no instance.
 * @param budget Bytes.
 */
export function overBudget<T extends Resident>(
  instances: readonly T[],
  used: ReadonlyMap<string, number>,
  budget: number,
): T[] {
  let excess = sumOf(used) - budget;
  const chosen: T[] = [];
  const paused = instances.filter(({ state, inFlight }) => state === "paused" && inFlight === 0);
  for (const instance of paused.sort((a, b) => a.idleSince - b.idleSince)) {
    if (excess <= 0) break;
    const bytes = used.get(instance.id) ?? 0;
    if (bytes === 0) continue; // its end would gain nothing
    excess -= bytes;
    chosen.push(instance);
  }
  return chosen;
}

/** What a {@linkcode MemoryBudget} works with. */
export interface MemoryBudgetParts {
  readonly launcher: Pick<Launcher, "memory">;
  readonly fleet: Pick<Fleet, "instances" | "paused">;
  readonly clock: Clock;
  /** How much all instances together may use, bytes; `Infinity` for any amount. */
  readonly budget: number;
}

/** Stops paused instances before their time where memory is short. */
export class MemoryBudget {
  readonly #parts: MemoryBudgetParts;
  /** Those that are being stopped for their memory, which they will give back however long the engine takes. */
  readonly #leaving = new Set<string>();
  #measuring = false;
  #dueAt = -Infinity;
  /** What had happened to the instances when it was looked last, as a sum. */
  #changes = 0;

  constructor(parts: MemoryBudgetParts) {
    this.#parts = parts;
  }

  /** Has a look, now and then; to be called often, and costs nothing as long as no instance is paused. */
  tick(): void {
    const { budget, clock, fleet } = this.#parts;
    if (budget === Infinity || this.#measuring) return;
    const changes = fleet.instances().reduce((sum, { changes }) => sum + changes, 0);
    if (changes !== this.#changes) this.#dueAt = Math.min(this.#dueAt, clock.now() + SOON_MS);
    this.#changes = changes;
    if (clock.now() < this.#dueAt || fleet.paused().length === 0) return;
    this.#measuring = true;
    const kept = this.#keep().catch((error) => {
      log.debug("cannot measure the containers", { reason: messageOf(error) });
      return INTERVAL_MS;
    });
    kept.then((wait) => {
      this.#measuring = false;
      this.#dueAt = clock.now() + wait;
    });
  }

  /** @returns How long that is good for, ms. */
  async #keep(): Promise<number> {
    const { budget, fleet, launcher } = this.#parts;
    const leaving = new Set(this.#leaving); // one may be gone by the time that the engine has told of it
    const used = new Map([...await launcher.memory()].filter(([id]) => !leaving.has(id)));
    const pools = new Map(fleet.paused().map(({ instance, pool }) => [instance, pool]));
    for (const instance of overBudget([...pools.keys()], used, budget)) {
      const { id, revision: { service } } = instance;
      log.info("paused instance is stopped for its memory", { service, instance: id, bytes: used.get(id) });
      this.#leaving.add(id);
      pools.get(instance)!.evict(instance).finally(() => this.#leaving.delete(id));
    }
    return sumOf(used) < budget / 2 ? CALM_INTERVAL_MS : INTERVAL_MS;
  }
}

function sumOf(used: ReadonlyMap<string, number>): number {
  return [...used.values()].reduce((sum, bytes) => sum + bytes, 0);
}
