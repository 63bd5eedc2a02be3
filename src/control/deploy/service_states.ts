import { maySleep, type RevisionRecord } from "../records.ts";
import { ImageUse } from "./image_use.ts";
import type { ServiceState } from "./service_state.ts";

/**
 * Every service as it is, found by whatever is asked for: what one change or one page costs must not depend on how many
 * services there are.
 */
export class ServiceStates {
  /** The images that their revisions have. */
  readonly images = new ImageUse();
  readonly #byName = new Map<string, ServiceState>();
  /** In the order of code units. */
  readonly #names: string[] = [];
  /** The name of the service that has each domain. */
  readonly #byDomain = new Map<string, string>();
  /** The names of those with a revision that has volumes. */
  readonly #withVolumes = new Set<string>();

  /** How many there are. */
  get size(): number {
    return this.#byName.size;
  }

  get(name: string): ServiceState | undefined {
    return this.#byName.get(name);
  }

  /** Puts a service in the place of the one with its name. */
  set(state: ServiceState): void {
    const { service: { domains, name }, revisions } = state;
    const before = this.#byName.get(name);
    if (before === undefined) this.#names.splice(this.#placeOf(name), 0, name);
    else this.#leave(before);
    this.#byName.set(name, state);
    this.images.add(revisions);
    for (const domain of domains) this.#byDomain.set(domain, name);
    if (revisions.some(hasVolumes)) this.#withVolumes.add(name);
  }

  delete(name: string): void {
    const state = this.#byName.get(name);
    if (state === undefined) return;
    this.#leave(state);
    this.#byName.delete(name);
    this.#names.splice(this.#placeOf(name), 1);
  }

  /** The name of the service that has declared a domain. */
  ownerOf(domain: string): string | undefined {
    return this.#byDomain.get(domain);
  }

  /** Those with a revision that has volumes. */
  withVolumes(): ServiceState[] {
    return [...this.#withVolumes].map((name) => this.#byName.get(name)!);
  }

  /** Those whose names come after one, by name. Not to be changed meanwhile. */
  *after(name: string): Iterable<ServiceState> {
    const first = this.#placeOf(name);
    for (let at = this.#names[first] === name ? first + 1 : first; at < this.#names.length; at++) {
      yield this.#byName.get(this.#names[at]!)!;
    }
  }

  #leave({ service: { domains, name }, revisions }: ServiceState): void {
    this.images.delete(revisions);
    for (const domain of domains) this.#byDomain.delete(domain);
    this.#withVolumes.delete(name);
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

function hasVolumes(revision: RevisionRecord): boolean {
  return !maySleep(revision) && revision.template.volumes.length > 0;
}
