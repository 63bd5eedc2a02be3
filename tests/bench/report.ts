import type { ColdStart } from "./cold_start.ts";
import type { Finding } from "./finding.ts";
import { type Herd, HERD_SIZE } from "./herd.ts";
import type { Sizes } from "./sizes.ts";
import { median, percentile, spread } from "./statistics.ts";
import { STORED_SERVICES, type StoreTimes } from "./store.ts";
import type { Wake } from "./wake.ts";

const COLD_BAR_MS = 25;
const HERD_BAR_MS = 1500;
const WAKE_BARS_MS = { p50: 20, p99: 60 };
const WAKE_RATIO_BAR = 1.2;
const STORE_START_BAR_MS = 1000;
const CHANGE_BAR_MS = 10;

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

/** What {@linkcode wakes} tells. */
export function wakeFindings(wakes: readonly Wake[]): Finding[] {
  const summary = (what: string, all: number[]) => ({
    what,
    value: `${median(all).toFixed(1)} ms, p99 ${percentile(all, 0.99).toFixed(1)} ms`,
    spread: spread(all, 1),
  });
  const through = wakes.map(({ cless }) => cless);
  const bare = wakes.map(({ bare }) => bare);
  const ratio = median(through) / median(bare);
  return [
    {
      ...summary(`wake from pause through cless (${wakes.length} times)`, through),
      bar: `≤ ${WAKE_BARS_MS.p50} ms, p99 ≤ ${WAKE_BARS_MS.p99} ms`,
      met: median(through) <= WAKE_BARS_MS.p50 && percentile(through, 0.99) <= WAKE_BARS_MS.p99,
    },
    summary("wake from pause, bare unpause by the socket and first answer", bare),
    {
      what: "wake from pause, cless ÷ bare",
      value: ratio.toFixed(2),
      bar: `≤ ${WAKE_RATIO_BAR}`,
      met: ratio <= WAKE_RATIO_BAR,
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

/** What {@linkcode storeTimes} tells. */
export function storeFindings({ startMs, changeMs }: StoreTimes): Finding[] {
  return [
    {
      what: `${STORED_SERVICES} services: opened and published`,
      value: `${median(startMs).toFixed(0)} ms`,
      spread: spread(startMs, 0),
      bar: `≤ ${STORE_START_BAR_MS} ms`,
      met: median(startMs) <= STORE_START_BAR_MS,
    },
    {
      what: `${STORED_SERVICES} services: a change of traffic kept and published`,
      value: `${median(changeMs).toFixed(1)} ms`,
      spread: spread(changeMs, 1),
      bar: `≤ ${CHANGE_BAR_MS} ms`,
      met: median(changeMs) <= CHANGE_BAR_MS,
    },
  ];
}
