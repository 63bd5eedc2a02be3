import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Metrics } from "../../src/admin/metrics.ts";
import { prometheusText, type StatedService } from "../../src/admin/prometheus.ts";
import type { RevisionName } from "../../src/model/revision.ts";
import { Instance } from "../../src/pool/instance.ts";
import type { Usage } from "../../src/pool/launcher.ts";
import type { Breakage } from "../../src/pool/observer.ts";
import { newKit } from "../support/kit.ts";
import { readTest } from "../support/permissions.ts";

const BREAKAGES: readonly Breakage[] = [
  ...["start_failed", "start_timeout", "ended", "out_of_memory", "hung", "unanswered"] as const,
];

const NOTHING = { instances: [], pools: [], statuses: [], served: [], usages: new Map() };
const WEB = { name: "web-1", service: "web" };

/** Metrics, with instances, waiting requests and states of services that a test sets. */
function newMetrics() {
  const { fleet, clock, newPool } = newKit();
  const pending = new Map<string, number>();
  const statuses = new Map<string, StatedService["state"]>();
  const served = new Set([WEB]);
  const metrics = new Metrics();
  const usages = new Map<string, Usage>();
  const text = () => {
    const pools = [...pending].map(([service, waiting]) => ({ revision: { name: `${service}-1`, service }, waiting }));
    const stated = Array.from(statuses, ([service, state]) => ({ service, state }));
    return prometheusText(metrics, { instances: fleet.instances(), pools, statuses: stated, served, usages });
  };
  const addInstance = (id: string) => {
    const pool = newPool();
    const instance = new Instance(id, pool.revision, clock);
    fleet.add(instance, pool);
    return instance;
  };
  return { metrics, text, pending, statuses, served, usages, addInstance, read: async () => valuesOf(await text()) };
}

