import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../model/time.ts";
import { merged } from "./histogram.ts";
import type { ByState, ByWake, NewFigures, Period, WakeSum } from "./records.ts";

const NO_WAKES: ByWake = { cold: 0, resume: 0, hibernated: 0 };
/** No time in any state. */
export const NO_TIMES: ByState = { ready: 0, starting: 0, paused: 0, hibernated: 0 };

type Figures = Pick<NewFigures, "requests" | "stateTimes"> & { readonly wakes?: readonly WakeSum[] };

/** The minute that contains a wall-clock time: minutes since 1970. */
export function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS);
}

/** The hour that contains a wall-clock time: hours since 1970. */
export function hourOf(ms: number): number {
  return Math.floor(ms / HOUR_MS);
}

/** The day that contains a wall-clock time: days since 1970, in UTC. */
export function dayNumberOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/**
 * Sums figures up by service and period.
 *
 * @param stepMinutes How long a period is. That of the times in states is this already.
 */
export function periodsOf({ requests = [], stateTimes = [], wakes = [] }: Figures, stepMinutes: number): Period[] {
  const at = (minute: number) => Math.floor(minute / stepMinutes);
  return summed([
    ...requests.map(({ minute, ...count }) => ({ ...count, at: at(minute), wakes: NO_WAKES, times: NO_TIMES })),
    ...wakes.map(({ count, how, minute, service }) => ({
      ...emptyPeriod(service, at(minute)),
      wakes: { ...NO_WAKES, [how]: count },
    })),
    ...stateTimes.map(({ at, service, ...times }) => ({ ...emptyPeriod(service, at), times })),
  ]);
}

/** Adds up those of the same service and time; sorted by time. */
export function summed(periods: readonly Period[]): Period[] {
  const sums = new Map<string, Period>();
  for (const period of periods) {
    const key = `${period.at} ${period.service}`;
    const before = sums.get(key);
    sums.set(key, before === undefined ? period : sumOf(before, period));
  }
  return [...sums.values()].sort((a, b) => a.at - b.at);
}

function emptyPeriod(service: string, at: number): Period {
  return { service, at, requests: 0, errors: 0, latencies: [], wakes: NO_WAKES, times: NO_TIMES };
}

function sumOf(a: Period, b: Period): Period {
  return {
    service: a.service,
    at: a.at,
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    latencies: merged(a.latencies, b.latencies),
    wakes: {
      cold: a.wakes.cold + b.wakes.cold,
      resume: a.wakes.resume + b.wakes.resume,
      hibernated: a.wakes.hibernated + b.wakes.hibernated,
    },
    times: sumOfTimes(a.times, b.times),
  };
}

/** Adds up times in states. */
export function sumOfTimes(a: ByState, b: ByState): ByState {
  return {
    ready: a.ready + b.ready,
    starting: a.starting + b.starting,
    paused: a.paused + b.paused,
    hibernated: a.hibernated + b.hibernated,
  };
}
