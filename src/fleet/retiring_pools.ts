import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { InstancePool } from "../pool/pool.ts";

const log = logger("fleet");

type RetiringPool = Pick<InstancePool, "revision" | "retire">;

/** The pools that get no more requests. Each stays here until its containers are gone. */
export class RetiringPools {
  readonly #drainTimeoutMs: number;
  readonly #retiring = new Map<RetiringPool, Promise<void>>();

  /** @param drainTimeoutMs How long requests in flight may take before their instance is stopped. */
  constructor(drainTimeoutMs: number) {
    this.#drainTimeoutMs = drainTimeoutMs;
  }

  /** Drains a pool in the background; a second call for the same pool does nothing. */
  retire(pool: RetiringPool): void {
    if (this.#retiring.has(pool)) return;
    const gone = pool.retire(this.#drainTimeoutMs)
      // The reconciler removes containers that could not be stopped.
      .catch((error) => log.warning("cannot drain", { revision: pool.revision.name, reason: messageOf(error) }))
      .finally(() => this.#retiring.delete(pool));
    this.#retiring.set(pool, gone);
  }

  /** Resolves when the containers of retiring pools are gone: of all services, or of one. */
  async gone(service?: string): Promise<void> {
    const pools = [...this.#retiring].filter(([{ revision }]) => service === undefined || revision.service === service);
    await Promise.all(pools.map(([, gone]) => gone));
  }
}
