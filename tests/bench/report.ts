import type { ColdStart } from "./cold_start.ts";
import { type Herd, HERD_SIZE } from "./herd.ts";
import type { Contender, Turn } from "./rounds.ts";
import type { Sizes } from "./sizes.ts";
import { median, spread } from "./statistics.ts";
import { table } from "./table.ts";

const CPU_BAR = 1.2;
const COLD_BAR_MS = 25;
const HERD_BAR_MS = 1500;

/** Something that was found out about cless. */
export interface Finding {
  readonly what: string;
  readonly value: string;
  readonly spread?: string;
  readonly bar?: string;
  /** Whether it is as good as the bar; missing where there is none. */
  readonly met?: boolean;
  /** Whether the bar is about right answers, which do not depend on the machine. */
  readonly correctness?: boolean;
}

/** The table of the proxies under one kind of load. */
export function turnsTable(turns: ReadonlyMap<Contender, readonly Turn[]>): string {
  const rows = [...turns].map(([{ name }, played]) => {
    const all = (field: keyof Turn) => played.map((turn) => turn[field]);
    return [
      name,
      median(all("cpuMicros")).toFixed(1),
      median(all("ratio")).toFixed(2),
      spread(all("ratio"), 2),
      median(all("requestsPerSecond")).toFixed(0),
      median(all("p99Ms")).toFixed(2),
    ];
  });
  return table(["proxy", "CPU µs/request", "÷ floor", "min–max", "requests/s", "p99 ms"], rows);
}

/** What {@linkcode playRounds} tells of cless. */
export function cpuFinding(load: string, turns: readonly Turn[], bar?: number): Finding {
  const ratios = turns.map((turn) => turn.ratio);
  return {
    what: `${load}: CPU per request, cless ÷ floor`,
    value: median(ratios).toFixed(2),
    spread: spread(ratios, 2),
    ...(bar === undefined ? {} : { bar: `≤ ${bar}`, met: median(ratios) <= bar }),
  };
}

/** The finding for warm requests, which has a bar. */
export function warmFinding(turns: readonly Turn[]): Finding {
  return cpuFinding("warm GET", turns, CPU_BAR);
}

/** What {@linkcode coldStarts} tells. */
export function coldFindings(starts: readonly ColdStart[]): Finding[] {
  const summary = (what: string, ms: number[]) => ({
    what,
    value: `${median(ms).toFixed(0)} ms`,
    spread: spread(ms, 0),
  });
  const added = starts.map(({ cless, bare }) => cless - bare);
  return [
    summary("cold start through cless", starts.map(({ cless }) => cless)),
    summary("cold start, bare docker run -d and first answer", starts.map(({ bare }) => bare)),
    {
      ...summary(`cold start, what cless adds (${starts.length} pairs)`, added),
      bar: `≤ ${COLD_BAR_MS} ms`,
      met: median(added) <= COLD_BAR_MS,
    },
  ];
}

/** What {@linkcode herd} tells; of several, the worst. */
export function herdFindings(herds: readonly Herd[]): Finding[] {
  const of = `herd of ${HERD_SIZE} (${herds.length} times)`;
  const containers = herds.map((herd) => herd.containers);
  const failures = herds.map((herd) => herd.failures);
  const firstMs = herds.map((herd) => herd.firstMs);
  const spreadMs = herds.map((herd) => herd.spreadMs);
  const failure = herds.find((herd) => herd.failure !== undefined)?.failure;
  return [
    {
      what: `${of}: containers started`,
      value: `${Math.max(...containers)}`,
      spread: spread(containers, 0),
      bar: "1",
      met: containers.every((count) => count === 1),
      correctness: true,
    },
    {
      what: `${of}: failures${failure === undefined ? "" : ` (${failure})`}`,
      value: `${Math.max(...failures)}`,
      spread: spread(failures, 0),
      bar: "0",
      met: failures.every((count) => count === 0),
      correctness: true,
    },
    { what: `${of}: first answer`, value: `${median(firstMs).toFixed(0)} ms`, spread: spread(firstMs, 0) },
    {
      what: `${of}: from first to last answer`,
      value: `${median(spreadMs).toFixed(0)} ms`,
      spread: spread(spreadMs, 0),
      bar: `≤ ${HERD_BAR_MS} ms`,
      met: spreadMs.every((ms) => ms <= HERD_BAR_MS),
    },
  ];
}

/** What {@linkcode sizes} tells. */
export function sizesFindings({ startMs, idleMb, loadedMb, executableMb }: Sizes): Finding[] {
  return [
    { what: "start to /readyz", value: `${median(startMs).toFixed(0)} ms`, spread: spread(startMs, 0) },
    { what: "memory, idle with no service", value: `${idleMb.toFixed(0)} MB` },
    { what: "memory after warm load", value: `${loadedMb.toFixed(0)} MB` },
    {
      what: "size of ./cless",
      value: executableMb === undefined ? "not built (make build)" : `${executableMb.toFixed(1)} MB`,
    },
  ];
}

/** The table of what was found out about cless. */
export function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ what, value, spread = "", bar = "", met }) => [
    what,
    value,
    spread,
    bar,
    met === undefined ? "" : met ? "met" : "MISSED",
  ]);
  return table(["cless", "median", "min–max", "bar", ""], rows);
}
