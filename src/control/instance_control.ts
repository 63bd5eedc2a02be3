import type { Convention } from "../routing/convention.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import { NotFound, RevisionFailed } from "./deploy_error.ts";

/** What an {@linkcode InstanceControl} works with. */
export interface InstanceControlParts {
  readonly services: ServiceMap;
  /** Missing where only declared services are served. */
  readonly convention?: Pick<Convention, "find">;
  /** Waits for an instance of a pool; rejects with why there is none, or with the signal's reason. */
  readonly tryStart: (pool: InstancePool, signal: AbortSignal) => Promise<void>;
  /** How long what is in flight may take until an instance is stopped all the same, ms. */
  readonly drainTimeout: number;
}

/** Has instances start and stop when an operator says so, and not a request. */
export class InstanceControl {
  readonly #parts: InstanceControlParts;

  constructor(parts: InstanceControlParts) {
    this.#parts = parts;
  }

  /**
   * Has an instance started or resumed, of the revision that most requests go to; resolves when it is ready.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {NotFound} When there is no such service.
   * @throws {RevisionFailed} When the instance does not become ready.
   * @throws The signal's reason, when that is aborted first.
   */
  async wake(name: string, signal: AbortSignal): Promise<void> {
    const { convention, services, tryStart } = this.#parts;
    const service = services.get(name) ?? await convention?.find(name);
    if (service === undefined) throw notThere(name);
    const pool = service.main();
    const lease = pool.claim();
    if (lease !== undefined) return lease.release(); // its idle clock starts anew
    if (pool.ready) return;
    try {
      await tryStart(pool, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new RevisionFailed(pool.revision.name, error);
    }
  }

  /**
   * Stops all instances of a service, each after what is in flight there; resolves when they are gone. A request that
   * comes meanwhile has another one started.
   *
   * @throws {NotFound} When there is no such service.
   */
  async sleep(name: string): Promise<void> {
    const { drainTimeout, services } = this.#parts;
    const service = services.get(name);
    if (service === undefined) throw notThere(name);
    await Promise.all(service.pools().map((pool) => pool.sleep(drainTimeout)));
  }
}

function notThere(name: string): NotFound {
  return new NotFound(`there is no service ${name}`);
}
