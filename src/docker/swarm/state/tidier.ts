import type { Clock } from "../../../base/clock.ts";
import type { SwarmConfig } from "../swarm_api.ts";
import type { DomainClaims } from "./domain_claims.ts";
import type { SharedConfigs } from "./shared_configs.ts";
import { isEmpty, isSuperseded, nameOf, sharedSecretOf, sharedServiceOf } from "./shared_records.ts";

/** What nothing refers to is removed once it has been so for this long, ms: a change may be about to refer to it. */
const AGE_MS = 3_600_000;

/** Removes what changes that were broken off have left in the Swarm. */
export class Tidier {
  readonly #configs: SharedConfigs;
  readonly #claims: DomainClaims;
  readonly #clock: Pick<Clock, "now">;
  /** Since when nothing has referred to configs, clock ms, by id. Clocks of other nodes do not count. */
  #idle = new Map<string, number>();

  constructor(configs: SharedConfigs, claims: DomainClaims, clock: Pick<Clock, "now">) {
    this.#configs = configs;
    this.#claims = claims;
    this.#clock = clock;
  }

  /** Call it periodically. @throws {StoreUnavailable} */
  async tidy(): Promise<void> {
    // The services come last: they refer to whatever of the others was complete before.
    const domains = await this.#configs.list("domain");
    const revisions = await this.#configs.list("revision");
    const secrets = await this.#configs.list("secret");
    const services = (await this.#configs.list("service")).map((config) => ({
      config,
      shared: sharedServiceOf(config),
    }));
    const used = new Set(services.flatMap(({ shared }) => shared.revisions));
    const owners = services.flatMap(({ config, shared }) =>
      (shared.service?.domains ?? []).map((domain) => [domain, nameOf(config)] as const)
    );
    const old = this.#old([
      ...revisions.filter((config) => !used.has(nameOf(config))),
      ...needlessSecrets(secrets),
      ...services.filter(({ shared }) => isEmpty(shared)).map(({ config }) => config),
    ]);
    const labelled = new Set(services.map(({ config }) => config.id));
    for (const config of old) {
      if (labelled.has(config.id)) await this.#configs.close(config);
      else await this.#configs.remove(config);
    }
    await this.#claims.tidy(domains, new Map(owners));
    const claimed = new Set(domains.map(nameOf));
    for (const [domain, service] of owners) if (!claimed.has(domain)) await this.#claims.restore(domain, service);
  }

  /** Those that were there before, for long enough. */
  #old(needless: readonly SwarmConfig[]): SwarmConfig[] {
    const now = this.#clock.now();
    const since = ({ id }: SwarmConfig) => this.#idle.get(id) ?? now;
    this.#idle = new Map(needless.map((config) => [config.id, since(config)]));
    return needless.filter((config) => now - since(config) >= AGE_MS);
  }
}

/**
 * The versions of secrets without a value, lowest versions first: those before a deletion, and the deletion itself if
 * there is a later version.
 */
function needlessSecrets(configs: readonly SwarmConfig[]): SwarmConfig[] {
  const all = configs.map(sharedSecretOf);
  const isNeedless = ({ name, sealed, version }: typeof all[number]) =>
    isSuperseded({ name, version }, all) ||
    (sealed === undefined && all.some((other) => other.name === name && other.version > version));
  return configs.map((config, at) => ({ config, secret: all[at]! }))
    .filter(({ secret }) => isNeedless(secret))
    .sort((a, b) => a.secret.version - b.secret.version)
    .map(({ config }) => config);
}
