import type { RevisionName } from "../model/revision.ts";
import { canonicalTemplate } from "../model/template.ts";
import { LATEST, resolveTraffic } from "../model/traffic.ts";
import type { InstancePool } from "../pool/pool.ts";
import { latestPool } from "../routing/convention.ts";
import type { Service } from "../routing/service.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import { outputLines } from "./deploy_error.ts";
import type { ServiceStatus, ServiceStatuses } from "./service_status.ts";
import type { DeclaredService, DeclaredServices } from "./declared_services.ts";
import type { RevisionRecord, ServiceFields, ServiceRecord } from "./records.ts";

/** The fields that only a declared service has. */
type DeclaredFields =
  & Pick<ServiceRecord, "generation">
  & Pick<ServiceFields, "revisionHistory" | "wake" | "loading" | "access" | "limits" | "maintenance">;

/** A service as the API shows it. */
export interface ServiceView
  extends
    Omit<ServiceRecord, keyof DeclaredFields | "lastNumber">,
    Readonly<{ [Field in keyof DeclaredFields]: DeclaredFields[Field] | undefined }> {
  /** Whether it is undeclared and was found by its image's name. */
  readonly convention: boolean;
}

/** What uses a secret: a revision, or the sign-in of a service; by name. */
export type SecretUser = { readonly revision: string } | { readonly signInOf: string };

/** A revision as the API shows it. */
export interface RevisionView extends Omit<RevisionRecord, "pulled" | "secretVersions"> {
  /** Its share of the service's requests. */
  readonly percent: number;
  readonly tag: string | undefined;
  /** Whether it is the one that `latest` stands for. */
  readonly latest: boolean;
  /** Why it does not work, if it has failed recently. */
  readonly failure: FailureView | undefined;
}

/** The last failure of a revision as the API shows it. */
export interface FailureView {
  readonly reason: string;
  /** The last lines that the app wrote; empty until they are known. */
  readonly output: readonly string[];
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  /** How many failures in a row, including this one. */
  readonly count: number;
  /** How long requests are still refused because of failures, ms; 0 if they are not. */
  readonly retryInMs: number;
}

/** What operators see: the declared services, and the undeclared ones that have been used. */
export class Catalog {
  readonly #declared: DeclaredServices;
  readonly #services: ServiceMap;
  readonly #statuses: ServiceStatuses;

  constructor(declared: DeclaredServices, services: ServiceMap, statuses: ServiceStatuses) {
    this.#declared = declared;
    this.#services = services;
    this.#statuses = statuses;
  }

  get size(): number {
    return this.#declared.size + this.#undeclared().length;
  }

  /**
   * The services whose names come after `name`, in order. Reads only as far as the caller iterates. The caller must not
   * await during the iteration. @throws {StoreUnavailable} From the iteration.
   */
  *after(name: string): Iterable<ServiceView> {
    const undeclared = this.#undeclared().filter((service) => service.name > name)
      .sort((a, b) => a.name < b.name ? -1 : 1);
    for (const service of this.#declared.after(name)) {
      while (undeclared[0] !== undefined && undeclared[0].name < service.name) {
        yield viewOfFound(undeclared.shift()!);
      }
      yield viewOf(service);
    }
    yield* undeclared.map(viewOfFound);
  }

  /** A service. @throws {StoreUnavailable} */
  get(name: string): ServiceView | undefined {
    const declared = this.#declared.service(name);
    if (declared !== undefined) return viewOf(declared);
    const found = this.#found(name);
    return found && viewOfFound(found);
  }

  /** What a service is doing now. Does not need the store. */
  status(name: string): ServiceStatus {
    return this.#statuses.of(name);
  }

  /** What each service is doing now. Does not need the store. */
  statuses(): Iterable<ServiceStatus & { readonly service: string }> {
    return this.#statuses.all();
  }

  /** The revisions that have a share of a service's requests, or a tag. Does not need the store, and makes no pool. */
  *served(): Iterable<RevisionName> {
    for (const service of this.#services.names()) {
      for (const name of this.#services.get(service)!.revisions()) yield { name, service };
    }
  }

  /** The revisions of a service, newest first; `undefined` if there is no such service. @throws {StoreUnavailable} */
  revisions(name: string): RevisionView[] | undefined {
    const state = this.#declared.get(name);
    if (state !== undefined) return revisionsOf(state, this.#services.get(name)?.pools() ?? []);
    const found = this.#found(name);
    return found && [revisionOfFound(found)];
  }

  /**
   * A revision that uses a secret, or a service whose sign-in does; `undefined` if nothing does.
   *
   * @throws {StoreUnavailable}
   */
  userOf(secret: string): SecretUser | undefined {
    for (const { revisions } of this.#declared.needingPreparation()) {
      for (const { name, template } of revisions.toReversed()) {
        if (Object.values(template.secretEnv).includes(secret)) return { revision: name };
      }
    }
    for (const { access, name } of this.#declared.after("")) {
      if (access.oidc?.clientSecret === `secret:${secret}`) return { signInOf: name };
    }
    return undefined;
  }

  #undeclared(): Service[] {
    return this.#services.found().filter(({ name }) => !this.#declared.has(name));
  }

  #found(name: string): Service | undefined {
    const service = this.#services.get(name);
    return service?.convention ? service : undefined;
  }
}

function viewOf({ lastNumber: _, ...view }: ServiceRecord): ServiceView {
  return { ...view, convention: false };
}

function viewOfFound(service: Service): ServiceView {
  const { createdAt, updatedAt } = service.found!;
  return {
    name: service.name,
    domains: [],
    previousTraffic: [],
    latestRevision: latestPool(service).revision.name,
    traffic: [{ revision: LATEST, percent: 100 }],
    generation: undefined,
    convention: true,
    revisionHistory: undefined,
    wake: undefined,
    loading: undefined,
    access: undefined,
    limits: undefined,
    maintenance: undefined,
    declaredBy: undefined,
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
  };
}

function revisionsOf({ service, revisions }: DeclaredService, pools: readonly InstancePool[]): RevisionView[] {
  const { latestRevision, traffic } = service;
  const byName = new Map(pools.map((pool) => [pool.revision.name, pool]));
  const targets = new Map(resolveTraffic(traffic, latestRevision).map((target) => [target.revision, target]));
  return revisions.map(({ pulled: _, secretVersions: __, ...view }) => ({
    ...view,
    percent: targets.get(view.name)?.percent ?? 0,
    tag: targets.get(view.name)?.tag,
    latest: view.name === latestRevision,
    failure: failureOf(byName.get(view.name)),
  })).reverse();
}

/**
 * The view of an undeclared service's revision. Its template has no timeouts, since they come from the program's
 * settings.
 */
function revisionOfFound(found: Service): RevisionView {
  const pool = latestPool(found);
  const { name, service, image, imageId, port, readinessPath, capabilities } = pool.revision;
  return {
    ...{ name, service, imageId },
    template: canonicalTemplate({ image, port, pullPolicy: "never", readiness: { path: readinessPath } }),
    imageDigest: undefined,
    older: capabilities.drop.length === 0,
    createdAt: found.found!.updatedAt.getTime(),
    percent: 100,
    tag: undefined,
    latest: true,
    failure: failureOf(pool),
  };
}

/** The last failure of a revision. A revision without a pool has none: it gets no requests, or has had none yet. */
function failureOf(pool: InstancePool | undefined): FailureView | undefined {
  if (pool?.failure === undefined) return undefined;
  const { reason, output, at, count } = pool.failure;
  return { reason, output: outputLines(output), at: at.getTime(), count, retryInMs: pool.backoffMs };
}
