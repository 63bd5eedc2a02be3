import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "yaml";
import { Metrics } from "../../src/admin/metrics.ts";
import { type Present, prometheusText } from "../../src/admin/prometheus.ts";
import { Shed } from "../../src/proxy/admission.ts";
import { noRead, noWrite, readTest } from "../support/permissions.ts";
import { canCheck, promtool } from "../support/promtool.ts";

const RULES = "docs/alerts.yaml";

/** The text with every metric that there is. */
async function allMetrics(): Promise<string> {
  const revision = { name: "web-00001", service: "web" };
  const metrics = new Metrics({
    lag: { currentMs: 3, worstMs: 5 },
    shed: new Shed(),
    engineCalls: { all: [{ call: "pause", result: "away", count: 1 }] },
    accessLog: { lost: 0 },
    store: { bytes: 4096 },
  });
  metrics.requested("web", "web-00001", 200, 12);
  metrics.coldStart(revision, 200, 30);
  metrics.woken(revision, "cold", 230);
  metrics.waited(revision, 231);
  metrics.broke(revision, "out_of_memory");
  metrics.clientStopped("web", "upload");
  metrics.stuckClients(1);
  metrics.wrote(0.3);
  metrics.failed("write");
  return await prometheusText(metrics, {
    instances: [{ id: "one", requests: 1, state: "ready", revision }],
    pools: [{ revision, waiting: 1 }],
    served: [revision],
    statuses: [{ service: "web", state: "ready" }, { service: "shop", state: "asleep" }],
    usages: new Map([["one", { bytes: 1024, swapBytes: 2048 }]]),
  });
}

/** Nothing but what was counted. */
const NOTHING: Present = { instances: [], pools: [], statuses: [], served: [], usages: new Map() };

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
}

