import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { InstancePool } from "../pool/pool.ts";

const log = logger("retiring");

/** The pools that no request goes to any more, as long as they have containers. */
export class RetiringPools {
  readonly #drain: (pool: InstancePool) => Promise<void>;
  readonly #retiring = new Map<InstancePool, Promise<void>>();

  /** @param drain Lets what is in flight in a pool end, and stops its instances; resolves when their containers are gone. */
  constructor(drain: (pool: InstancePool) => Promise<void>) {
    this.#drain = drain;
  }

  /**
   * Drains a pool, once; in the background, as nobody who changes something waits for requests to end. What could not be
   * stopped is logged, and the reconciler finds it.
   */
  retire(pool: InstancePool): void {
    if (this.#retiring.has(pool)) return;
    const gone = this.#drain(pool)
      .catch((error) => log.warning("cannot drain", { revision: pool.revision.name, reason: messageOf(error) }))
      .finally(() => this.#retiring.delete(pool));
    this.#retiring.set(pool, gone);
  }

  /** Resolves when the containers are gone of all pools that retire now, or of those of one service. */
  async gone(service?: string): Promise<void> {
    const isMeant = ({ revision }: InstancePool) => service === undefined || revision.service === service;
    await Promise.all([...this.#retiring].flatMap(([pool, gone]) => isMeant(pool) ? [gone] : []));
  }
}
