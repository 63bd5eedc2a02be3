import type { Revision } from "../model/revision.ts";
import { ClessError } from "../base/errors.ts";
import type { Breaker } from "./breaker.ts";
import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Drainer } from "./drainer.ts";
import type { Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";
import type { Upkeep } from "./upkeep.ts";

/** What {@linkcode PoolEndings} work with. */
export interface PoolEndingsParts {
  readonly revision: Revision;
  readonly clock: Clock;
  readonly breaker: Breaker;
  readonly instances: Instances;
  readonly drainer: Drainer;
  readonly upkeep: Upkeep;
  /** Serves those who wait, as things stand now. */
  readonly scale: () => void;
}

/** The ways in which the instances of a revision end all at once: for ever, until somebody comes, or for a while. */
export class PoolEndings {
  readonly #parts: PoolEndingsParts;
  #retired = false;
  #suspensions = 0;

  constructor(parts: PoolEndingsParts) {
    this.#parts = parts;
  }

  /** Whether there are to be no instances any more. */
  get retired(): boolean {
    return this.#retired;
  }

  /** Whether there are to be no instances for now, and all who come are held. */
  get suspended(): boolean {
    return this.#suspensions > 0;
  }

  /** As `InstancePool.retire`. */
  async retire(drainTimeout: number): Promise<void> {
    const { breaker, clock, instances, scale } = this.#parts;
    const deadline = clock.now() + drainTimeout;
    this.#retired = true;
    scale();
    if (!this.suspended && breaker.waiting > 0) await atMost(breaker.emptied(), clock, drainTimeout);
    breaker.refuse(stopping());
    await this.#drain(instances, deadline - clock.now());
    await instances.settled(); // a start that was called off has yet to notice
  }

  /** As `InstancePool.sleep`. */
  async sleep(drainTimeout: number): Promise<void> {
    const { breaker, clock, instances, revision, scale, upkeep } = this.#parts;
    const deadline = clock.now() + drainTimeout;
    upkeep.asleep = true;
    if (breaker.waiting > 0) await atMost(breaker.emptied(), clock, drainTimeout);
    if (revision.volumes.length > 0) {
      await this.suspend(deadline - clock.now());
      return this.resume();
    }
    // A start that somebody waits for goes on.
    const { waiting } = breaker;
    const ending = [...instances].filter(({ state }) => state !== "starting" || waiting === 0);
    const drained = this.#drain(ending, deadline - clock.now());
    scale(); // who still waits for a slot gets another instance
    await drained;
  }

  /** As `InstancePool.suspend`. */
  async suspend(drainTimeout: number): Promise<void> {
    const { clock, instances } = this.#parts;
    this.#suspensions++;
    const drained = this.#drain(instances, drainTimeout);
    await Promise.all([drained, atMost(instances.settled(), clock, drainTimeout)]);
  }

  /** As `InstancePool.resume`. */
  resume(): void {
    this.#suspensions--;
    this.#parts.scale();
  }

  async #drain(instances: Iterable<Instance>, timeout: number): Promise<void> {
    const { drainer } = this.#parts;
    await Promise.all([...instances].map((instance) => drainer.drain(instance, timeout)));
  }
}

/** What those are told who come to a pool that has retired. */
export function stopping(): ClessError {
  return new ClessError("draining", "The service is being stopped", { retryAfterS: 1 });
}
