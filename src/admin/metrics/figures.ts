import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { InstanceState } from "../../model/instance_state.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import { VERSION } from "../../base/version.ts";
import { registerProcess } from "./process.ts";

/** What the figures are taken from, beside what is told. */
export interface MetricsParts {
  readonly fleet: Pick<Fleet, "instances">;
  /** How many requests wait, by service. */
  readonly pending: () => Iterable<readonly [service: string, count: number]>;
}

/** How many services have series of their own; the others share one, since each costs memory here and at the reader's. */
const MOST_SERVICES = 1000;
/** How many codes a service has series for; an app may answer with any. */
const MOST_CODES = 40;
const OTHER_SERVICE = "_other"; // no service can be called that
const OTHER_CODE = "other";
const STATES: readonly InstanceState[] = ["starting", "ready", "paused", "draining"];
const REQUEST_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const START_BUCKETS = [0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30];

/** The series of one service, looked up once. */
interface Series {
  readonly label: string;
  readonly byStatus: Map<number, Counter.Internal>;
  readonly codes: Set<string>;
  readonly duration: Histogram.Internal<"service">;
}

/** The figures as prom-client keeps them, in a registry of their own. */
export class Figures {
  readonly #registry = new Registry();
  readonly #series = new Map<string, Series>();
  readonly #requests = new Counter({
    name: "cless_requests_total",
    help: "Requests that were answered, by service and status; without a service where none was found",
    labelNames: ["service", "code"],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: "cless_request_duration_seconds",
    help: "From a request's arrival to its answer's headers",
    labelNames: ["service"],
    buckets: REQUEST_BUCKETS,
    registers: [this.#registry],
  });
  readonly #coldStarts = new Counter({
    name: "cless_cold_starts_total",
    help: "Instances that were started and became ready",
    labelNames: ["service"],
    registers: [this.#registry],
  });
  readonly #coldStart = new Histogram({
    name: "cless_cold_start_seconds",
    help: "How long starts took: create until the container ran, ready from then on until it answered",
    labelNames: ["service", "stage"],
    buckets: START_BUCKETS,
    registers: [this.#registry],
  });

  constructor({ fleet, pending }: MetricsParts) {
    const registers = [this.#registry];
    new Gauge({
      name: "cless_instances",
      help: "Instances by state",
      labelNames: ["state"],
      registers,
      collect() {
        const byState = Map.groupBy(fleet.instances(), ({ state }) => state);
        for (const state of STATES) this.set({ state }, byState.get(state)?.length ?? 0);
      },
    });
    const labelOf = (service: string) => this.#seriesOf(service).label;
    new Gauge({
      name: "cless_requests_pending",
      help: "Requests that wait for an instance, by service",
      labelNames: ["service"],
      registers,
      collect() {
        this.reset();
        for (const [service, count] of pending()) this.inc({ service: labelOf(service) }, count);
      },
    });
    new Gauge({ name: "cless_build_info", help: "The version that runs", labelNames: ["version"], registers })
      .set({ version: VERSION }, 1);
    registerProcess(this.#registry);
  }

  /** Notes a request that is answered; ms from its arrival to the answer's headers. */
  requested(service = "", status: number, ms: number): void {
    const series = this.#series.get(service) ?? this.#seriesOf(service);
    (series.byStatus.get(status) ?? this.#counterOf(series, status)).inc();
    series.duration.observe(ms / 1000);
  }

  /** Notes the start of an instance; both times in ms. */
  coldStart(service: string, createMs: number, readyMs: number): void {
    const { label } = this.#seriesOf(service);
    this.#coldStarts.inc({ service: label });
    this.#coldStart.observe({ service: label, stage: "create" }, createMs / 1000);
    this.#coldStart.observe({ service: label, stage: "ready" }, readyMs / 1000);
  }

  /** Forgets a service, so that its series do not stay for ever. */
  forget(service: string): void {
    const series = this.#series.get(service);
    if (series === undefined || service === OTHER_SERVICE) return;
    this.#series.delete(service);
    for (const code of series.codes) this.#requests.remove(service, code);
    this.#duration.remove(service);
    this.#coldStarts.remove(service);
    for (const stage of ["create", "ready"]) this.#coldStart.remove(service, stage);
  }

  /** All figures, as Prometheus reads them. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #seriesOf(service: string): Series {
    const found = this.#series.get(service);
    if (found !== undefined) return found;
    const own = this.#series.size - (this.#series.has(OTHER_SERVICE) ? 1 : 0);
    if (own >= MOST_SERVICES && service !== OTHER_SERVICE) return this.#seriesOf(OTHER_SERVICE);
    const duration = this.#duration.labels(service);
    const series = { label: service, byStatus: new Map(), codes: new Set<string>(), duration };
    this.#series.set(service, series);
    return series;
  }

  #counterOf({ byStatus, codes, label }: Series, status: number): Counter.Internal {
    const isUsual = Number.isInteger(status) && status >= 100 && status <= 599 && codes.size < MOST_CODES;
    const code = isUsual ? String(status) : OTHER_CODE;
    codes.add(code);
    const counter = this.#requests.labels(label, code);
    if (byStatus.size < 600) byStatus.set(status, counter);
    return counter;
  }
}
