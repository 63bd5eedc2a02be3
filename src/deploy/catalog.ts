import { canonicalTemplate, type RevisionTemplate } from "../model/template.ts";
import { LATEST, resolveTraffic, type Traffic } from "../model/traffic.ts";
import type { Loading, WakeSettings } from "../model/waking.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { ConventionService } from "../routing/convention_service.ts";
import type { Service, ServiceMap } from "../routing/service_map.ts";
import { linesOf } from "../control/deploy_error.ts";
import type { Deployer } from "./deployer.ts";
import type { ServiceState } from "../control/service_states.ts";
import type { ServiceRecord } from "../control/records.ts";

/** A service as it is shown; times are wall-clock, ms since 1970. */
export interface ServiceView {
  readonly name: string;
  readonly domains: readonly string[];
  readonly latestRevision: string;
  readonly traffic: Traffic;
  /** Goes up with every change; `undefined` for a service that nobody has declared. */
  readonly generation: number | undefined;
  /** Whether nobody has declared it: its image was found by its name. */
  readonly convention: boolean;
  readonly revisionHistory: number | undefined;
  /** Who wakes it; `undefined` for a service that nobody has declared: everybody does. */
  readonly wake: WakeSettings | undefined;
  readonly loading: Loading | undefined;
  /** The file that declared it; `undefined` where a person made it, or nobody. */
  readonly declaredBy: string | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a service is doing now. */
export interface ServiceStatus {
  readonly state: "ready" | "starting" | "paused" | "asleep" | "failing";
  /** Why it fails; there where the state is `failing`. */
  readonly failure?: string;
}

/** A revision as it is shown. */
export interface RevisionView {
  readonly name: string;
  readonly service: string;
  readonly template: RevisionTemplate;
  /** The image's content, `sha256:…`. */
  readonly imageId: string;
  /** By which the image can be pulled again; `undefined` for one that is only local. */
  readonly imageDigest: string | undefined;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
  /** Its share of the service's requests. */
  readonly percent: number;
  readonly tag: string | undefined;
  /** Whether it is the one that `latest` stands for. */
  readonly latest: boolean;
  /** Why it does not work, where it has failed lately. */
  readonly failure: FailureView | undefined;
}

/** The last failure of a revision as it is shown. */
export interface FailureView {
  readonly reason: string;
  /** The last lines that the app wrote; none until they are known. */
  readonly output: readonly string[];
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  /** How many there have been in a row, this one included. */
  readonly count: number;
  /** How long requests are turned away, ms; 0 where they are not. */
  readonly retryInMs: number;
}

/** What a {@linkcode Catalog} works with. */
export interface CatalogParts {
  readonly deployer: Pick<Deployer, "get" | "has" | "service" | "size" | "after" | "demanding">;
  readonly services: ServiceMap;
}

/** What there is: services that somebody has declared, and those that were found by their images and have been used. */
export class Catalog {
  readonly #parts: CatalogParts;

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  /** How many services there are. */
  get size(): number {
    return this.#parts.deployer.size + this.#undeclared().length;
  }

  /**
   * The services whose names come after one, by name; to be read at once, and no further than it matters.
   *
   * @throws {StoreUnavailable} From the iteration.
   */
  *after(name: string): Iterable<ServiceView> {
    const undeclared = this.#undeclared().filter((service) => service.name > name)
      .sort((a, b) => a.name < b.name ? -1 : 1);
    for (const service of this.#parts.deployer.after(name)) {
      while (undeclared[0] !== undefined && undeclared[0].name < service.name) {
        yield viewOfFound(undeclared.shift()!);
      }
      yield viewOf(service);
    }
    yield* undeclared.map(viewOfFound);
  }

  /** A service. @throws {StoreUnavailable} */
  get(name: string): ServiceView | undefined {
    const declared = this.#parts.deployer.service(name);
    if (declared !== undefined) return viewOf(declared);
    const found = this.#found(name);
    return found && viewOfFound(found);
  }

  /** What a service is doing now; known without the store. */
  status(name: string): ServiceStatus {
    const service = this.#parts.services.get(name);
    return service === undefined ? { state: "asleep" } : statusOf(service);
  }

