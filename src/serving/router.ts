import type { Hostname } from "../domain/hostname.ts";
import { conventionImage } from "../domain/revision.ts";
import { ClessError } from "../errors.ts";
import type { Convention } from "./convention.ts";
import type { Service } from "./service.ts";
import type { ServiceMap } from "./service_map.ts";

/** Finds the service that a hostname names. */
export class Router {
  readonly #services: ServiceMap;
  readonly #convention: Convention | undefined;

  /** @param convention Missing where only declared services are served. */
  constructor(services: ServiceMap, convention: Convention | undefined) {
    this.#services = services;
    this.#convention = convention;
  }

  /** The service of a hostname, if it is known already: one look-up. */
  find(hostname: Hostname): Service | undefined {
    return this.#services.get(hostname.label);
  }

  /**
   * The service of a hostname, after a look at the local images where that can matter.
   *
   * @throws {ClessError} `unknown_host`.
   */
  async resolve(hostname: Hostname): Promise<Service> {
    const service = this.#convention === undefined ? this.find(hostname) : await this.#convention.find(hostname.label);
    if (service !== undefined) return service;
    const why = this.#convention === undefined ? "" : `: there is no local image ${conventionImage(hostname.label)}`;
    throw new ClessError("unknown_host", `No service answers for ${hostname.name}${why}`);
  }
}
