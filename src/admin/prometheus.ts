import { cpuUsage } from "node:process";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { VERSION } from "../base/version.ts";
import { SERVICE_STATES, type ServiceStatus } from "../control/service_status.ts";
import type { InstanceState } from "../model/instance_state.ts";
import type { RevisionName } from "../model/revision.ts";
import type { Instance } from "../pool/instance.ts";
import type { Usage } from "../pool/launcher.ts";
import type { Breakage } from "../pool/observer.ts";
import type { WakeTier } from "../pool/wake_times.ts";
import type { Shed } from "../proxy/admission.ts";

/**
 * At most this many revisions, and services without a revision, have their own series. The others share one, since
 * series cost memory here and in Prometheus.
 */
const MAX_OWNERS = 2000;
/** At most this many status codes of a revision have their own series: an app may answer with any code. */
const MAX_CODES = 40;
/** The label of requests for which no service was found, or that were answered before a revision was chosen. */
const NONE = "";
const OTHER_SERVICE = "_other"; // cannot be a service's name
const OTHER_CODE = "other";
const STATES: readonly InstanceState[] = ["starting", "ready", "paused", "hibernated", "draining"];
const REQUEST_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a millisecond, in which what is paused wakes, to a minute. */
const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const STAGES = ["create", "ready"];
const TIERS: readonly WakeTier[] = ["cold", "resume", "hibernated"];
const BREAKAGES: readonly Breakage[] = [
  ...["start_failed", "start_timeout", "ended", "out_of_memory", "hung", "unanswered"] as const,
];
/** What can happen to an instance that has worked. */
const LOSSES: ReadonlySet<Breakage> = new Set(["ended", "out_of_memory", "hung", "unanswered"]);
const WRITE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const START_BUCKETS = [0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30];

/** Metrics of the process under the usual names: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
const PROCESS_GAUGES: readonly [name: string, help: string, read: () => number | Promise<number | undefined>][] = [
  [
    "process_start_time_seconds",
    "When the process was started, seconds since 1970",
    () => performance.timeOrigin / 1000,
  ],
  ["process_resident_memory_bytes", "Memory in use", () => Deno.memoryUsage().rss],
  ["process_heap_bytes", "Memory that JavaScript values take", () => Deno.memoryUsage().heapUsed],
  ["process_open_fds", "Open file descriptors; not known on every system", openFiles],
];

/** A pool's revision, and how many requests wait in the pool. */
export interface WaitingPool {
  readonly revision: RevisionName;
  readonly waiting: number;
}

/** A service, and what it is doing. */
export type StatedService = Pick<ServiceStatus, "state"> & { readonly service: string };

type PresentInstance = Pick<Instance, "id" | "requests" | "state"> & { readonly revision: RevisionName };

/** What there is when the metrics are read. */
export interface Present {
  readonly instances: readonly PresentInstance[];
  readonly pools: Iterable<WaitingPool>;
  readonly statuses: readonly StatedService[];
  /** The revisions that have a share of a service's requests, or a tag. */
  readonly served: Iterable<RevisionName>;
  /** What instances use, by their id. */
  readonly usages: ReadonlyMap<string, Usage>;
}

/** The load of cless itself. */
export interface Load {
  readonly lag: { readonly currentMs: number; readonly worstMs: number };
  readonly shed: Readonly<Shed>;
  /** How often each call of the engine ended in which way. */
  readonly engineCalls: {
    readonly all: Iterable<{ readonly call: string; readonly result: string; readonly count: number }>;
  };
  /** Counts the lines that it has lost; `undefined` if there is no access log. */
  readonly accessLog: { readonly lost: number } | undefined;
  readonly store: { readonly bytes: number };
}

/** The labels that series of a revision have; `revision` is empty where none was chosen. */
type OwnerLabels = { readonly service: string; readonly revision: string };

/** What has series of its own, and those that count its requests, looked up once. */
interface Owner {
  readonly labels: OwnerLabels;
  readonly byStatus: Map<number, Counter.Internal>;
  readonly codes: Set<string>;
  readonly duration: Histogram.Internal<"service" | "revision">;
  /** How many instances that worked have broken, and are not replaced yet. */
  lost: number;
  /** Whether it was gone when the metrics were last read. */
  isLeaving: boolean;
}