/** The values in the text by their names with labels. */
function valuesOf(text: string): Record<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => {
    const end = line.lastIndexOf(" ");
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

readTest("requests are counted by service and code, and measured", async () => {
  const { metrics, read, text } = newMetrics();
  metrics.requested("web", "web-1", 200, 12);
  metrics.requested("web", "web-1", 200, 3);
  await text();
  metrics.requested("web", "web-1", 503, 40_000);
  metrics.requested(undefined, undefined, 404, 1);
  const values = await read();
  assertEquals(values['cless_requests_total{service="web",revision="web-1",code="200"}'], 2);
  assertEquals(values['cless_requests_total{service="web",revision="web-1",code="503"}'], 1);
  assertEquals(values['cless_requests_total{service="",revision="",code="404"}'], 1);
  assertEquals(values['cless_request_duration_seconds_count{service="web",revision="web-1"}'], 3);
  assertEquals(values['cless_request_duration_seconds_sum{service="web",revision="web-1"}'], 40.015);
  assertEquals(values['cless_request_duration_seconds_bucket{le="0.005",service="web",revision="web-1"}'], 1);
});

readTest("cold starts are counted and measured by their stages", async () => {
  const { metrics, read } = newMetrics();
  metrics.coldStart(WEB, 200, 30);
  metrics.coldStart(WEB, 400, 50);
  const values = await read();
  assertEquals(values['cless_cold_starts_total{service="web",revision="web-1"}'], 2);
  assertEquals(
    values['cless_cold_start_seconds_sum{service="web",revision="web-1",stage="create"}']?.toFixed(3),
    "0.600",
  );
  assertEquals(
    values['cless_cold_start_seconds_sum{service="web",revision="web-1",stage="ready"}']?.toFixed(3),
    "0.080",
  );
});

readTest(
  "wakes are measured by their tier, waiting requests by their time, and failures counted by reason",
  async () => {
    const { metrics, read } = newMetrics();
    metrics.woken(WEB, "cold", 230);
    metrics.woken(WEB, "resume", 2);
    metrics.woken(WEB, "resume", 3);
    metrics.waited(WEB, 40);
    metrics.broke(WEB, "out_of_memory");
    metrics.broke(WEB, "out_of_memory");
    metrics.broke(WEB, "start_timeout");
    const values = await read();
    assertEquals(values['cless_wake_seconds_count{service="web",revision="web-1",tier="cold"}'], 1);
    assertEquals(values['cless_wake_seconds_sum{service="web",revision="web-1",tier="resume"}'], 0.005);
    assertEquals(values['cless_wake_seconds_bucket{le="0.0025",service="web",revision="web-1",tier="resume"}'], 1);
    assertEquals(values['cless_request_wait_seconds_sum{service="web",revision="web-1"}'], 0.04);
    assertEquals(values['cless_instance_failures_total{service="web",revision="web-1",reason="out_of_memory"}'], 2);
    assertEquals(values['cless_instance_failures_total{service="web",revision="web-1",reason="start_timeout"}'], 1);
  },
);

readTest(
  "instances, their requests, their memory and waiting requests are counted when the metrics are read",
  async () => {
    const { addInstance, usages, pending, read } = newMetrics();
    const [one, two] = [addInstance("one"), addInstance("two")];
    one.become("ready");
    const lease = one.claim();
    pending.set("web", 5);
    const { name, service } = one.revision;
    usages.set("one", { bytes: 4096 }).set("two", { bytes: 1000, swapBytes: 24 }).set("gone", { bytes: 5 });
    let values = await read();
    const of = (metric: string, label: string) =>
      values[`cless_${metric}{service="${service}",revision="${name}"${label && `,${label}`}}`];
    const states = () => ["ready", "starting", "paused"].map((state) => of("instances", `state="${state}"`));
    assertEquals(states(), [1, 1, 0]);
    assertEquals(of("requests_in_flight", ""), 1);
    assertEquals([of("memory_bytes", 'kind="ram"'), of("memory_bytes", 'kind="swap"')], [5096, 24]);
    assertEquals(values['cless_requests_pending{service="web",revision="web-1"}'], 5);
    lease.release();
    for (const instance of [one, two]) instance.become("stopped");
    pending.clear();
    values = await read();
    assertEquals(states(), [undefined, undefined, undefined]);
    assertEquals([of("memory_bytes", 'kind="ram"'), of("requests_in_flight", "")], [undefined, undefined]);
    assertEquals(values['cless_requests_pending{service="web",revision="web-1"}'], undefined);
  },
);

readTest("a start after an instance has ended by itself is a restart, one after a failed start is none", async () => {
  const { metrics, read } = newMetrics();
  const restarts = async () => (await read())['cless_instance_restarts_total{service="web",revision="web-1"}'];
  metrics.broke(WEB, "start_failed");
  metrics.coldStart(WEB, 1, 1);
  assertEquals(await restarts(), 0);
  for (const how of ["hung", "out_of_memory"] as const) metrics.broke(WEB, how);
  for (let starts = 0; starts < 3; starts++) metrics.coldStart(WEB, 1, 1);
  assertEquals(await restarts(), 2);
});

readTest("changes of the store are measured, its errors counted from 0, and its size read", async () => {
  const { metrics, read } = newMetrics();
  assertEquals((await read())['cless_store_errors_total{what="read"}'], 0);
  metrics.wrote(2);
  metrics.failed("write");
  const values = await read();
  assertEquals([values.cless_store_write_seconds_count, values.cless_store_write_seconds_sum], [1, 0.002]);
  assertEquals(values['cless_store_errors_total{what="write"}'], 1);
});

/** Counts something of each kind for a revision, and for its service. */
function note(metrics: Metrics, revision: RevisionName): void {
  const { name, service } = revision;
  for (const status of [200, 503, 999]) metrics.requested(service, name, status, 1);
  metrics.requested(service, undefined, 401, 1);
  metrics.coldStart(revision, 1, 1);
  for (const how of ["cold", "resume", "hibernated"] as const) metrics.woken(revision, how, 1);
  metrics.waited(revision, 1);
  for (const how of BREAKAGES) metrics.broke(revision, how);
  for (const what of ["upload", "answer", "websocket"]) metrics.clientStopped(service, what);
}

const labelled = (values: Record<string, number>, label: string) =>
  Object.keys(values).filter((name) => name.includes(label));

readTest("the series of a removed service are dropped, those of all its revisions too", async () => {
  const { metrics, read } = newMetrics();
  for (const name of ["web-1", "web-2"]) note(metrics, { name, service: "web" });
  note(metrics, { name: "shop-1", service: "shop" });
  metrics.forget("web");
  metrics.forget("nosuch");
  const values = await read();
  assertEquals(labelled(values, 'service="web"'), []);
  assert(labelled(values, 'service="shop"').length > 0);
  metrics.requested("web", "web-1", 200, 1);
  assertEquals((await read())['cless_requests_total{service="web",revision="web-1",code="200"}'], 1);
});

readTest(
  "the series of a revision without a share, tag or instance are there once more, and then dropped",
  async () => {
    const { addInstance, metrics, read, served, statuses } = newMetrics();
    statuses.set("web", "ready");
    const next = { name: "web-2", service: "web" };
    const { revision: running } = addInstance("one"); // as while it drains
    for (const revision of [WEB, next, running]) note(metrics, revision);
    await read();
    served.clear();
    served.add(next);
    metrics.requested("web", WEB.name, 200, 1);
    assertEquals((await read())['cless_requests_total{service="web",revision="web-1",code="200"}'], 2);
    const values = await read();
    assertEquals(labelled(values, 'revision="web-1"'), []);
    for (const { name } of [next, running]) assert(labelled(values, `revision="${name}"`).length > 0, name);
    assertEquals(values['cless_requests_total{service="web",revision="",code="401"}'], 2);
  },
);

readTest("a revision that is served again before the next look keeps what was counted", async () => {
  const { metrics, read, served } = newMetrics();
  note(metrics, WEB);
  served.clear();
  await read();
  served.add(WEB);
  await read();
  served.clear();
  assert(labelled(await read(), 'revision="web-1"').length > 0);
});

readTest("the series of an undeclared service whose image is gone are dropped like those of its revision", async () => {
  const { metrics, read, served, statuses } = newMetrics();
  const found = { name: "blog-0123456789ab", service: "blog" };
  served.add(found);
  statuses.set("blog", "asleep");
  note(metrics, found);
  for (let looks = 0; looks < 3; looks++) {
    assertEquals((await read())['cless_requests_total{service="blog",revision="",code="401"}'], 1);
  }
  served.delete(found);
  statuses.delete("blog");
  assert(labelled(await read(), 'service="blog"').length > 0);
  assertEquals(labelled(await read(), 'service="blog"'), []);
});

readTest("at most 2,000 revisions have series of their own, and a free place is taken by the next", async () => {
  const { metrics, pending, read, served, text } = newMetrics();
  await text();
  served.clear();
  for (let number = 0; number < 2500; number++) {
    const revision = { name: `s${number}-1`, service: `s${number}` };
    served.add(revision);
    metrics.requested(revision.service, revision.name, 200, 1);
    metrics.coldStart(revision, 1, 1);
    pending.set(revision.service, 1);
  }
  let values = await read();
  const services = new Set(Object.keys(values).flatMap((name) => /service="([^"]*)"/.exec(name)?.[1] ?? []));
  assertEquals(services.size, 2001);
  assertEquals(values['cless_requests_total{service="_other",revision="",code="200"}'], 500);
  assertEquals(values['cless_requests_pending{service="_other",revision=""}'], 500);
  pending.clear();
  metrics.forget("s0");
  metrics.forget("s2400");
  metrics.forget("_other");
  metrics.requested("s2400", "s2400-1", 200, 1);
  values = await read();
  assertEquals(values['cless_requests_total{service="s2400",revision="s2400-1",code="200"}'], 1);
  assertEquals(values['cless_requests_total{service="_other",revision="",code="200"}'], 500);
});

readTest(
  "services are counted by state, and those that do not sleep have a series for their present state",
  async () => {
    const { read, statuses } = newMetrics();
    statuses.set("web", "failing").set("shop", "asleep").set("blog", "asleep");
    let values = await read();
    assertEquals(values['cless_service_state{service="web",state="failing"}'], 1);
    assertEquals([values['cless_services{state="failing"}'], values['cless_services{state="asleep"}']], [1, 2]);
    assertEquals(values['cless_services{state="deploying"}'], 0);
    assertEquals(Object.keys(values).filter((name) => name.includes('"shop"')), []);
    statuses.set("web", "ready");
    values = await read();
    assertEquals(Object.keys(values).filter((name) => name.startsWith("cless_service_state{")), [
      'cless_service_state{service="web",state="ready"}',
    ]);
    for (let service = 0; service < 2500; service++) statuses.set(`s${service}`, "paused");
    values = await read();
    assertEquals(Object.keys(values).filter((name) => name.startsWith("cless_service_state{")).length, 2001);
    assertEquals(values['cless_service_state{service="_other",state="paused"}'], 501);
    assertEquals(values['cless_services{state="paused"}'], 2500);
  },
);

readTest("while the metrics are written, other work has its turn after each of them", async () => {
  const { text } = newMetrics();
  const families = (await text()).match(/^# TYPE /gm)!.length; // the library is loaded now
  const reading = text();
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await reading;
  clearInterval(timer);
  assert(turns > families / 3, `${turns} turns`);
});

readTest("the number of codes is bounded, whatever an app answers with", async () => {
  const { metrics, read } = newMetrics();
  for (let code = 100; code < 1000; code++) metrics.requested("web", "web-1", code, 1);
  const codes = Object.keys(await read()).filter((name) => name.startsWith("cless_requests_total{"));
  assertEquals(codes.length, 41);
  assertEquals((await read())['cless_requests_total{service="web",revision="web-1",code="other"}'], 860);
});

readTest("the metrics of the process and its version are there", async () => {
  const { read, text: readText } = newMetrics();
  const values = await read();
  assert(values.process_resident_memory_bytes! > 1e6);
  assert(values.process_cpu_seconds_total! > 0);
  assert(Math.abs(values.process_start_time_seconds! - Date.now() / 1000) < 3600);
  assert(Object.keys(values).some((name) => /^cless_build_info\{version="\d+\.\d+\.\d+"\}$/.test(name)));
  const text = await readText();
  for (const name of Object.keys(values)) {
    const family = name.replace(/\{.*/, "").replace(/_(bucket|sum|count)$/, "");
    assertMatch(text, new RegExp(`^# HELP ${family} `, "m"));
    assertMatch(text, new RegExp(`^# TYPE ${family} (counter|gauge|histogram)$`, "m"));
  }
  assertStringIncludes(text, "cless_instances");
});

readTest("two programs in one process do not share their metrics", async () => {
  const [one, two] = [newMetrics(), newMetrics()];
  one.metrics.requested("web", "web-1", 200, 1);
  assert('cless_requests_total{service="web",revision="web-1",code="200"}' in await one.read());
  assert(!('cless_requests_total{service="web",revision="web-1",code="200"}' in await two.read()));
});

readTest("refused requests are counted by cause, and the lag of cless itself can be read", async () => {
  const engineCalls = { all: [{ call: "pause", result: "away", count: 7 }] };
  const shedCounts = { lag: 4, inFlight: 3, waiting: 2, descriptors: 1 };
  const store = { bytes: 8192 };
  const load = {
    lag: { currentMs: 1500, worstMs: 2500 },
    shed: shedCounts,
    engineCalls,
    accessLog: { lost: 3 },
    store,
  };
  const metrics = new Metrics(load);
  const read = async () => valuesOf(await prometheusText(metrics, NOTHING));
  const shed = await read();
  const of = (cause: string) => shed[`cless_requests_shed_total{cause="${cause}"}`];
  assertEquals(["lag", "in_flight", "waiting", "descriptors"].map(of), [4, 3, 2, 1]);
  assertEquals([shed.cless_lag_seconds, shed.cless_lag_worst_seconds, shed.cless_store_bytes], [1.5, 2.5, 8192]);
  assertEquals(shed['cless_engine_calls_total{call="pause",result="away"}'], 7);
  assertEquals(shed.cless_access_log_lost_lines_total, 3);
  load.lag.currentMs = 0;
  load.shed.lag = 5;
  const later = await read();
  assertEquals([later.cless_lag_seconds, later['cless_requests_shed_total{cause="lag"}']], [0, 5]);
});

readTest("clients that have stopped are counted, and those whose connections are still open", async () => {
  const { metrics, read } = newMetrics();
  metrics.clientStopped("web", "upload");
  metrics.clientStopped("web", "answer");
  metrics.clientStopped("web", "answer");
  metrics.stuckClients(2);
  metrics.stuckClients(1);
  const values = await read();
  assertEquals(values['cless_clients_stopped_total{service="web",what="upload"}'], 1);
  assertEquals(values['cless_clients_stopped_total{service="web",what="answer"}'], 2);
  assertEquals(values["cless_stuck_client_connections"], 1);
  metrics.forget("web");
  assertEquals((await read())['cless_clients_stopped_total{service="web",what="answer"}'], undefined);
});
