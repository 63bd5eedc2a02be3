import type { Router } from "../routing/router.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import { NotFound, RevisionFailed } from "./deploy_error.ts";

/** Starts and stops instances at an operator's request. */
export class InstanceControl {
  readonly #router: Pick<Router, "service">;
  readonly #services: Pick<ServiceMap, "get">;
  readonly #drainTimeoutMs: number;

  /** @param drainTimeoutMs After this time an instance stops even with requests in flight. */
  constructor(router: Pick<Router, "service">, services: Pick<ServiceMap, "get">, drainTimeoutMs: number) {
    this.#router = router;
    this.#services = services;
    this.#drainTimeoutMs = drainTimeoutMs;
  }

  /**
   * Starts or resumes an instance of the revision with the largest share; resolves when it is ready.
   *
   * @param signal Ends the wait, but not the start.
   * @param by The name of the operator's token.
   * @throws {NotFound} @throws {RevisionFailed} If the instance does not become ready. @throws The signal's reason.
   */
  async wake(name: string, signal: AbortSignal, by: string): Promise<void> {
    const service = await this.#router.service(name);
    if (service === undefined) throw noSuchService(name);
    const pool = service.main();
    if (pool.touch() || pool.ready) return;
    try {
      await pool.tryStart(signal, () => ({ kind: "operator", name: by }));
    } catch (error) {
      signal.throwIfAborted();
      throw new RevisionFailed(pool.revision.name, error);
    }
  }

  /**
   * Stops a service's instances once their requests in flight have ended, and resolves then. New requests start another
   * instance.
   *
   * @throws {NotFound} If there is no such service.
   */
  async sleep(name: string): Promise<void> {
    const service = this.#services.get(name);
    if (service === undefined) throw noSuchService(name);
    await Promise.all(service.pools().map((pool) => pool.sleep(this.#drainTimeoutMs)));
  }
}

function noSuchService(name: string): NotFound {
  return new NotFound(`there is no service ${name}`);
}
