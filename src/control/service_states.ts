import { defined } from "../model/defined.ts";
import { resolveTraffic } from "../model/traffic.ts";
import type { HistoryEntry, RevisionMark, RevisionRecord, ServiceRecord } from "./records.ts";
import type { Store } from "./store.ts";

/** A service with its revisions, oldest first. It never changes; a change makes another one. */
export interface ServiceState {
  readonly service: ServiceRecord;
  readonly revisions: readonly RevisionRecord[];
}

/** How many services are read at a time: one more than on a usual page of the API. */
const PAGE = 101;

/**
 * Every declared service. The cost of a change or of a page does not depend on the number of services, most of which sleep:
 * only names and {@linkcode RevisionMark}s are in memory, and the rest is read from the store when it is asked for.
 */
export class ServiceStates {
  readonly #store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">;
  /** In the order of code units. */
  readonly #names: string[] = [];
  /** The services that need attention before their first request. */
  readonly #demanding = new Set<string>();
  /** How many revisions have each image, and for how many of them cless pulled it. */
  readonly #images = new Map<string, { revisions: number; pulled: number }>();

  constructor(store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">) {
    this.#store = store;
  }

  /** How many services there are. */
  get size(): number {
    return this.#names.length;
  }

  /** Whether there is a service of that name. Does not need the store. */
  has(name: string): boolean {
    return this.#names[this.#placeOf(name)] === name;
  }

  /** A service without its revisions. @throws {StoreUnavailable} */
  service(name: string): ServiceRecord | undefined {
    return this.has(name) ? this.#store.service(name) : undefined;
  }

  /** A service with its revisions. @throws {StoreUnavailable} */
  get(name: string): ServiceState | undefined {
    const service = this.service(name);
    return service && { service, revisions: this.#store.revisions(name) };
  }

  /**
   * Notes that a service has been stored.
   *
   * @param marks The marks of its revisions.
   * @param before The service before the change; `undefined` for a new one.
   */
  set(name: string, marks: readonly RevisionMark[], before: ServiceState | undefined): void {
    if (before === undefined) this.#names.splice(this.#placeOf(name), 0, name);
    else this.#count(before.revisions, -1);
    this.#count(marks, 1);
    if (marks.every(({ undemanding }) => undemanding)) this.#demanding.delete(name);
    else this.#demanding.add(name);
  }

  /** Notes that a service has been removed from the store. */
  delete({ revisions, service: { name } }: ServiceState): void {
    this.#count(revisions, -1);
    this.#demanding.delete(name);
    this.#names.splice(this.#placeOf(name), 1);
  }

  /** The name of the service that has declared a domain. @throws {StoreUnavailable} */
  ownerOf(domain: string): string | undefined {
    return this.#store.domainOwner(domain);
  }

  /** Whether a service is one of the {@linkcode demanding}. */
  isDemanding(name: string): boolean {
    return this.#demanding.has(name);
  }

  /** The services with a revision that has volumes or secrets, or keeps instances up. @throws {StoreUnavailable} */
  demanding(): ServiceState[] {
    return [...this.#demanding].map((name) => this.get(name)!);
  }

  /** The services whose names come after one, by name, read page by page. @throws {StoreUnavailable} */
  *after(name: string): Iterable<ServiceRecord> {
    for (let last = name;;) {
      const page = this.#store.services(last, PAGE);
      yield* page;
      if (page.length < PAGE) return;
      last = page.at(-1)!.name;
    }
  }

  /** Whether a revision has an image. */
  hasImage(imageId: string): boolean {
    return this.#images.has(imageId);
  }

  /** Whether cless pulled an image for one of the revisions that have it. */
  hasPulledImage(imageId: string): boolean {
    return (this.#images.get(imageId)?.pulled ?? 0) > 0;
  }

  /** The images for which {@linkcode hasPulledImage} is true. */
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

  /** The index of a name, or the one where it belongs. */
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

/** The names of the revisions that requests can reach, by a share or a tag. */
export function reachable({ traffic, latestRevision }: ServiceRecord): Set<string> {
  const parts = resolveTraffic(traffic, latestRevision).filter(({ percent, tag }) => percent > 0 || tag !== undefined);
  return new Set(parts.map(({ revision }) => revision));
}

/**
 * The names of the revisions to remove: of those without traffic or tag, all but the newest `revisionHistory`. The latest
 * revision stays, and so do those of the previous split, which a rollback needs.
 */
export function prunable(service: ServiceRecord, revisions: readonly RevisionRecord[]): string[] {
  const used = inTraffic(service);
  const idle = revisions.map(({ name }) => name).filter((name) => !used.has(name));
  const needed = new Set([service.latestRevision, ...service.previousTraffic.map(({ revision }) => revision)]);
  return idle.slice(0, Math.max(0, idle.length - service.revisionHistory)).filter((name) => !needed.has(name));
}

/** What the audit log says of a service: enough to see what a change did, and nothing that its containers get. */
export function historyOf(service: ServiceRecord): Record<string, unknown> {
  const { declaredBy, domains, generation, lastNumber, latestRevision, revisionHistory, traffic } = service;
  const { wake, loading } = service;
  const fields = {
    generation,
    lastNumber,
    latestRevision,
    traffic,
    domains,
    revisionHistory,
    wake,
    loading,
    declaredBy,
  };
  return defined(fields);
}

/** The highest numbers that a service has had according to its history; 0 if there is none. */
export function lastNumbers(history: readonly HistoryEntry[]): { generation: number; lastNumber: number } {
  const highest = (key: string) =>
    Math.max(0, ...history.flatMap(({ before, after }) => [numberIn(before, key), numberIn(after, key)]));
  return { generation: highest("generation"), lastNumber: highest("lastNumber") };
}

function numberIn(value: unknown, key: string): number {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "number" ? found : 0;
}