  /** The revisions of a service, newest first; `undefined` where there is no such service. @throws {StoreUnavailable} */
  revisions(name: string): RevisionView[] | undefined {
    const state = this.#parts.deployer.get(name);
    if (state !== undefined) return revisionsOf(state, this.#parts.services.get(name)?.pools() ?? []);
    const found = this.#found(name);
    return found && [revisionOfFound(found)];
  }

  /** The name of a revision that has a secret; `undefined` where none does. @throws {StoreUnavailable} */
  userOf(secret: string): string | undefined {
    for (const { revisions } of this.#parts.deployer.demanding()) {
      for (const { name, template } of revisions.toReversed()) {
        if (Object.values(template.secretEnv).includes(secret)) return name;
      }
    }
    return undefined;
  }

  #undeclared(): ConventionService[] {
    const { deployer, services } = this.#parts;
    return services.found().filter(({ name }) => !deployer.has(name));
  }

  #found(name: string): ConventionService | undefined {
    const service = this.#parts.services.get(name);
    return service?.convention ? service : undefined;
  }
}

/**
 * Decides by all instances of a service. It fails where a revision with a share of the requests has failed, and no instance
 * of any could answer one now.
 */
function statusOf(service: Service): ServiceStatus {
  const states = new Set(service.pools().flatMap((pool) => pool.states()));
  if (states.has("ready")) return { state: "ready" };
  const failure = states.has("paused") ? undefined : lastFailure(service);
  if (failure !== undefined) return { state: "failing", failure };
  return { state: states.has("starting") ? "starting" : states.has("paused") ? "paused" : "asleep" };
}

/** The reason of the last failure among the revisions that get requests. */
function lastFailure(service: Service): string | undefined {
  const pools = service.convention
    ? service.pools()
    : service.shares.filter(({ percent, unmade }) => percent > 0 && unmade === undefined).map(({ pool }) => pool);
  const failures = pools.flatMap(({ failure }) => failure ?? []);
  return failures.sort((a, b) => b.at.getTime() - a.at.getTime())[0]?.reason;
}

function viewOf(service: ServiceRecord): ServiceView {
  const { name, domains, latestRevision, traffic, generation, revisionHistory, wake, loading } = service;
  const { declaredBy, createdAt, updatedAt } = service;
  return {
    ...{ name, domains, latestRevision, traffic, generation, revisionHistory, wake, loading },
    ...{ declaredBy, createdAt, updatedAt },
    convention: false,
  };
}

function viewOfFound({ name, latest, createdAt, updatedAt }: ConventionService): ServiceView {
  return {
    name,
    domains: [],
    latestRevision: latest.revision.name,
    traffic: [{ revision: LATEST, percent: 100 }],
    generation: undefined,
    convention: true,
    revisionHistory: undefined,
    wake: undefined,
    loading: undefined,
    declaredBy: undefined,
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
  };
}

function revisionsOf({ service, revisions }: ServiceState, pools: readonly InstancePool[]): RevisionView[] {
  const { latestRevision, traffic } = service;
  const byName = new Map(pools.map((pool) => [pool.revision.name, pool]));
  const targets = new Map(resolveTraffic(traffic, latestRevision).map((target) => [target.revision, target]));
  return revisions.map(({ name, service, template, imageId, imageDigest, createdAt }) => ({
    ...{ name, service, template, imageId, imageDigest, createdAt },
    percent: targets.get(name)?.percent ?? 0,
    tag: targets.get(name)?.tag,
    latest: name === latestRevision,
    failure: failureOf(byName.get(name)),
  })).reverse();
}

/** The times that it follows are the program's settings, and no part of a template. */
function revisionOfFound({ latest, updatedAt }: ConventionService): RevisionView {
  const { name, service, image, imageId, port, readinessPath } = latest.revision;
  return {
    ...{ name, service, imageId },
    template: canonicalTemplate({ image, port, pullPolicy: "never", readiness: { path: readinessPath } }),
    imageDigest: undefined,
    createdAt: updatedAt.getTime(),
    percent: 100,
    tag: undefined,
    latest: true,
    failure: failureOf(latest),
  };
}

/** A revision that gets no requests has no pool, and does not fail. */
function failureOf(pool: InstancePool | undefined): FailureView | undefined {
  if (pool?.failure === undefined) return undefined;
  const { reason, output, at, count } = pool.failure;
  return { reason, output: linesOf(output), at: at.getTime(), count, retryInMs: pool.backOff };
}
