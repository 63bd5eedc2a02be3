import { cpuUsage } from "node:process";
import { VERSION } from "../base/version.ts";
import { SERVICE_STATES, type ServiceStatus } from "../control/service_status.ts";
import type { InstanceState } from "../model/instance_state.ts";
import type { RevisionName } from "../model/revision.ts";
import type { Instance } from "../pool/instance.ts";
import type { Usage } from "../pool/launcher.ts";
import type { Distribution } from "./distribution.ts";
import { type Load, type Metrics, NONE, OTHER_SERVICE, type Owner } from "./metrics.ts";

const STATES: readonly InstanceState[] = ["starting", "ready", "paused", "hibernated", "draining"];
/** The values of the label `cause`. */
const CAUSES = { lag: "lag", inFlight: "in_flight", waiting: "waiting", descriptors: "descriptors" } as const;

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

type Labels = Readonly<Record<string, string | number>>;

/** Writes the series of a metric. */
type Write = (series: SeriesWriter) => void | Promise<void>;

/** A metric. */
interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  readonly write: Write;
}

/** The lines of a metric: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
class SeriesWriter {
  readonly #name: string;
  readonly #lines: string[];

  constructor({ help, name, type }: Family) {
    this.#name = name;
    this.#lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  }

  /** Adds a series of a counter or gauge. */
  add(value: number, labels: Labels = {}): void {
    this.#line("", textOf(labels), value);
  }

  /** Adds the series of a histogram. */
  addAll({ bounds, counts, sum }: Distribution, labels: Labels = {}): void {
    const text = textOf(labels);
    const after = text === "" ? "" : `,${text}`;
    let count = 0;
    counts.forEach((own, bucket) => {
      count += own;
      this.#line("_bucket", `le="${bounds[bucket] ?? "+Inf"}"${after}`, count);
    });
    this.#line("_sum", text, sum);
    this.#line("_count", text, count);
  }

  /** All lines. */
  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #line(suffix: string, labels: string, value: number): void {
    this.#lines.push(`${this.#name}${suffix}${labels === "" ? "" : `{${labels}}`} ${value}`);
  }
}

/**
 * All metrics in the text format of Prometheus. A revision that has no share of the requests, no tag and no instance any
 * more is there once more, with what was counted since the last time, and then its series are dropped. So are those of
 * an undeclared service whose image is gone.
 */
