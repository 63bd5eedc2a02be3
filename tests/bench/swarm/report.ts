import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import type { ColdPair } from "./cold.ts";
import type { Quiet } from "./quiet.ts";
import type { RequestCost, RequestCosts, Way } from "./requests.ts";
import type { SwarmFigures } from "./swarm.ts";

/** What several machines may cost. */
const BARS = {
  coldMs: { one: 750, three: 1200 },
  /** A cold start through cless ÷ the same by Swarm's API. */
  cold: 1.15,
  /** CPU per request to another machine's instance ÷ that on one machine. Rounds differ by more than that. */
  request: 1.05,
  startMs: 2000,
  /** CPU per request with many services ÷ with few. */
  many: 1.05,
};

/** What the measurements tell. */
export function swarmFindings(figures: SwarmFigures): Finding[] {
  const { declareMs, few, follower, leader, many, one, plainStartMs, quiet, services, startMs } = figures;
  const base = median(ratios(few, "other"));
  const growth = ratios(many, "other").map((ratio) => ratio / base);
  return [
    ...coldFindings("one manager", one, BARS.coldMs.one),
    ...coldFindings("three managers, by their leader", leader, BARS.coldMs.three),
    ...coldFindings("three managers, by another one", follower, BARS.coldMs.three),
    {
      ...requestFinding("another machine's instance", few, "other"),
      bar: `≤ ${BARS.request}`,
      met: median(ratios(few, "other")) <= BARS.request,
    },
    requestFinding("another machine's instance, in user mode", few, "other", "user"),
    {
      what: `${services} services ÷ few: CPU per warm request to another machine's instance`,
      value: `${median(growth).toFixed(3)} (${median(ratios(many, "other")).toFixed(3)} ÷ ${base.toFixed(3)})`,
      spread: spread(growth, 3),
      bar: `≤ ${BARS.many}`,
      met: median(growth) <= BARS.many,
    },
    requestFinding("an instance of the machine itself", few, "own"),
    {
      ...valueOf(`${services} services: start of a cless`, startMs, "ms", 0),
      bar: `≤ ${BARS.startMs} ms`,
      met: median(startMs) <= BARS.startMs,
    },
    valueOf("without a Swarm: start of a cless", plainStartMs, "ms", 0),
    { what: `${services} services: one declared, of eight at once`, value: `${declareMs.toFixed(1)} ms` },
    ...quietFindings("few services", quiet.few),
    ...quietFindings(`${services} services`, quiet.many),
  ];
}

function coldFindings(how: string, pairs: readonly ColdPair[], barMs: number): Finding[] {
  const [cless, bare] = [pairs.map(({ cless }) => cless), pairs.map(({ bare }) => bare)];
  const ratio = pairs.map(({ bare, cless }) => cless / bare);
  return [
    { ...valueOf(`cold start, ${how}`, cless, "ms", 0), bar: `≤ ${barMs} ms`, met: median(cless) <= barMs },
    valueOf(`cold start, ${how}: by Swarm's API alone`, bare, "ms", 0),
    {
      what: `cold start, ${how}: ÷ by Swarm's API alone (${pairs.length} pairs)`,
      value: median(ratio).toFixed(2),
      spread: spread(ratio, 2),
      bar: `≤ ${BARS.cold}`,
      met: median(ratio) <= BARS.cold,
    },
  ];
}

function requestFinding(what: string, costs: RequestCosts, way: Way, part: keyof RequestCost = "all"): Finding {
  const all = ratios(costs, way, part);
  const micros = (way: Way) => median(costs[way].map((cost) => cost[part])).toFixed(1);
  return {
    what: `CPU per warm request to ${what} ÷ with one machine`,
    value: `${median(all).toFixed(3)} (${micros(way)} µs ÷ ${micros("plain")} µs)`,
    spread: spread(all, 3),
  };
}

/** Within each round. */
function ratios(costs: RequestCosts, way: Way, part: keyof RequestCost = "all"): number[] {
  return costs[way].map((cost, round) => cost[part] / costs.plain[round]![part]);
}

function quietFindings(when: string, nodes: readonly Quiet[]): Finding[] {
  const each = (what: string, field: keyof Quiet, unit: string, divisor: number) =>
    valueOf(`${when}, idle: ${what}, each node`, nodes.map((node) => node[field] / divisor), unit, 2);
  return [
    each("sent", "sentBytes", "KB/s", 1024),
    each("CPU of cless", "clessMicros", "ms/s", 1000),
    each("CPU of the engine", "engineMicros", "ms/s", 1000),
  ];
}

function valueOf(what: string, values: readonly number[], unit: string, digits: number): Finding {
  return { what, value: `${median(values).toFixed(digits)} ${unit}`, spread: spread(values, digits) };
}
