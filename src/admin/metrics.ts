import type { Instance } from "../pool/instance.ts";
import type { Load, PrometheusMetrics, WaitingPool } from "./prometheus.ts";

/** At most this many records are queued until the library is loaded. */
const MAX_EARLY = 10_000;

/** Counts and measures requests and starts. Its library is loaded at the first record or the first call of `text`. */
export class Metrics {
  #loaded: PrometheusMetrics | undefined;
  #loading: Promise<PrometheusMetrics> | undefined;
  readonly #early: ((metrics: PrometheusMetrics) => void)[] = [];
  readonly #ownLoad: Load | undefined;

  /** @param load The source of the metrics about cless's own load. */
  constructor(load?: Load) {
    this.#ownLoad = load;
  }

  /**
   * Counts an answered request. @param service `undefined` if none was found. @param ms The time to the answer's
   * headers.
   */
  requested(service: string | undefined, status: number, ms: number): void {
    if (this.#loaded !== undefined) this.#loaded.requested(service, status, ms);
    else this.#later((metrics) => metrics.requested(service, status, ms));
  }

  /**
   * Counts a start. @param createMs The time until the container ran. @param readyMs The time from then until the app
   * answered.
   */
  coldStart(service: string, createMs: number, readyMs: number): void {
    this.#later((metrics) => metrics.coldStart(service, createMs, readyMs));
  }

  /** Counts a client that has stopped sending or reading. */
  clientStopped(service: string | undefined, what: string): void {
    this.#later((metrics) => metrics.clientStopped(service, what));
  }

  /** Sets how many connections of clients that have stopped reading are still open. */
  stuckClients(count: number): void {
    this.#later((metrics) => metrics.stuckClients(count));
  }

  forget(service: string): void {
    this.#later((metrics) => metrics.forget(service));
  }

  async text(instances: readonly Instance[], pools: Iterable<WaitingPool>): Promise<string> {
    return await (await this.#load()).text(instances, pools);
  }

  #later(note: (metrics: PrometheusMetrics) => void): void {
    if (this.#loaded !== undefined) return note(this.#loaded);
    if (this.#early.length < MAX_EARLY) this.#early.push(note);
    this.#load().catch(() => {}); // text() reports the error
  }

  #load(): Promise<PrometheusMetrics> {
    return this.#loading ??= import("./prometheus.ts").then(({ PrometheusMetrics }) => {
      const metrics = new PrometheusMetrics(this.#ownLoad);
      for (const note of this.#early.splice(0)) note(metrics);
      return this.#loaded = metrics;
    }, (error) => {
      this.#loading = undefined; // the next attempt may succeed
      throw error;
    });
  }
}
