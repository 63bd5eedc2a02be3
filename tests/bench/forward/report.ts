import { type Contender, EXACT, FETCH } from "./contenders.ts";
import type { Finding } from "../support/finding.ts";
import { bodyBytes, type Load, MB } from "./loads.ts";
import { FLOOR } from "./peers.ts";
import type { Played, Turn } from "./rounds.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";

/** What all proxies did under one load. */
export interface LoadResult {
  readonly load: Load;
  readonly played: ReadonlyMap<Contender, Played>;
}

/** From that size of a body on the requests are too few, and too long, for a percentile. */
const HUGE = 100 * MB;

/** One table of all loads, with the proxies as rows. */
export function overviewTable(results: readonly LoadResult[]): string {
  const contenders = [...results[0]?.played.keys() ?? []];
  const rows = contenders.map(({ id, name }) => [
    name,
    ...results.map((result) => median(ratios(result, "cpuMicros", id, FLOOR.id)).toFixed(2)),
  ]);
  return table(["CPU per request ÷ floor", ...results.map(({ load }) => load.id)], rows);
}

/** The table of one load, under its title. */
export function loadTable(result: LoadResult): string {
  const { load, played } = result;
  const huge = bodyBytes(load) >= HUGE;
  const columns: [head: string, cell: (contender: Contender, played: Played) => string][] = [
    [`CPU ${huge ? "ms" : "µs"}/request`, (_, { turns }) => medianOf(turns, "cpuMicros", huge ? 0.001 : 1).toFixed(1)],
    ["÷ floor", ({ id }) => median(ratios(result, "cpuMicros", id, FLOOR.id)).toFixed(2)],
    ["min–max", ({ id }) => spread(ratios(result, "cpuMicros", id, FLOOR.id), 2)],
    ["requests/s", (_, { turns }) => medianOf(turns, "requestsPerSecond").toFixed(huge ? 1 : 0)],
  ];
  if (!huge) columns.push(["p99 ms", (_, { turns }) => medianOf(turns, "p99Ms").toFixed(2)]);
  if (bodyBytes(load) >= MB) {
    columns.push(["MB/s", (_, { turns }) => medianOf(turns, "requestsPerSecond", bodyBytes(load) / MB).toFixed(0)]);
  }
  if (huge) {
    columns.push(["MB in memory before", (_, { beforeMb }) => beforeMb.toFixed(0)]);
    columns.push(["highest", (_, { turns }) => highest(turns).toFixed(0)]);
  }
  const rows = [...played].map(([contender, played]) => [
    contender.name,
    ...columns.map(([, cell]) => cell(contender, played)),
  ]);
  return `**${load.id}**: ${load.title}\n\n${table(["proxy", ...columns.map(([head]) => head)], rows)}`;
}

/** What a load tells of cless; what would be held against a peer that did not play is left out. */
export function forwardFindings(result: LoadResult): Finding[] {
  const { bars, id } = result.load;
  const exact = playedOf(result, EXACT);
  const caddy = playedOf(result, "caddy");
  const findings: Finding[] = [];
  if (bars.exact !== undefined) {
    const times = ratios(result, "cpuMicros", EXACT, FLOOR.id);
    findings.push(ratioFinding(`${id}: CPU per request, exact ÷ floor`, times, bars.exact));
  }
  if (bars.haproxyAim !== undefined && playedOf(result, "haproxy") !== undefined) {
    const what = `${id}: CPU per request, exact ÷ HAProxy`;
    const times = ratios(result, "cpuMicros", EXACT, "haproxy");
    findings.push({ ...ratioFinding(what, times), bar: `aim: ≤ ${bars.haproxyAim}` });
  }
  if (playedOf(result, FETCH) !== undefined && bars.fetch !== undefined) {
    const times = ratios(result, "cpuMicros", FETCH, FLOOR.id);
    findings.push(ratioFinding(`${id}: CPU per request, fetch ÷ floor`, times, bars.fetch));
  }
  if (bars.p99 && exact !== undefined && caddy !== undefined) {
    const [ours, theirs] = [medianOf(exact.turns, "p99Ms"), medianOf(caddy.turns, "p99Ms")];
    findings.push({
      what: `${id}: p99, exact; the bar is Caddy's`,
      value: `${ours.toFixed(2)} ms`,
      spread: spread(exact.turns.map(({ p99Ms }) => p99Ms), 2),
      bar: `≤ ${theirs.toFixed(2)} ms`,
      met: ours <= theirs,
    });
  }
  if (bars.throughput !== undefined && caddy !== undefined) {
    const times = ratios(result, "requestsPerSecond", EXACT, "caddy");
    findings.push({
      ...ratioFinding(`${id}: MB/s, exact ÷ Caddy`, times),
      bar: `≥ ${bars.throughput}`,
      met: median(times) >= bars.throughput,
    });
  }
  if (bars.grownMb !== undefined && exact !== undefined) {
    // The worst round counts: a proxy that keeps what it passes on grows from one to the next.
    const grownMb = highest(exact.turns) - exact.beforeMb;
    findings.push({
      what: `${id}: memory, exact, highest in any round − before the load`,
      value: `${grownMb.toFixed(0)} MB`,
      bar: `≤ ${bars.grownMb} MB`,
      met: grownMb <= bars.grownMb,
    });
  }
  return findings;
}

function ratioFinding(what: string, times: readonly number[], bar?: number): Finding {
  return {
    what,
    value: median(times).toFixed(2),
    spread: spread(times, 2),
    ...(bar === undefined ? {} : { bar: `≤ ${bar}`, met: median(times) <= bar }),
  };
}

/** What one proxy has divided by what another one has in the same round, for each round. */
function ratios(result: LoadResult, field: keyof Turn, id: string, toId: string): number[] {
  const [turns, others] = [playedOf(result, id)!.turns, playedOf(result, toId)!.turns];
  return turns.map((turn, round) => turn[field] / others[round]![field]);
}

function playedOf({ played }: LoadResult, id: string): Played | undefined {
  return [...played].find(([contender]) => contender.id === id)?.[1];
}

/** The median over the rounds, times a scale: 0.001 makes ms of µs. */
function medianOf(turns: readonly Turn[], field: keyof Turn, scale = 1): number {
  return median(turns.map((turn) => turn[field])) * scale;
}

function highest(turns: readonly Turn[]): number {
  return Math.max(...turns.map(({ highestMb }) => highestMb));
}
