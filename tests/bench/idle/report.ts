import type { Peer } from "../forward/peers.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import type { Starts } from "./starts.ts";
import type { Idleness, Idler } from "./windows.ts";

const BARS = { memoryMb: 90, startMs: 300, pausedCpu: 0.005 };

/** All that was measured. */
interface IdleFigures {
  readonly starts: Starts;
  readonly peers: readonly Peer[];
  /** The first is cless without a service, the last the one with those that are paused. */
  readonly idlers: readonly Idler[];
  /** What each of them has used, window by window. */
  readonly idleness: readonly (readonly Idleness[])[];
  readonly pausedServices: number;
  /** In memory with the first one paused, MB. */
  readonly oneMb: number;
  /** In memory of the one without a service, after load; MB. */
  readonly loadedMb: number;
  /** `undefined` where it was not built. */
  readonly executableMb: number | undefined;
}

/** Everybody side by side. */
export function idleTable({ idlers, idleness, peers, starts }: IdleFigures): string {
  const startsOf = [starts.again, ...peers.map(({ id }) => starts.peers.get(id)!), undefined];
  const rows = idlers.map(({ name }, at) => {
    const windows = idleness[at]!;
    const ms = startsOf[at];
    return [
      name,
      figure(windows.map(({ residentMb }) => residentMb), 0),
      percents(windows.map(({ cpu }) => cpu)),
      `${median(windows.map(({ children }) => children))}`,
      figure(windows.map(({ childrenMb }) => childrenMb), 0),
      percents(windows.map(({ childrenCpu }) => childrenCpu)),
      ms === undefined ? "" : figure(ms, 0),
    ];
  });
  const head = ["idle", "MB", "CPU, % of a core", "children", "their MB", "their CPU, %", "start, ms"];
  return table(head, rows);
}

/** What was found out about cless. */
export function idleFindings(figures: IdleFigures): Finding[] {
  const { executableMb, idleness, loadedMb, oneMb, pausedServices, starts } = figures;
  const [empty, paused] = [idleness[0]!, idleness.at(-1)!];
  const emptyMb = median(empty.map(({ residentMb }) => residentMb));
  const pausedMb = median(paused.map(({ residentMb }) => residentMb));
  const startFinding = (what: string, ms: readonly number[]): Finding => ({
    ...times(what, ms),
    bar: `≤ ${BARS.startMs} ms`,
    met: median(ms) <= BARS.startMs,
  });
  const pausedCpu = paused.map(({ cpu }) => cpu);
  return [
    startFinding("start to /readyz, new data-dir", starts.first),
    startFinding("start to /readyz, once more", starts.again),
    times("first call of the admin API after that", starts.firstCall),
    times("second call", starts.nextCall),
    {
      what: "memory, idle with no service",
      value: `${emptyMb.toFixed(0)} MB`,
      spread: spread(empty.map(({ residentMb }) => residentMb), 0),
      bar: `≤ ${BARS.memoryMb} MB`,
      met: emptyMb <= BARS.memoryMb,
    },
    { what: "CPU, idle with no service", ...shares(empty.map(({ cpu }) => cpu)) },
    {
      what: `CPU, idle with ${pausedServices} paused services`,
      ...shares(pausedCpu),
      bar: `≤ ${BARS.pausedCpu * 100}%`,
      met: median(pausedCpu) <= BARS.pausedCpu,
    },
    { what: "the same, of what cless has started", ...shares(paused.map(({ childrenCpu }) => childrenCpu)) },
    {
      what: `memory per paused service, ${pausedServices} against none`,
      value: kilobytes((pausedMb - emptyMb) / pausedServices),
    },
    {
      what: `memory per paused service, ${pausedServices} against one`,
      value: kilobytes((pausedMb - oneMb) / (pausedServices - 1)),
    },
    { what: "memory after warm load", value: `${loadedMb.toFixed(0)} MB` },
    {
      what: "size of ./cless",
      value: executableMb === undefined ? "not built (make build)" : `${executableMb.toFixed(1)} MB`,
    },
  ];
}

function times(what: string, ms: readonly number[]): Finding {
  return { what, value: `${median(ms).toFixed(0)} ms`, spread: spread(ms, 0) };
}

function shares(all: readonly number[]): { value: string; spread: string } {
  const percent = all.map((share) => share * 100);
  return { value: `${median(percent).toFixed(2)}%`, spread: spread(percent, 2) };
}

function percents(all: readonly number[]): string {
  const { value, spread } = shares(all);
  return `${value.replace("%", "")} (${spread})`;
}

function figure(all: readonly number[], digits: number): string {
  return `${median(all).toFixed(digits)} (${spread(all, digits)})`;
}

function kilobytes(mb: number): string {
  return `${(mb * 1024).toFixed(0)} KB`;
}