/** The metrics in a registry of prom-client. */
export class PrometheusMetrics {
  readonly #registry = new Registry();
  readonly #owners = new Map<string, Owner>();
  readonly #requests = new Counter({
    name: "cless_requests_total",
    help: "Requests that were answered; without a service if none was found, without a revision if none was chosen",
    labelNames: ["service", "revision", "code"],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: "cless_request_duration_seconds",
    help: "From a request's arrival to its answer's headers",
    labelNames: ["service", "revision"],
    buckets: REQUEST_BUCKETS,
    registers: [this.#registry],
  });
  readonly #coldStarts = new Counter({
    name: "cless_cold_starts_total",
    help: "Instances that were started and became ready",
    labelNames: ["service", "revision"],
    registers: [this.#registry],
  });
  readonly #coldStart = new Histogram({
    name: "cless_cold_start_seconds",
    help: "How long starts took: create until the container ran, ready from then on until it answered",
    labelNames: ["service", "revision", "stage"],
    buckets: START_BUCKETS,
    registers: [this.#registry],
  });
  readonly #instances = new Gauge({
    name: "cless_instances",
    help: "Instances by state; nothing for a revision without instances",
    labelNames: ["service", "revision", "state"],
    registers: [this.#registry],
  });
  readonly #memory = new Gauge({
    name: "cless_memory_bytes",
    help: "What instances use, by kind: ram or swap; nothing for a revision without instances",
    labelNames: ["service", "revision", "kind"],
    registers: [this.#registry],
  });
  readonly #wake = new Histogram({
    name: "cless_wake_seconds",
    help: "How long instances took to wake, by tier: cold for a start, resume from a pause, or hibernated",
    labelNames: ["service", "revision", "tier"],
    buckets: WAIT_BUCKETS,
    registers: [this.#registry],
  });
  readonly #wait = new Histogram({
    name: "cless_request_wait_seconds",
    help: "How long requests waited for an instance or a slot; only those that had to wait, and got one",
    labelNames: ["service", "revision"],
    buckets: WAIT_BUCKETS,
    registers: [this.#registry],
  });
  readonly #broken = new Counter({
    name: "cless_instance_failures_total",
    help: "Instances that did not become ready, or ended or stopped answering by themselves, by reason",
    labelNames: ["service", "revision", "reason"],
    registers: [this.#registry],
  });
  readonly #restarts = new Counter({
    name: "cless_instance_restarts_total",
    help: "Instances that were started in place of one that had ended or stopped answering by itself",
    labelNames: ["service", "revision"],
    registers: [this.#registry],
  });
  readonly #inFlight = new Gauge({
    name: "cless_requests_in_flight",
    help: "Requests that instances are answering; nothing for a revision without instances",
    labelNames: ["service", "revision"],
    registers: [this.#registry],
  });
  readonly #storeWrite = new Histogram({
    name: "cless_store_write_seconds",
    help: "How long changes of the store took until they were on disk",
    buckets: WRITE_BUCKETS,
    registers: [this.#registry],
  });
  readonly #storeErrors = new Counter({
    name: "cless_store_errors_total",
    help: "Reads and writes of the store that have failed, such as because of a full disk",
    labelNames: ["what"],
    registers: [this.#registry],
  });
  readonly #services = new Gauge({
    name: "cless_services",
    help: "Services by state",
    labelNames: ["state"],
    registers: [this.#registry],
  });
  readonly #serviceState = new Gauge({
    name: "cless_service_state",
    help: "1 for the state that a service is in; services that are asleep have none",
    labelNames: ["service", "state"],
    registers: [this.#registry],
  });
  readonly #pending = new Gauge({
    name: "cless_requests_pending",
    help: "Requests that wait for an instance or a slot",
    labelNames: ["service", "revision"],
    registers: [this.#registry],
  });
  readonly #stopped = new Counter({
    name: "cless_clients_stopped_total",
    help: "Requests that were given up because the client stopped sending its body (upload) or reading its answer",
    labelNames: ["service", "what"],
    registers: [this.#registry],
  });
  readonly #stuck = new Gauge({
    name: "cless_stuck_client_connections",
    help: "Open connections of clients that stopped reading, and that cless has no right to close",
    registers: [this.#registry],
  });

  constructor(load?: Load) {
    const registers = [this.#registry];
    for (const what of ["read", "write"]) this.#storeErrors.inc({ what }, 0);
    if (load !== undefined) registerLoad(load, registers);
    new Gauge({ name: "cless_build_info", help: "The version that runs", labelNames: ["version"], registers })
      .set({ version: VERSION }, 1);
    new Counter({
      name: "process_cpu_seconds_total",
      help: "Processor time used, by the program and by the system for it",
      registers,
      collect() {
        const { user, system } = cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    });
    for (const [name, help, read] of PROCESS_GAUGES) {
      const collect = async function (this: Gauge) {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      };
      new Gauge({ name, help, registers, collect });
    }
  }

  /**
   * Counts an answered request. @param revision `undefined` if none was chosen. @param ms The time from its arrival to
   * the answer's headers.
   */
  requested(service: string | undefined, revision: string | undefined, status: number, ms: number): void {
    const owner = this.#ownerOf(service, revision);
    (owner.byStatus.get(status) ?? this.#counterOf(owner, status)).inc();
    owner.duration.observe(ms / 1000);
  }

  coldStart(revision: RevisionName, createMs: number, readyMs: number): void {
    const owner = this.#ownerOf(revision.service, revision.name);
    const { labels } = owner;
    this.#coldStarts.inc(labels);
    this.#restarts.inc(labels, owner.lost > 0 ? 1 : 0);
    if (owner.lost > 0) owner.lost--;
    this.#coldStart.observe({ ...labels, stage: "create" }, createMs / 1000);
    this.#coldStart.observe({ ...labels, stage: "ready" }, readyMs / 1000);
  }

  woken(revision: RevisionName, how: WakeTier, ms: number): void {
    this.#wake.observe({ ...this.#labelsOf(revision), tier: how }, ms / 1000);
  }

  waited(revision: RevisionName, ms: number): void {
    this.#wait.observe(this.#labelsOf(revision), ms / 1000);
  }

  broke(revision: RevisionName, how: Breakage): void {
    const owner = this.#ownerOf(revision.service, revision.name);
    this.#broken.inc({ ...owner.labels, reason: how });
    if (LOSSES.has(how)) owner.lost++;
  }

  storeWrote(ms: number): void {
    this.#storeWrite.observe(ms / 1000);
  }

  storeFailed(what: "read" | "write"): void {
    this.#storeErrors.inc({ what });
  }

  clientStopped(service: string | undefined, what: string): void {
    this.#stopped.inc({ service: this.#ownerOf(service).labels.service, what });
  }

  stuckClients(count: number): void {
    this.#stuck.set(count);
  }

  /** Drops the series of a service that was deleted. */
  forget(service: string): void {
    for (const [key, { labels }] of this.#owners) {
      if (labels.service === service && service !== OTHER_SERVICE) this.#remove(key);
    }
  }

  /**
   * All metrics in the text format of Prometheus. A revision that has no share of the requests, no tag and no instance
   * any more is there once more, with what was counted since the last time, and then its series are dropped. So are
   * those of an undeclared service whose image is gone.
   */
  async text(present: Present): Promise<string> {
    this.#prune(present);
    const { instances, pools, statuses, usages } = present;
    for (const gauge of [this.#instances, this.#inFlight, this.#memory, this.#pending]) gauge.reset();
    for (const own of Map.groupBy(instances, ({ revision }) => revision.name).values()) {
      const labels = this.#labelsOf(own[0]!.revision);
      for (const state of STATES) {
        this.#instances.inc({ ...labels, state }, own.filter((instance) => instance.state === state).length);
      }
      for (const { id, requests } of own) {
        this.#inFlight.inc(labels, requests);
        const usage = usages.get(id);
        if (usage === undefined) continue;
        this.#memory.inc({ ...labels, kind: "ram" }, usage.bytes);
        this.#memory.inc({ ...labels, kind: "swap" }, usage.swapBytes ?? 0);
      }
    }
    for (const { revision, waiting } of pools) this.#pending.inc(this.#labelsOf(revision), waiting);
    for (const state of SERVICE_STATES) this.#services.set({ state }, 0);
    this.#serviceState.reset();
    for (const { service, state } of statuses) {
      this.#services.inc({ state });
      // Most services sleep, and a series of its own for each would say nothing.
      if (state !== "asleep") this.#serviceState.inc({ service: this.#ownerOf(service).labels.service, state });
    }
    return await this.#written();
  }

  /** The text. Requests go on after each metric, since a thousand services have a hundred thousand lines. */
  async #written(): Promise<string> {
    const texts: string[] = [];
    for (const { name } of this.#registry.getMetricsAsArray()) {
      texts.push(await this.#registry.getSingleMetricAsString(name));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return `${texts.join("\n\n")}\n`;
  }

  /** Drops the series of what is gone, and was gone at the last call. */
  #prune({ instances, pools, served, statuses }: Present): void {
    const revisions = new Set([NONE]);
    for (const { revision } of instances) revisions.add(revision.name);
    for (const { revision } of pools) revisions.add(revision.name);
    for (const { name } of served) revisions.add(name);
    const services = new Set([NONE, OTHER_SERVICE]);
    for (const { service } of statuses) services.add(service);
    for (const [key, owner] of this.#owners) {
      const { revision, service } = owner.labels;
      const isGone = !revisions.has(revision) || (revision === NONE && !services.has(service));
      if (isGone && owner.isLeaving) this.#remove(key);
      else owner.isLeaving = isGone;
    }
  }

  #labelsOf({ name, service }: RevisionName): OwnerLabels {
    return this.#ownerOf(service, name).labels;
  }

  /** A revision's name is unique, also among those of other services. */
  #ownerOf(service = NONE, revision = NONE): Owner {
    const key = revision === NONE ? `/${service}` : revision;
    const found = this.#owners.get(key);
    if (found !== undefined) return found;
    const own = this.#owners.size - (this.#owners.has(`/${OTHER_SERVICE}`) ? 1 : 0);
    if (own >= MAX_OWNERS && service !== OTHER_SERVICE) return this.#ownerOf(OTHER_SERVICE);
    const labels = { service, revision };
    const duration = this.#duration.labels(labels);
    const owner = { labels, byStatus: new Map(), codes: new Set<string>(), duration, lost: 0, isLeaving: false };
    this.#owners.set(key, owner);
    return owner;
  }

  #remove(key: string): void {
    const { codes, labels } = this.#owners.get(key)!;
    this.#owners.delete(key);
    for (const code of codes) this.#requests.remove({ ...labels, code });
    for (const metric of [this.#duration, this.#coldStarts, this.#restarts, this.#wait]) metric.remove(labels);
    for (const stage of STAGES) this.#coldStart.remove({ ...labels, stage });
    for (const tier of TIERS) this.#wake.remove({ ...labels, tier });
    for (const reason of BREAKAGES) this.#broken.remove({ ...labels, reason });
    if (labels.revision !== NONE) return;
    for (const what of ["upload", "answer", "websocket"]) this.#stopped.remove({ service: labels.service, what });
  }

  #counterOf({ byStatus, codes, labels }: Owner, status: number): Counter.Internal {
    const isUsual = Number.isInteger(status) && status >= 100 && status <= 599 && codes.size < MAX_CODES;
    const code = isUsual ? String(status) : OTHER_CODE;
    codes.add(code);
    const counter = this.#requests.labels({ ...labels, code });
    if (byStatus.size < 600) byStatus.set(status, counter);
    return counter;
  }
}

async function openFiles(): Promise<number | undefined> {
  try {
    const names = await Array.fromAsync(Deno.readDir("/proc/self/fd"));
    return names.length - 1; // without the entry of the folder being listed
  } catch {
    return undefined;
  }
}

/** The values of the label `cause`. */
const CAUSES = { lag: "lag", inFlight: "in_flight", waiting: "waiting", descriptors: "descriptors" } as const;

function registerLoad({ accessLog, engineCalls, lag, shed, store }: Load, registers: Registry[]): void {
  if (accessLog !== undefined) {
    new Counter({
      name: "cless_access_log_lost_lines_total",
      help: "Lines that the access log could not take in time; there only with an access log",
      registers,
      collect() {
        this.reset();
        this.inc(accessLog.lost);
      },
    });
  }
  new Counter({
    name: "cless_engine_calls_total",
    help: "Calls of the container engine by their result: ok, or the kind of the failure",
    labelNames: ["call", "result"],
    registers,
    collect() {
      this.reset();
      for (const { call, result, count } of engineCalls.all) this.inc({ call, result }, count);
    },
  });
  new Counter({
    name: "cless_requests_shed_total",
    help: "Requests that got 503 overloaded, by cause; those of lag and in_flight are in no other metric",
    labelNames: ["cause"],
    registers,
    collect() {
      this.reset();
      for (const [name, cause] of Object.entries(CAUSES)) this.inc({ cause }, shed[name as keyof typeof CAUSES]);
    },
  });
  new Gauge({
    name: "cless_lag_seconds",
    help: "How late cless itself is: what a request waits in it, without the app; 0 without requests",
    registers,
    collect() {
      this.set(lag.currentMs / 1000);
    },
  });
  new Gauge({
    name: "cless_lag_worst_seconds",
    help: "The greatest lag of the last minute",
    registers,
    collect() {
      this.set(lag.worstMs / 1000);
    },
  });
  new Gauge({
    name: "cless_store_bytes",
    help: "The size of the store on disk",
    registers,
    collect() {
      this.set(store.bytes);
    },
  });
}