export async function prometheusText(metrics: Metrics, present: Present): Promise<string> {
  prune(metrics, present);
  const families = [
    ...ownerFamilies(metrics),
    ...storeFamilies(metrics),
    ...presentFamilies(metrics, present),
    ...metrics.load === undefined ? [] : loadFamilies(metrics.load),
    ...processFamilies(),
  ];
  const texts: string[] = [];
  for (const family of families) {
    const series = new SeriesWriter(family);
    await family.write(series);
    texts.push(series.text);
    // Requests go on after each metric, since a thousand services have a hundred thousand lines.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return texts.join("\n");
}

/** Drops the series of what is gone, and was gone at the last call. */
function prune(metrics: Metrics, { instances, pools, served, statuses }: Present): void {
  const revisions = new Set([NONE]);
  for (const { revision } of instances) revisions.add(revision.name);
  for (const { revision } of pools) revisions.add(revision.name);
  for (const { name } of served) revisions.add(name);
  const services = new Set([NONE, OTHER_SERVICE]);
  for (const { service } of statuses) services.add(service);
  metrics.prune(({ revision, service }) => !revisions.has(revision) || (revision === NONE && !services.has(service)));
}

/** What was counted and measured of revisions, and of requests and clients without one. */
function ownerFamilies(metrics: Metrics): Family[] {
  const ofEach = (write: (series: SeriesWriter, owner: Owner, labels: Labels) => void): Write => (series) => {
    for (const owner of metrics.owners) write(series, owner, labelsOf(owner));
  };
  return [
    counter(
      "cless_requests_total",
      "Requests that were answered; without a service if none was found, without a revision if none was chosen",
      ofEach((series, { codes }, labels) => codes.forEach((count, code) => series.add(count, { ...labels, code }))),
    ),
    histogram(
      "cless_request_duration_seconds",
      "From a request's arrival to its answer's headers",
      ofEach((series, { codes, durations }, labels) => codes.size > 0 && series.addAll(durations, labels)),
    ),
    counter(
      "cless_cold_starts_total",
      "Instances that were started and became ready",
      ofEach((series, { starts }, labels) => starts && series.add(starts.count, labels)),
    ),
    histogram(
      "cless_cold_start_seconds",
      "How long starts took: create until the container ran, ready from then on until it answered",
      ofEach((series, { starts }, labels) => {
        if (starts === undefined) return;
        for (const stage of ["create", "ready"] as const) series.addAll(starts[stage], { ...labels, stage });
      }),
    ),
    histogram(
      "cless_wake_seconds",
      "How long instances took to wake, by tier: cold for a start, resume from a pause, or hibernated",
      ofEach((series, { wakes }, labels) => wakes.forEach((times, tier) => series.addAll(times, { ...labels, tier }))),
    ),
    histogram(
      "cless_request_wait_seconds",
      "How long requests waited for an instance or a slot; only those that had to wait, and got one",
      ofEach((series, { waits }, labels) => waits && series.addAll(waits, labels)),
    ),
    counter(
      "cless_instance_failures_total",
      "Instances that did not become ready, or ended or stopped answering by themselves, by reason",
      ofEach((series, { broken }, labels) =>
        broken.forEach((count, reason) => series.add(count, { ...labels, reason }))
      ),
    ),
    counter(
      "cless_instance_restarts_total",
      "Instances that were started in place of one that had ended or stopped answering by itself",
      ofEach((series, { starts }, labels) => starts && series.add(starts.restarts, labels)),
    ),
    counter(
      "cless_clients_stopped_total",
      "Requests that were given up because the client stopped sending its body (upload) or reading its answer",
      ofEach((series, { service, stopped }) => stopped.forEach((count, what) => series.add(count, { service, what }))),
    ),
    gauge(
      "cless_stuck_client_connections",
      "Open connections of clients that stopped reading, and that cless has no right to close",
      (series) => series.add(metrics.stuck),
    ),
  ];
}

function storeFamilies({ storeErrors, storeWrites }: Metrics): Family[] {
  return [
    histogram(
      "cless_store_write_seconds",
      "How long changes of the store took until they were on disk",
      (series) => series.addAll(storeWrites),
    ),
    counter(
      "cless_store_errors_total",
      "Reads and writes of the store that have failed, such as because of a full disk",
      (series) => {
        for (const [what, count] of Object.entries(storeErrors)) series.add(count, { what });
      },
    ),
  ];
}

/** What there is now of instances, waiting requests and services. */
function presentFamilies(metrics: Metrics, { instances, pools, statuses, usages }: Present): Family[] {
  const ownerOf = ({ name, service }: RevisionName) => metrics.ownerOf(service, name);
  const byOwner = Map.groupBy(instances, ({ revision }) => ownerOf(revision));
  const ofEach = (write: (series: SeriesWriter, own: PresentInstance[], labels: Labels) => void): Write => (series) => {
    for (const [owner, own] of byOwner) write(series, own, labelsOf(owner));
  };
  return [
    gauge(
      "cless_instances",
      "Instances by state; nothing for a revision without instances",
      ofEach((series, own, labels) => {
        for (const state of STATES) {
          series.add(own.filter((instance) => instance.state === state).length, { ...labels, state });
        }
      }),
    ),
    gauge(
      "cless_requests_in_flight",
      "Requests that instances are answering; nothing for a revision without instances",
      ofEach((series, own, labels) => series.add(sumOf(own, ({ requests }) => requests), labels)),
    ),
    gauge(
      "cless_memory_bytes",
      "What instances use, by kind: ram or swap; nothing for a revision without instances",
      ofEach((series, own, labels) => {
        const used = own.flatMap(({ id }) => usages.get(id) ?? []);
        if (used.length === 0) return;
        series.add(sumOf(used, ({ bytes }) => bytes), { ...labels, kind: "ram" });
        series.add(sumOf(used, ({ swapBytes = 0 }) => swapBytes), { ...labels, kind: "swap" });
      }),
    ),
    gauge("cless_requests_pending", "Requests that wait for an instance or a slot", (series) => {
      for (const [owner, own] of Map.groupBy(pools, ({ revision }) => ownerOf(revision))) {
        series.add(sumOf(own, ({ waiting }) => waiting), labelsOf(owner));
      }
    }),
    gauge("cless_services", "Services by state", (series) => {
      for (const state of SERVICE_STATES) {
        series.add(statuses.filter((status) => status.state === state).length, { state });
      }
    }),
    gauge(
      "cless_service_state",
      "1 for the state that a service is in; services that are asleep have none",
      (series) => {
        // Most services sleep, and a series of its own for each would say nothing.
        const awake = statuses.filter(({ state }) => state !== "asleep");
        for (const [owner, own] of Map.groupBy(awake, ({ service }) => metrics.ownerOf(service))) {
          for (const [state, { length }] of Map.groupBy(own, ({ state }) => state)) {
            series.add(length, { service: owner.service, state });
          }
        }
      },
    ),
  ];
}

/** What cless itself has to do, and what that comes to. */
function loadFamilies({ accessLog, engineCalls, lag, shed, store }: Load): Family[] {
  const ofAccessLog = accessLog === undefined ? [] : [
    counter(
      "cless_access_log_lost_lines_total",
      "Lines that the access log could not take in time; there only with an access log",
      (series) => series.add(accessLog.lost),
    ),
  ];
  return [
    ...ofAccessLog,
    counter(
      "cless_engine_calls_total",
      "Calls of the container engine by their result: ok, or the kind of the failure",
      (series) => {
        for (const { call, count, result } of engineCalls.all) series.add(count, { call, result });
      },
    ),
    counter(
      "cless_requests_shed_total",
      "Requests that got 503 overloaded, by cause; those of lag and in_flight are in no other metric",
      (series) => {
        for (const [name, cause] of Object.entries(CAUSES)) series.add(shed[name as keyof typeof CAUSES], { cause });
      },
    ),
    gauge(
      "cless_lag_seconds",
      "How late cless itself is: what a request waits in it, without the app; 0 without requests",
      (series) => series.add(lag.currentMs / 1000),
    ),
    gauge(
      "cless_lag_worst_seconds",
      "The greatest lag of the last minute",
      (series) => series.add(lag.worstMs / 1000),
    ),
    gauge("cless_store_bytes", "The size of the store on disk", (series) => series.add(store.bytes)),
  ];
}

/** Metrics of the process under the usual names: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
function processFamilies(): Family[] {
  return [
    gauge("cless_build_info", "The version that runs", (series) => series.add(1, { version: VERSION })),
    counter(
      "process_cpu_seconds_total",
      "Processor time used, by the program and by the system for it",
      (series) => {
        const { system, user } = cpuUsage();
        series.add((user + system) / 1e6);
      },
    ),
    gauge(
      "process_start_time_seconds",
      "When the process was started, seconds since 1970",
      (series) => series.add(performance.timeOrigin / 1000),
    ),
    gauge("process_resident_memory_bytes", "Memory in use", (series) => series.add(Deno.memoryUsage().rss)),
    gauge(
      "process_heap_bytes",
      "Memory that JavaScript values take",
      (series) => series.add(Deno.memoryUsage().heapUsed),
    ),
    gauge("process_open_fds", "Open file descriptors; not known on every system", async (series) => {
      const count = await openFiles();
      if (count !== undefined) series.add(count);
    }),
  ];
}

async function openFiles(): Promise<number | undefined> {
  try {
    const names = await Array.fromAsync(Deno.readDir("/proc/self/fd"));
    return names.length - 1; // without the entry of the folder being listed
  } catch {
    return undefined;
  }
}

function counter(name: string, help: string, write: Write): Family {
  return { type: "counter", name, help, write };
}

function gauge(name: string, help: string, write: Write): Family {
  return { type: "gauge", name, help, write };
}

function histogram(name: string, help: string, write: Write): Family {
  return { type: "histogram", name, help, write };
}

function labelsOf({ revision, service }: Owner): Labels {
  return { service, revision };
}

function textOf(labels: Labels): string {
  return Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`).join();
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
