import type { Config } from "../base/config.ts";
import { ClessError } from "../base/errors.ts";
import { type Hostname, parseHostname } from "../model/host.ts";
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
    const why = this.#convention === undefined ? "" : `: there is no local image ${conventionImage(hostname.label)}`;
    throw new ClessError("unknown_host", `No service answers for ${hostname.name}${why}`);
  }

  /** The service of that name. If it is not declared, searches the local images. */
  async service(name: string): Promise<Service | undefined> {
    const known = this.#services.get(name);
    if (known !== undefined && !known.convention) return known;
    return await this.#convention?.find(name) ?? this.#services.get(name);
  }
}

/** The hostnames of the admin API; they are reserved. */
export function adminHostnames({ domain }: Pick<Config, "domain">): string[] {
  return [`admin.${domain}`, "admin.localhost"];
}

/** The hostnames that this cless serves, and the URLs of its services. */
export class Hosts {
  readonly #config: Pick<Config, "domain" | "domainGiven">;
  readonly #services: ServiceMap;
  readonly #router: Pick<Router, "resolve">;
  #port = 80;

  constructor(
    config: Pick<Config, "domain" | "domainGiven">,
    services: ServiceMap,
    router: Pick<Router, "resolve">,
  ) {
    this.#config = config;
    this.#services = services;
    this.#router = router;
  }

  listenOn(port: number): void {
    this.#port = port;
  }

  urlOf(service: string): string {
    const { domain, domainGiven } = this.#config;
    return `http://${service}.${domainGiven ? domain : "localhost"}${this.#port === 80 ? "" : `:${this.#port}`}`;
  }

  /**
   * Whether a hostname is the admin API's or a service's. If cless was given a domain, a hostname outside of it counts
   * only if a service declares it.
   */
  async serves(name: string): Promise<boolean> {
    if (adminHostnames(this.#config).includes(name)) return true;
    const { domain, domainGiven } = this.#config;
    const hostname = parseHostname(name);
    if (hostname === undefined) return false;
    const isOwn = !domainGiven || hostname.name.endsWith(`.${domain}`) || this.#services.hasDomain(hostname.name);
    if (!isOwn) return false;
    try {
      await this.#router.resolve(hostname);
      return true;
    } catch (error) {
      if (error instanceof ClessError && error.code === "unknown_host") return false;
      throw error;
    }
  }
}
