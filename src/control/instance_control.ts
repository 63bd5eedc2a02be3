import type { Router } from "../routing/router.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import { NotFound, RevisionFailed } from "./deploy_error.ts";

/** The other cless processes that serve the same services. */
interface OtherControls {
  /** Has each of them stop its instances of a service. Resolves with whether one knows the service. */
  sleepElsewhere(service: string): Promise<boolean>;
}

/** Starts and stops instances at an operator's request. */
export class InstanceControl {
  readonly #router: Pick<Router, "service">;
  readonly #services: Pick<ServiceMap, "get">;
  readonly #drainTimeoutMs: number;
  readonly #others: OtherControls | undefined;

  /**
   * @param drainTimeoutMs After this time an instance stops even with requests in flight.
   * @param others Missing if nobody else serves these services.
   */
  constructor(
    router: Pick<Router, "service">,
    services: Pick<ServiceMap, "get">,
    drainTimeoutMs: number,
    others?: OtherControls,
  ) {
    this.#others = others;
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
    const known = await Promise.all([this.sleepHere(name), this.#others?.sleepElsewhere(name) ?? false]);
    if (!known.includes(true)) throw noSuchService(name);
  }

  /** Stops the instances of a service that this process serves. Resolves with whether it knows the service. */
  async sleepHere(name: string): Promise<boolean> {
    const service = this.#services.get(name);
    await Promise.all(service?.pools().map((pool) => pool.sleep(this.#drainTimeoutMs)) ?? []);
    return service !== undefined;
  }
}

function noSuchService(name: string): NotFound {
  return new NotFound(`there is no service ${name}`);
}
