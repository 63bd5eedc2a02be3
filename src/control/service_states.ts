import { resolveTraffic } from "../model/traffic.ts";
import type { HistoryEntry, RevisionMark, RevisionRecord, ServiceRecord } from "./records.ts";
import type { Store } from "./store.ts";

/** A service with its revisions, oldest first; never changed, only replaced. */
export interface ServiceState {
  readonly service: ServiceRecord;
  readonly revisions: readonly RevisionRecord[];
}

/** The name of a service's revision. */
export function revisionName(service: string, number: number): string {
  return `${service}-${String(number).padStart(5, "0")}`;
}

/** The names of revisions. */
export function namesOf(revisions: readonly RevisionRecord[]): Set<string> {
  return new Set(revisions.map(({ name }) => name));
}

/** The revisions that the traffic of a service names, with a share or a tag. */
export function inTraffic({ traffic, latestRevision }: ServiceRecord): Set<string> {
  return new Set(resolveTraffic(traffic, latestRevision).map(({ revision }) => revision));
}

/** The names of the revisions that requests can reach, by their share or their tag. */
export function reachable({ traffic, latestRevision }: ServiceRecord): Set<string> {
  const parts = resolveTraffic(traffic, latestRevision).filter(({ percent, tag }) => percent > 0 || tag !== undefined);
  return new Set(parts.map(({ revision }) => revision));
}

/**
 * The names of the revisions beyond the newest `revisionHistory` of those without traffic or tag. One that is the latest
 * or in the split before stays all the same: a rollback needs it.
 */
export function prunable(service: ServiceRecord, revisions: readonly RevisionRecord[]): string[] {
  const used = inTraffic(service);
  const idle = revisions.map(({ name }) => name).filter((name) => !used.has(name));
  const kept = new Set([service.latestRevision, ...service.previousTraffic.map(({ revision }) => revision)]);
  return idle.slice(0, Math.max(0, idle.length - service.revisionHistory)).filter((name) => !kept.has(name));
}

/** What history says of a service: enough to see what a change did, and nothing of what its containers get. */
export function historyOf(service: ServiceRecord): Record<string, unknown> {
  const { declaredBy, domains, generation, lastNumber, latestRevision, revisionHistory, traffic } = service;
  const { wake, loading } = service;
  const declared = declaredBy === undefined ? {} : { declaredBy };
  return { generation, lastNumber, latestRevision, traffic, domains, revisionHistory, wake, loading, ...declared };
}

/** The highest numbers that a service had, as far as history knows; 0 where it knows nothing. */
export function lastNumbers(history: readonly HistoryEntry[]): { generation: number; lastNumber: number } {
  const highest = (key: string) =>
    Math.max(0, ...history.flatMap(({ before, after }) => [numberIn(before, key), numberIn(after, key)]));
  return { generation: highest("generation"), lastNumber: highest("lastNumber") };
}

function numberIn(value: unknown, key: string): number {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "number" ? found : 0;
}

/** What of a revision tells which image goes with it. */
export type WithImage = Pick<RevisionRecord, "imageId" | "pulled">;

/** Which images the revisions that are kept have: an answer must not take a look at all of them. */
export class ImageUse {
  /** How many revisions have each. */
  readonly #all = new Map<string, number>();
  readonly #pulled = new Map<string, number>();

  /** Takes note of revisions that are kept from now on. */
  add(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) {
      count(this.#all, imageId, 1);
      if (pulled) count(this.#pulled, imageId, 1);
    }
  }

  /** Takes note of revisions that are not kept any more. */
  delete(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) {
      count(this.#all, imageId, -1);
      if (pulled) count(this.#pulled, imageId, -1);
    }
  }

  /** Whether a revision has an image. */
  has(imageId: string): boolean {
    return this.#all.has(imageId);
  }

  /** Whether a revision has an image that cless has pulled for it. */
  hasPulled(imageId: string): boolean {
    return this.#pulled.has(imageId);
  }
}

function count(counts: Map<string, number>, imageId: string, by: 1 | -1): void {
  const next = (counts.get(imageId) ?? 0) + by;
  if (next > 0) counts.set(imageId, next);
  else counts.delete(imageId);
}

/** How many services are read at a time: a page as most ask for it, and one more. */
const PAGE = 101;

/**
 * Every service as it is. What a change or a page costs must not depend on how many there are, and most of them sleep: so
 * only what has to be known at any time is in memory, and the rest is read from the store where somebody asks for it.
 */
export class ServiceStates {
  /** The images that their revisions have. */
  readonly images = new ImageUse();
  readonly #store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">;
  /** In the order of code units. */
  readonly #names: string[] = [];
  /** The names of those of whose revisions something matters before a request comes. */
  readonly #demanding = new Set<string>();

  constructor(store: Pick<Store, "domainOwner" | "revisions" | "service" | "services">) {
    this.#store = store;
  }

  /** How many there are. */
  get size(): number {
    return this.#names.length;
  }

  /** Whether there is a service of that name; known without the store. */
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
   * Takes note of a service that is in the store now.
   *
   * @param marks Those of its revisions.
   * @param before As it was until then.
   */
  set(name: string, marks: readonly RevisionMark[], before: ServiceState | undefined): void {
    if (before === undefined) this.#names.splice(this.#placeOf(name), 0, name);
    else this.images.delete(before.revisions);
    this.images.add(marks);
    if (marks.every(({ undemanding }) => undemanding)) this.#demanding.delete(name);
    else this.#demanding.add(name);
  }

  /** Takes note that a service is not in the store any more. */
  delete({ revisions, service: { name } }: ServiceState): void {
    this.images.delete(revisions);
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

  /** Those with a revision that has volumes or secrets, or keeps instances up. @throws {StoreUnavailable} */
  demanding(): ServiceState[] {
    return [...this.#demanding].map((name) => this.get(name)!);
  }

  /** Those whose names come after one, by name; read page by page. @throws {StoreUnavailable} */
  *after(name: string): Iterable<ServiceRecord> {
    for (let last = name;;) {
      const page = this.#store.services(last, PAGE);
      yield* page;
      if (page.length < PAGE) return;
      last = page.at(-1)!.name;
    }
  }

  /** Where a name is among all, or would be. */
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
