import type { RevisionMark, ServiceRecord } from "../control/records.ts";
import type { Store } from "../control/store.ts";
import { ImageUse } from "./image_use.ts";
import type { ServiceState } from "../control/service_state.ts";

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
