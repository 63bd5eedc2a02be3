import type { RevisionMark, ServiceRecord } from "../records.ts";
import type { Store } from "../store.ts";
import { ImageUse } from "./image_use.ts";
import type { ServiceState } from "./service_state.ts";

/**
 * Every service as it is, found by whatever is asked for: what a change or a page costs must not depend on how many
 * services there are. Revisions stay in the store, and are read when somebody asks for those of one service.
 */
export class ServiceStates {
  /** The images that their revisions have. */
  readonly images = new ImageUse();
  readonly #store: Pick<Store, "revisions">;
  readonly #services = new Map<string, ServiceRecord>();
  /** In the order of code units. */
  readonly #names: string[] = [];
  /** The name of the service that has each domain. */
  readonly #byDomain = new Map<string, string>();
  /** The names of those of whose revisions something matters before a request comes. */
  readonly #demanding = new Set<string>();

  constructor(store: Pick<Store, "revisions">) {
    this.#store = store;
  }

  /** How many there are. */
  get size(): number {
    return this.#services.size;
  }

  /** A service without its revisions. */
  service(name: string): ServiceRecord | undefined {
    return this.#services.get(name);
  }

  /** A service with its revisions as they are in the store. @throws {StoreUnavailable} */
  get(name: string): ServiceState | undefined {
    const service = this.#services.get(name);
    return service && { service, revisions: this.#store.revisions(name) };
  }

  /** Takes note of a service that is in the store now. @param before As it was until then. */
  set(service: ServiceRecord, marks: readonly RevisionMark[], before: ServiceState | undefined): void {
    const { domains, name } = service;
    if (before === undefined) this.#names.splice(this.#placeOf(name), 0, name);
    else this.#leave(before);
    this.#services.set(name, service);
    this.images.add(marks);
    for (const domain of domains) this.#byDomain.set(domain, name);
    if (!marks.every(({ undemanding }) => undemanding)) this.#demanding.add(name);
  }

  /** Takes note that a service is not in the store any more. */
  delete(state: ServiceState): void {
    const { name } = state.service;
    this.#leave(state);
    this.#services.delete(name);
    this.#names.splice(this.#placeOf(name), 1);
  }

  /** The name of the service that has declared a domain. */
  ownerOf(domain: string): string | undefined {
    return this.#byDomain.get(domain);
  }

  /** Whether a service is one of the {@linkcode demanding}. */
  isDemanding(name: string): boolean {
    return this.#demanding.has(name);
  }

  /** Those with a revision that has volumes or secrets, or keeps instances up. @throws {StoreUnavailable} */
  demanding(): ServiceState[] {
    return [...this.#demanding].map((name) => this.get(name)!);
  }

  /** Those whose names come after one, by name. Not to be changed meanwhile. */
  *after(name: string): Iterable<ServiceRecord> {
    const first = this.#placeOf(name);
    for (let at = this.#names[first] === name ? first + 1 : first; at < this.#names.length; at++) {
      yield this.#services.get(this.#names[at]!)!;
    }
  }

  #leave({ revisions, service: { domains, name } }: ServiceState): void {
    this.images.delete(revisions);
    for (const domain of domains) this.#byDomain.delete(domain);
    this.#demanding.delete(name);
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
