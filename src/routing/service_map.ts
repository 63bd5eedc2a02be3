import type { Hostname } from "../model/host.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Service } from "./service.ts";

/** Retires pools that no longer get requests. */
export interface Retiring {
  /** Drains a pool in the background; a second call for the same pool does nothing. */
  retire(pool: InstancePool): void;
}

/** The services by name, tag and custom domain. A change replaces the service first, and then retires the old pools. */
export class ServiceMap {
  readonly #retiring: Retiring;
  readonly #services = new Map<string, Service>();
  readonly #byDomain = new Map<string, Service>();
  /** By `TAG--NAME`. */
  readonly #byTag = new Map<string, Service["tagged"][number]>();
  readonly #found = new Map<string, Service>();
  /** The pools of {@linkcode Service.kept}, by service. */
  readonly #kept = new Map<string, readonly InstancePool[]>();

  constructor(retiring: Retiring) {
    this.#retiring = retiring;
  }

  /** The service or tagged revision of a hostname. Custom domains take precedence over first labels. */
  find({ name, label }: Hostname): Service | Service["tagged"][number] | undefined {
    return (this.#byDomain.size > 0 ? this.#byDomain.get(name) : undefined) ??
      this.#services.get(label) ?? this.#byTag.get(label);
  }

  /** Whether a service has declared the whole hostname. */
  hasDomain(name: string): boolean {
    return this.#byDomain.has(name);
  }

  get(name: string): Service | undefined {
    return this.#services.get(name);
  }

  /**
   * Replaces the service of that name. Retires the old service's pools and the `spare` pools, except those that the new
   * service uses.
   */
  put(service: Service, spare: readonly InstancePool[] = []): void {
    const { name } = service;
    const before = this.#remove(name);
    this.#services.set(name, service);
    if (service.convention) this.#found.set(name, service);
    for (const domain of service.domains) this.#byDomain.set(domain, service);
    for (const revision of service.tagged) this.#byTag.set(revision.label, revision);
    this.#retire([...before, ...spare], service.pools());
    this.#keep(name, service.kept());
  }

  /** Removes a service and retires its pools; its hostnames become unknown. */
  delete(name: string): void {
    this.#retire(this.#remove(name), []);
    this.#keep(name, []);
  }

  /** The pools that have a share of the requests, and a minimum of instances. A tag alone does not count. */
  kept(): InstancePool[] {
    return [...this.#kept.values()].flat();
  }

  /** The names of all services, in no order. */
  names(): Iterable<string> {
    return this.#services.keys();
  }

  /** The undeclared services, in no order. */
  found(): Service[] {
    return [...this.#found.values()];
  }

  #remove(name: string): InstancePool[] {
    const service = this.#services.get(name);
    if (service === undefined) return [];
    this.#services.delete(name);
    this.#found.delete(name);
    for (const domain of service.domains) {
      // Another service may have got it already, if both were changed by another process.
      if (this.#byDomain.get(domain) === service) this.#byDomain.delete(domain);
    }
    for (const { label } of service.tagged) this.#byTag.delete(label);
    return service.pools();
  }

  #retire(pools: readonly InstancePool[], needed: readonly InstancePool[]): void {
    for (const pool of pools) if (!needed.includes(pool)) this.#retiring.retire(pool);
  }

  /** Tells pools whether they must keep up their minimum of instances now. */
  #keep(name: string, pools: readonly InstancePool[]): void {
    const before = this.#kept.get(name) ?? [];
    if (pools.length > 0) this.#kept.set(name, pools);
    else this.#kept.delete(name);
    for (const pool of before) if (!pools.includes(pool)) pool.keep(false);
    for (const pool of pools) pool.keep(true);
  }
}
