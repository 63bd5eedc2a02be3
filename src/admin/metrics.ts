import type { Instance } from "../pool/instance.ts";
import type { Load, PrometheusMetrics, WaitingPool } from "./prometheus.ts";

/** How many records are queued before the library is loaded. */
const MAX_EARLY = 10_000;

/** Counts and measures requests and starts. Its library is loaded at the first record. */
export class Metrics {
  #loaded: PrometheusMetrics | undefined;
  #loading: Promise<PrometheusMetrics> | undefined;
  readonly #early: ((metrics: PrometheusMetrics) => void)[] = [];
  readonly #ownLoad: Load | undefined;

  /** @param load What cless's own load is read from. */
  constructor(load?: Load) {
    this.#ownLoad = load;
  }

  /** Counts a request, on every answer: `service` if one was found, and `ms` until the answer's headers. */
  requested(service: string | undefined, status: number, ms: number): void {
    if (this.#loaded !== undefined) this.#loaded.requested(service, status, ms);
    else this.#later((metrics) => metrics.requested(service, status, ms));
  }

  /** Counts a start: `createMs` until its container ran, and `readyMs` from then on until its app answered. */
  coldStart(service: string, createMs: number, readyMs: number): void {
    this.#later((metrics) => metrics.coldStart(service, createMs, readyMs));
  }

  /** Counts a client that has stopped to send or to read. */
  clientStopped(service: string | undefined, what: string): void {
    this.#later((metrics) => metrics.clientStopped(service, what));
  }

  /** Says how many connections of such clients are still open. */
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
