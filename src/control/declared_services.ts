import { resolveTraffic, withoutEmpty } from "../model/traffic.ts";
import type { RevisionMark, RevisionRecord, ServiceRecord } from "./records.ts";
import type { Store } from "./store.ts";

/** A service with its revisions, oldest first. It is immutable. */
export interface DeclaredService {
  readonly service: ServiceRecord;
  readonly revisions: readonly RevisionRecord[];
}

/** This many services are read at a time: one more than the API's usual page has. */
const PAGE = 101;

/**
 * All declared services. Only the names of services, and counts from the {@linkcode RevisionMark}s, are in memory; the
 * rest is read from the store on demand. So a change costs nearly the same whatever the number of services.
 */
export class DeclaredServices {
  readonly #store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">;
  /** In the order of code units. */
  readonly #names: string[] = [];
  /** The services that need preparation before their first request: see `needsNoPreparation`. */
  readonly #needingPreparation = new Set<string>();
  /** By image: how many revisions use it, and for how many of these cless pulled it. */
  readonly #images = new Map<string, { revisions: number; pulled: number }>();

  constructor(store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">) {
    this.#store = store;
  }

  get size(): number {
    return this.#names.length;
  }

  has(name: string): boolean {
    return this.#names[this.#placeOf(name)] === name;
  }

  /** A service without its revisions. @throws {StoreUnavailable} */
  service(name: string): ServiceRecord | undefined {
    return this.has(name) ? this.#store.service(name) : undefined;
  }

  /** A service with its revisions. @throws {StoreUnavailable} */
  get(name: string): DeclaredService | undefined {
    const service = this.service(name);
    return service && { service, revisions: this.#store.revisions(name) };
  }

  /** Notes that a service has been stored. @param before The service before that; `undefined` for a new one. */
  set(name: string, marks: readonly RevisionMark[], before: DeclaredService | undefined): void {
    if (before === undefined) this.#names.splice(this.#placeOf(name), 0, name);
    else this.#count(before.revisions, -1);
    this.#count(marks, 1);
    if (marks.every(({ needsNoPreparation }) => needsNoPreparation)) this.#needingPreparation.delete(name);
    else this.#needingPreparation.add(name);
  }

  delete({ revisions, service: { name } }: DeclaredService): void {
    this.#count(revisions, -1);
    this.#needingPreparation.delete(name);
    this.#names.splice(this.#placeOf(name), 1);
  }

  /** The name of the service that has declared a domain. @throws {StoreUnavailable} */
  ownerOf(domain: string): string | undefined {
    return this.#store.domainOwner(domain);
  }

  /** Whether a service needs preparation before its first request. */
  needsPreparation(name: string): boolean {
    return this.#needingPreparation.has(name);
  }

  /**
   * The services that need preparation before their first request: one of their revisions has volumes, secrets or a
   * minimum of instances. A service that the store has just removed is left out, although {@linkcode delete} is still to
   * come. @throws {StoreUnavailable}
   */
  needingPreparation(): DeclaredService[] {
    return [...this.#needingPreparation].flatMap((name) => this.get(name) ?? []);
  }

  /** The services whose names come after `name`, sorted by name, read page by page. @throws {StoreUnavailable} */
  *after(name: string): Iterable<ServiceRecord> {
    for (let last = name;;) {
      const page = this.#store.services(last, PAGE);
      yield* page;
      if (page.length < PAGE) return;
      last = page.at(-1)!.name;
    }
  }

  hasImage(imageId: string): boolean {
    return this.#images.has(imageId);
  }

  /** Whether cless pulled an image for a revision that still exists. */
  hasPulledImage(imageId: string): boolean {
    return (this.#images.get(imageId)?.pulled ?? 0) > 0;
  }

  pulledImages(): string[] {
    return [...this.#images.keys()].filter((imageId) => this.hasPulledImage(imageId));
  }

  #count(revisions: Iterable<Pick<RevisionMark, "imageId" | "pulled">>, by: 1 | -1): void {
    for (const { imageId, pulled } of revisions) {
      const count = this.#images.get(imageId) ?? { revisions: 0, pulled: 0 };
      count.revisions += by;
      if (pulled) count.pulled += by;
      if (count.revisions > 0) this.#images.set(imageId, count);
      else this.#images.delete(imageId);
    }
  }

  /** The index of a name, or the index where to insert it. */
  #placeOf(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#names[middle]! < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The name of a service's revision. */
export function revisionName(service: string, number: number): string {
  return `${service}-${String(number).padStart(5, "0")}`;
}

/** The names of revisions. */
export function namesOf(revisions: readonly RevisionRecord[]): Set<string> {
  return new Set(revisions.map(({ name }) => name));
}

/** The names of the revisions that the traffic of a service names. */
export function inTraffic({ traffic, latestRevision }: ServiceRecord): Set<string> {
  return new Set(resolveTraffic(traffic, latestRevision).map(({ revision }) => revision));
}

/** The names of the revisions that get requests, by a share or a tag. */
export function reachable({ traffic, latestRevision }: ServiceRecord): Set<string> {
  const targets = withoutEmpty(resolveTraffic(traffic, latestRevision));
  return new Set(targets.map(({ revision }) => revision));
}

/**
 * The names of the revisions to remove: those without traffic or tag, except the newest `revisionHistory` of them. The
 * latest revision stays, and so do those of the previous split, which a rollback needs.
 */
export function prunable(service: ServiceRecord, revisions: readonly RevisionRecord[]): string[] {
  const used = inTraffic(service);
  const idle = revisions.map(({ name }) => name).filter((name) => !used.has(name));
  const needed = new Set([service.latestRevision, ...service.previousTraffic.map(({ revision }) => revision)]);
  return idle.slice(0, Math.max(0, idle.length - service.revisionHistory)).filter((name) => !needed.has(name));
}
