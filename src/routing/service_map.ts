import type { Hostname } from "../model/hostname.ts";
import type { DeclaredService, Route } from "./service.ts";
import type { ConventionService } from "./convention_service.ts";
import type { InstancePool } from "../pool/instance_pool.ts";

/** A named app as the request path sees it. */
export type Service = ConventionService | DeclaredService;

/** The services by what leads to them: a whole hostname, or the label that begins one. */
export class ServiceMap {
  /** By a tag and the name of its service. */
  readonly #byTag = new Map<string, Route>();
  readonly #byDomain = new Map<string, Route>();
  readonly #services = new Map<string, Service>();
  /** Those among them that nobody has declared. */
  readonly #found = new Map<string, ConventionService>();
  /**
   * The pools that should always have instances, by service; nobody else's are looked at as long as they have none.
   */
  readonly #kept = new Map<string, readonly InstancePool[]>();

  /** Where a hostname leads; whole names come first. */
  find({ name, label }: Hostname): Route | undefined {
    return (this.#byDomain.size > 0 ? this.#byDomain.get(name) : undefined) ??
      this.#services.get(label) ?? this.#byTag.get(label);
  }

  /** Whether a service has declared the whole hostname. */
  hasDomain(name: string): boolean {
    return this.#byDomain.has(name);
  }

  /** The service of that name. */
  get(name: string): Service | undefined {
    return this.#services.get(name);
  }

  /** Puts a service in the place of the one with its name, with all that leads to it, at once. */
  put(service: Service): void {
    this.delete(service.name);
    this.#services.set(service.name, service);
    if (service.convention) {
      this.#found.set(service.name, service);
    } else {
      const kept = service.kept();
      if (kept.length > 0) this.#kept.set(service.name, kept);
    }
    for (const domain of service.domains) this.#byDomain.set(domain, service);
    for (const revision of service.tagged) this.#byTag.set(revision.label, revision);
  }

  /** Takes a service out: from now on its hostnames are unknown. */
  delete(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.#services.delete(name);
    this.#found.delete(name);
    this.#kept.delete(name);
    for (const domain of service.domains) this.#byDomain.delete(domain);
    for (const { label } of service.tagged) this.#byTag.delete(label);
  }

  /** The pools that get requests without being asked for by a tag, and that have something to keep up always. */
  kept(): InstancePool[] {
    return [...this.#kept.values()].flat();
  }

  /** Every service that nobody has declared, in no order. */
  found(): ConventionService[] {
    return [...this.#found.values()];
  }
}
