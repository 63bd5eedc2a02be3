import type { Figures, MetricsParts } from "./figures.ts";

/** How many things may be told before the figures can be kept. */
const MOST_EARLY = 10_000;

/** Counts and measures what cless does. What that needs is loaded when there is something to count. */
export class Metrics {
  readonly #parts: MetricsParts;
  #figures: Figures | undefined;
  #loading: Promise<Figures> | undefined;
  readonly #early: ((figures: Figures) => void)[] = [];

  constructor(parts: MetricsParts) {
    this.#parts = parts;
  }

  /**
   * Notes a request that is answered. On the path of every request.
   *
   * @param service Missing where no service answered.
   * @param ms From its arrival to its answer's headers.
   */
  requested(service: string | undefined, status: number, ms: number): void {
    if (this.#figures !== undefined) this.#figures.requested(service, status, ms);
    else this.#later((figures) => figures.requested(service, status, ms));
  }

  /**
   * Notes the start of an instance.
   *
   * @param createMs Until its container ran.
   * @param readyMs From then on until it answered.
   */
  coldStart(service: string, createMs: number, readyMs: number): void {
    if (this.#figures !== undefined) this.#figures.coldStart(service, createMs, readyMs);
    else this.#later((figures) => figures.coldStart(service, createMs, readyMs));
  }

  /** Forgets the figures of a service that is gone. */
  forget(service: string): void {
    if (this.#figures !== undefined) this.#figures.forget(service);
    else this.#later((figures) => figures.forget(service));
  }

  /** All figures, as Prometheus reads them. */
  async text(): Promise<string> {
    return await (await this.#load()).text();
  }

  #later(note: (figures: Figures) => void): void {
    if (this.#early.length < MOST_EARLY) this.#early.push(note);
    this.#load().catch(() => {}); // whoever asks for the text is told
  }

  #load(): Promise<Figures> {
    return this.#loading ??= import("./figures.ts").then(({ Figures }) => {
      const figures = new Figures(this.#parts);
      for (const note of this.#early.splice(0)) note(figures);
      return this.#figures = figures;
    }, (error) => {
      this.#loading = undefined; // it may work the next time
      throw error;
    });
  }
}
