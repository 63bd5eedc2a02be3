import { ClessError } from "../base/errors.ts";
import type { Hostname } from "../model/host.ts";
import { conventionImage } from "../model/revision.ts";
import type { Convention } from "./convention.ts";
import type { Route, Service } from "./service.ts";
import type { ServiceMap } from "./service_map.ts";

/** Finds the service or revision that a hostname leads to. */
export class Router {
  readonly #services: ServiceMap;
  readonly #convention: Convention | undefined;

  /** @param convention `undefined` if only declared services are served. */
  constructor(services: ServiceMap, convention: Convention | undefined) {
    this.#services = services;
    this.#convention = convention;
  }

  /** The route of a hostname, if already known. */
  find(hostname: Hostname): Route | undefined {
    return this.#services.find(hostname);
  }

  /** The route for a request, if already known. May start a newer revision: see {@linkcode Convention.current}. */
  route(hostname: Hostname): Route | undefined {
    const route = this.#services.find(hostname);
    return route?.convention && this.#convention !== undefined ? this.#convention.current(route) : route;
  }

  /**
   * The route for a request. If its service is not declared, searches the local images. @throws {ClessError}
   * `unknown_host`
   */
  async resolve(hostname: Hostname): Promise<Route> {
    const known = this.find(hostname);
    if (known !== undefined && !known.convention) return known;
    const route = await this.#convention?.find(hostname.label) ?? this.find(hostname);
    if (route !== undefined) return route;
    throw this.#unknownHost(hostname);
  }

  /**
   * Whether a hostname's service is failing, to judge by what is in memory. A service that sleeps and has not failed is
   * not. Makes no service and no pool. @throws {ClessError} `unknown_host`
   */
  isFailing(hostname: Hostname): boolean {
    const route = this.find(hostname);
    if (route !== undefined) return route.failure() !== undefined;
    if (this.#convention?.knows(hostname.label)) return false;
    throw this.#unknownHost(hostname);
  }

  /** The service of that name. If it is not declared, searches the local images. */
  async service(name: string): Promise<Service | undefined> {
    const known = this.#services.get(name);
    if (known !== undefined && !known.convention) return known;
    return await this.#convention?.find(name) ?? this.#services.get(name);
  }

  #unknownHost({ label, name }: Hostname): ClessError {
    const why = this.#convention === undefined ? "" : `: there is no local image ${conventionImage(label)}`;
    return new ClessError("unknown_host", `No service answers for ${name}${why}`);
  }
}