async function rules(): Promise<Rule[]> {
  const { groups } = parse(await Deno.readTextFile(RULES)) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

Deno.test({ name: "Prometheus' own tool finds no fault with the metrics", ignore: !canCheck }, async () => {
  assertEquals(await promtool(await allMetrics(), "check", "metrics"), { code: 0, said: "" });
});

readTest("the values of labels are escaped, whatever is in them", async () => {
  const metrics = new Metrics();
  metrics.clientStopped(undefined, 'a "quoted" C:\\path\nline');
  assertStringIncludes(
    await prometheusText(metrics, NOTHING),
    '\ncless_clients_stopped_total{service="",what="a \\"quoted\\" C:\\\\path\\nline"} 1\n',
  );
});

Deno.test(
  { name: "Prometheus' own tool finds no fault with the alert rules", ignore: !canCheck || noRead },
  async () => {
    const { code, said } = await promtool("", "check", "rules", "--lint-fatal", RULES);
    assertEquals(code, 0, said);
    assertStringIncludes(said, `SUCCESS: ${(await rules()).length} rules found`);
  },
);

/** Series of ten minutes and more, and whether an alert fires then. */
const CASES: [alert: string, series: Record<string, string>, labels: Record<string, string> | undefined][] = [
  ["ClessServiceFails", { 'cless_service_state{service="web",state="failing"}': "1x30" }, {
    ...{ service: "web", state: "failing" },
  }],
  ["ClessServiceFails", { 'cless_service_state{service="web",state="failing"}': "0x28 1x2" }, undefined],
  ["ClessServiceFails", { 'cless_service_state{service="web",state="ready"}': "1x30" }, undefined],
  ["ClessServiceRestarts", {
    'cless_instance_restarts_total{service="web",revision="web-00001"}': "0x10 1 2 2x18",
    'cless_instance_restarts_total{service="web",revision="web-00002"}': "0x20 1 2 3 3x8",
  }, { service: "web" }],
  ["ClessServiceRestarts", {
    'cless_instance_restarts_total{service="web",revision="web-00001"}': "0x10 1x20",
  }, undefined],
  ["ClessServiceErrors", {
    'cless_requests_total{service="web",code="200"}': "0+90x30",
    'cless_requests_total{service="web",code="502"}': "0+10x30",
    'cless_requests_total{service="shop",code="200"}': "0+990x30",
    'cless_requests_total{service="shop",code="502"}': "0+10x30",
  }, { service: "web" }],
  ["ClessServiceErrors", { 'cless_requests_total{service="",code="503"}': "0+10x30" }, undefined],
  ["ClessServiceErrors", { 'cless_requests_total{service="web",code="502"}': "0x28 1 2" }, undefined],
  ["ClessRequestsWait", { 'cless_requests_pending{service="web"}': "200x30" }, { service: "web" }],
  ["ClessRequestsWait", { 'cless_requests_pending{service="web"}': "0x28 200x2" }, undefined],
  ["ClessSlowStarts", {
    'cless_wake_seconds_bucket{service="web",tier="cold",le="10"}': "0x30",
    'cless_wake_seconds_bucket{service="web",tier="cold",le="30"}': "0+1x30",
    'cless_wake_seconds_bucket{service="web",tier="cold",le="+Inf"}': "0+1x30",
  }, { service: "web" }],
  ["ClessDown", { 'up{job="cless",instance="a:1"}': "1x20 0x10" }, { job: "cless", instance: "a:1" }],
  ["ClessOverloaded", { 'cless_requests_shed_total{instance="a:1",cause="lag"}': "0+600x30" }, {
    ...{ instance: "a:1", cause: "lag" },
  }],
  ["ClessEngineAway", { 'cless_engine_calls_total{instance="a:1",call="pause",result="away"}': "0+1x30" }, {
    instance: "a:1",
  }],
  [
    "ClessEngineAway",
    { 'cless_engine_calls_total{instance="a:1",call="pause",result="already"}': "0+1x30" },
    undefined,
  ],
  ["ClessStoreFails", { 'cless_store_errors_total{instance="a:1",what="write"}': "0x25 1x5" }, { instance: "a:1" }],
  ["ClessStoreFails", { 'cless_store_errors_total{instance="a:1",what="write"}': "3x30" }, undefined],
  ["ClessSlow", { 'cless_lag_seconds{instance="a:1"}': "0.3x30" }, { instance: "a:1" }],
  ["ClessStoreFails", { 'cless_store_errors_total{instance="a:1",what="write"}': "0x25 1x5" }, { instance: "a:1" }],
  ["ClessStoreFails", { 'cless_store_errors_total{instance="a:1",what="write"}': "3x30" }, undefined],
  ["ClessSlow", { 'cless_lag_seconds{instance="a:1"}': "0x29 0.3" }, undefined],
  ["ClessRestarts", { 'process_start_time_seconds{job="cless",instance="a:1"}': "0+1x30" }, {
    ...{ job: "cless", instance: "a:1" },
  }],
];

Deno.test({
  name: "each alert fires in the case that it is for, and not in a harmless one",
  ignore: !canCheck || noRead || noWrite,
  fn: async () => {
    assertEquals(new Set(CASES.map(([alert]) => alert)), new Set((await rules()).map(({ alert }) => alert)));
    const path = await Deno.makeTempFile({ prefix: "alerts-", suffix: ".yaml" });
    const tests = CASES.map(([alertname, series, labels]) => ({
      interval: "1m",
      input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
      alert_rule_test: [{
        alertname,
        eval_time: "30m",
        exp_alerts: labels === undefined ? [] : [{ exp_labels: labels }],
      }],
    }));
    try {
      // Only whether an alert fires, and for what, is compared; not what it says.
      const bare = (await rules()).map(({ alert, expr, for: lasting = "0s" }) => ({ alert, expr, for: lasting }));
      await Deno.writeTextFile(`${path}.rules`, JSON.stringify({ groups: [{ name: "all", rules: bare }] }));
      await Deno.writeTextFile(
        path,
        JSON.stringify({ rule_files: [`${path}.rules`], evaluation_interval: "1m", tests }),
      );
      const { code, said } = await promtool("", "test", "rules", path);
      assertEquals(code, 0, said);
    } finally {
      await Deno.remove(path);
      await Deno.remove(`${path}.rules`);
    }
  },
});

Deno.test({ name: "the alert rules name no metric that cless does not have", ignore: noRead }, async () => {
  const text = await allMetrics();
  const series = new Set(Array.from(text.matchAll(/^(\w+)[{ ]/gm), ([, name]) => name!));
  for (const { alert, expr } of await rules()) {
    const named = expr.match(/\b(cless|process)_\w+/g) ?? [];
    assert(named.length > 0 || expr.startsWith("up{"), alert);
    assertEquals(named.filter((name) => !series.has(name)), [], alert);
  }
});

Deno.test({ name: "the reference lists each metric with its labels, and no other", ignore: noRead }, async () => {
  const reference = await Deno.readTextFile("docs/reference.md");
  const listed = Array.from(
    reference.matchAll(/^\| `(cless_\w+)(?:\{([\w,]+)\})?` /gm),
    ([, name, labels = ""]) => `${name} ${labels}`,
  );
  const own = new Map<string, string>();
  for (const [, series, labels = ""] of (await allMetrics()).matchAll(/^(cless_\w+)(?:\{(.*)\})? /gm)) {
    const names = Array.from(labels.matchAll(/(\w+)="/g), ([, label]) => label!).filter((label) => label !== "le");
    own.set(series!.replace(/_(bucket|sum|count)$/, ""), names.join());
  }
  assertEquals(listed.sort(), Array.from(own, ([name, labels]) => `${name} ${labels}`).sort());
});
