/** So long after a container was harmed, requests may still meet what is left of it: a busy engine tells late, ms. */
const AFTERMATH_MS = 1000;

/** Something that was done to a service, or to all: from when to when, in the clock's ms. */
interface Harm {
  readonly service: string | undefined;
  readonly began: number;
  ended: number;
}

/** What was done to services, and when: it tells whether a request that failed was under way meanwhile. */
export class Harms {
  readonly #harms: Harm[] = [];

  /** Notes that a service is about to be harmed, or all of them; what is returned is to be called once that is done. */
  harming(service?: string): () => void {
    const harm = { service, began: performance.now(), ended: Infinity };
    this.#harms.push(harm);
    return () => harm.ended = performance.now();
  }

  /** How often a service was harmed within a time. */
  count(service: string, began: number, ended: number): number {
    return this.#harms.filter((harm) =>
      (harm.service ?? service) === service && harm.began < ended && harm.ended + AFTERMATH_MS > began
    ).length;
  }

  /** Whether a service was harmed within a time. */
  wasHarmed(service: string, began: number, ended: number): boolean {
    return this.count(service, began, ended) > 0;
  }
}
