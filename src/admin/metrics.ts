import type { RevisionName } from "../model/revision.ts";
import type { Breakage } from "../pool/observer.ts";
import type { WakeTier } from "../pool/wake_times.ts";
import type { Load, Present, PrometheusMetrics } from "./prometheus.ts";

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
   * Counts an answered request. @param service `undefined` if none was found. @param revision The name of the revision
   * that was chosen; `undefined` if the request was answered before. @param ms The time to the answer's headers.
   */
  requested(service: string | undefined, revision: string | undefined, status: number, ms: number): void {
    if (this.#loaded !== undefined) this.#loaded.requested(service, revision, status, ms);
    else this.#later((metrics) => metrics.requested(service, revision, status, ms));
  }

  /**
   * Counts a start. @param createMs The time until the container ran. @param readyMs The time from then until the app
   * answered.
   */
  coldStart(revision: RevisionName, createMs: number, readyMs: number): void {
    this.#later((metrics) => metrics.coldStart(revision, createMs, readyMs));
  }

  /** Notes a wake and how long it took, also one from nothing. */
  woken(revision: RevisionName, how: WakeTier, ms: number): void {
    this.#later((metrics) => metrics.woken(revision, how, ms));
  }

  /** Notes how long a request waited for an instance or a slot until it got one. */
  waited(revision: RevisionName, ms: number): void {
    this.#later((metrics) => metrics.waited(revision, ms));
  }

  /** Counts an instance that did not become ready, or that ended or stopped answering by itself. */
  broke(revision: RevisionName, how: Breakage): void {
    this.#later((metrics) => metrics.broke(revision, how));
  }

  /** Counts a client that has stopped sending or reading. */
  clientStopped(service: string | undefined, what: string): void {
    this.#later((metrics) => metrics.clientStopped(service, what));
  }

  /** Sets how many connections of clients that have stopped reading are still open. */
  stuckClients(count: number): void {
    this.#later((metrics) => metrics.stuckClients(count));
  }

  /** Notes how long a change of the store took until it was on disk. */
  wrote(ms: number): void {
    this.#later((metrics) => metrics.storeWrote(ms));
  }

  /** Counts a read or a write of the store that has failed. */
  failed(what: "read" | "write"): void {
    this.#later((metrics) => metrics.storeFailed(what));
  }

  /** Drops the series of a service that was deleted. */
  forget(service: string): void {
    this.#later((metrics) => metrics.forget(service));
  }

  /** All metrics in the text format of Prometheus, with what there is at present. */
  async text(present: Present): Promise<string> {
    return await (await this.#load()).text(present);
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
