import type { Config } from "../base/config.ts";
import { ClessError } from "../base/errors.ts";
import { parseHostname } from "../model/host.ts";
import type { Router } from "./router.ts";
import type { ServiceMap } from "./service_map.ts";

/** The hostname of the admin API for this machine alone. */
export const LOCAL_ADMIN = "admin.localhost";

/** The hostnames of the admin API; they are reserved. */
export function adminHostnames({ domain }: Pick<Config, "domain">): string[] {
  return [`admin.${domain}`, LOCAL_ADMIN];
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
