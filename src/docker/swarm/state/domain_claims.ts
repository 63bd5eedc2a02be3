import { DomainTakenError } from "../../../control/store.ts";
import type { SwarmConfig } from "../swarm_api.ts";
import type { SharedConfigs } from "./shared_configs.ts";
import { type Labels, labelsOf, nameOf, sharedServiceOf, STATE_LABEL } from "./shared_records.ts";

/**
 * For this long, a domain belongs to a service that has claimed it and is about to store that, ms. A change takes less;
 * the clocks of the nodes may differ by the rest.
 */
const PENDING_MS = 60_000;

/**
 * Decides which service has a domain, if cless processes on several nodes give it to different services at once. Each
 * domain has a config that names its service. Whoever wants a domain writes its service there first, and stores the
 * service with the domain then. A service that gives a domain up leaves the config: another service may take it if the
 * one that it names does not have the domain, and is not about to get it.
 */
export class DomainClaims {
  readonly #configs: SharedConfigs;
  readonly #now: () => number;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(configs: SharedConfigs, now: () => number) {
    this.#configs = configs;
    this.#now = now;
  }

  /**
   * Claims a domain for a service that does not have it. The service has to be stored within a minute, and the claim
   * has to be settled then.
   *
   * @throws {DomainTakenError} If another service has it or has claimed it.
   */
  async claim(domain: string, service: string): Promise<void> {
    for (;;) {
      const labels = this.#labelsOf(domain, service);
      const config = await this.#configs.find("domain", domain);
      if (config === undefined) {
        if (await this.#configs.create("domain", domain, labels)) return;
        continue;
      }
      const holder = serviceOf(config);
      if (holder !== service && (this.#isPending(config) || await this.#has(holder, domain))) {
        throw new DomainTakenError(domain, holder);
      }
      // Also if it is this service's: somebody who has found it given up must not take it now.
      if (await this.#configs.setLabels(config, labels)) return;
    }
  }

  /** Ends a claim after the service was stored, or could not be: from now on, what is stored decides. */
  async settle(domain: string, service: string): Promise<void> {
    const config = await this.#configs.find("domain", domain);
    if (config === undefined || serviceOf(config) !== service) return;
    await this.#configs.setLabels(config, this.#labelsOf(domain, service, 0));
  }

  /** Makes what is missing for a service that has a domain. */
  async restore(domain: string, service: string): Promise<void> {
    await this.#configs.create("domain", domain, this.#labelsOf(domain, service, 0));
  }

  /**
   * Removes those whose services do not have the domains.
   *
   * @param listed The configs, listed before the services.
   * @param owners The services that have domains, by domain.
   */
  async tidy(listed: readonly SwarmConfig[], owners: ReadonlyMap<string, string>): Promise<void> {
    for (const config of listed) {
      const isNeeded = owners.get(nameOf(config)) === serviceOf(config) || this.#isPending(config);
      if (!isNeeded) await this.#configs.close(config);
    }
  }

  #labelsOf(domain: string, service: string, at = this.#now()): Labels {
    return labelsOf(this.#configs.owner, "domain", domain, {
      [STATE_LABEL.service]: service,
      [STATE_LABEL.at]: String(at),
    });
  }

  #isPending({ labels }: SwarmConfig): boolean {
    return Math.abs(this.#now() - Number(labels[STATE_LABEL.at])) < PENDING_MS;
  }

  async #has(service: string, domain: string): Promise<boolean> {
    const config = await this.#configs.find("service", service);
    return config !== undefined && (sharedServiceOf(config).service?.domains.includes(domain) ?? false);
  }
}

function serviceOf({ labels }: SwarmConfig): string {
  return labels[STATE_LABEL.service] ?? "";
}
