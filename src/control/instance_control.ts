import type { InstancePool } from "../pool/pool.ts";
import type { Router } from "../routing/router.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import { NotFound, RevisionFailed } from "./deploy_error.ts";

/** What an {@linkcode InstanceControl} works with. */
export interface InstanceControlOptions {
  readonly services: ServiceMap;
  readonly router: Pick<Router, "service">;
  /** Waits for an instance of a pool. Rejects with the reason why there is none, or with the signal's. */
  readonly tryStart: (pool: InstancePool, signal: AbortSignal) => Promise<void>;
  /** After this time an instance stops even with requests in flight. */
  readonly drainTimeoutMs: number;
}

/** Starts and stops instances at an operator's request. */
export class InstanceControl {
  readonly #options: InstanceControlOptions;

  constructor(options: InstanceControlOptions) {
    this.#options = options;
  }

  /**
   * Starts or resumes an instance of the revision with the largest share; resolves when it is ready.
   *
   * @param signal Ends the waiting, not the start.
   * @throws {NotFound} @throws {RevisionFailed} If the instance does not become ready. @throws The signal's reason.
   */
  async wake(name: string, signal: AbortSignal): Promise<void> {
    const { router, tryStart } = this.#options;
    const service = await router.service(name);
    if (service === undefined) throw noSuchService(name);
    const pool = service.main();
    const lease = pool.claim();
    if (lease !== undefined) return lease.release(); // restarts its idle time
    if (pool.ready) return;
    try {
      await tryStart(pool, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new RevisionFailed(pool.revision.name, error);
    }
  }

  /**
   * Stops a service's instances after their requests in flight; resolves then. New requests start another instance.
   *
   * @throws {NotFound} If there is no such service.
   */
  async sleep(name: string): Promise<void> {
    const { drainTimeoutMs, services } = this.#options;
    const service = services.get(name);
    if (service === undefined) throw noSuchService(name);
    await Promise.all(service.pools().map((pool) => pool.sleep(drainTimeoutMs)));
  }
}

function noSuchService(name: string): NotFound {
  return new NotFound(`there is no service ${name}`);
}
