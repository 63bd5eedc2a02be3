import type { Hostname } from "../model/hostname.ts";
import { conventionImage } from "../model/revision.ts";
import { ClessError } from "../base/errors.ts";
import type { Convention } from "./convention.ts";
import type { Route } from "./service.ts";
import type { ServiceMap } from "./service_map.ts";
import type { Config } from "../base/config.ts";

/** Finds where a hostname leads. */
export class Router {
  readonly #services: ServiceMap;
  readonly #convention: Convention | undefined;

  /** @param convention Missing where only declared services are served. */
  constructor(services: ServiceMap, convention: Convention | undefined) {
    this.#services = services;
    this.#convention = convention;
  }

  /** Where a hostname leads, if that is known already: one look-up, or two where there are custom domains. */
  find(hostname: Hostname): Route | undefined {
    return this.#services.find(hostname);
  }

  /**
   * The service of a hostname, after a look at the local images where that can matter.
   *
   * @throws {ClessError} `unknown_host`.
   */
  async resolve(hostname: Hostname): Promise<Route> {
    const known = this.find(hostname);
    const route = known?.convention ?? true
      ? await this.#convention?.find(hostname.label) ?? this.find(hostname)
      : known;
    if (route !== undefined) return route;
    const why = this.#convention === undefined ? "" : `: there is no local image ${conventionImage(hostname.label)}`;
    throw new ClessError("unknown_host", `No service answers for ${hostname.name}${why}`);
  }
}

/** The hostnames that lead to the admin API, whatever is declared. */
export function adminHostnames({ domain }: Config): string[] {
  return [`admin.${domain}`, "admin.localhost"];
}
