import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { WakeTier } from "../../pool/wake_times.ts";
import type { Store } from "../store.ts";
import { minuteOf } from "./periods.ts";
import type { ByWake, RequestSum, WakeSum } from "./records.ts";
import type { RequestCounts } from "./request_counts.ts";
import type { WakeCounts } from "./wake_counts.ts";

const log = logger("figures");
const MINUTES = 60;
/** If nobody has looked for this long, what is stored leaves the memory. */
const FORGET_MS = 600_000;

/** What a service has had in the last hour. */
export interface HourOfService {
  /** The requests of each minute, oldest first; the last one is under way. */
  readonly perMinute: readonly number[];
  /** All wakes. */
  readonly wakes: ByWake;
}

/** What {@linkcode LastHour} works with. */
export interface LastHourOptions {
  readonly store: Pick<Store, "sumsByMinute">;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  readonly requests: Pick<RequestCounts, "pending">;
  readonly wakes: Pick<WakeCounts, "pending">;
}

type Sums = { requests: number } & Record<WakeTier, number>;

/** Sums by service and minute. */
type SumsByService = Map<string, Map<number, Sums>>;

/**
 * The requests and wakes of the last 60 minutes, with the one under way, for those who look often. The store is read
 * when somebody looks for the first time, or after nobody has looked for some minutes.
 */
export class LastHour {
  readonly #options: LastHourOptions;
  /** What is stored; `undefined` while nobody looks. */
  #stored: SumsByService | undefined;
  #lookedMs = -Infinity;

  constructor(options: LastHourOptions) {
    this.#options = options;
  }

  /** Notes what has been stored, before it is no longer pending. */
  stored(requests: readonly RequestSum[], wakes: readonly WakeSum[]): void {
    const now = this.#options.now();
    if (Math.abs(now - this.#lookedMs) > FORGET_MS) this.#stored = undefined;
    if (this.#stored === undefined) return;
    add(this.#stored, requests, wakes);
    const oldest = minuteOf(now) - MINUTES + 1;
    for (const [service, byMinute] of this.#stored) {
      for (const minute of byMinute.keys()) if (minute < oldest) byMinute.delete(minute);
      if (byMinute.size === 0) this.#stored.delete(service);
    }
  }

  /**
   * Reads what is pending, and returns a function that tells of a service. Call that at once.
   *
   * @param minutes How many entries `perMinute` has; 60 at most.
   */
  read(minutes: number): (service: string) => HourOfService {
    const { now, requests, wakes } = this.#options;
    const pending: SumsByService = new Map();
    add(pending, requests.pending, wakes.pending);
    const last = minuteOf(now());
    const stored = this.#load(last - MINUTES + 1);
    return (service) => {
      const perMinute: number[] = new Array(minutes).fill(0);
      const woken = { cold: 0, resume: 0, hibernated: 0 };
      for (const [minute, sums] of [...stored.get(service) ?? [], ...pending.get(service) ?? []]) {
        const ago = last - minute;
        if (ago < 0 || ago >= MINUTES) continue;
        woken.cold += sums.cold;
        woken.resume += sums.resume;
        woken.hibernated += sums.hibernated;
        if (ago < minutes) perMinute[minutes - 1 - ago]! += sums.requests;
      }
      return { perMinute, wakes: woken };
    };
  }

  forget(service: string): void {
    this.#stored?.delete(service);
  }

  /** If the store cannot be read, only what is pending is told. */
  #load(sinceMinute: number): SumsByService {
    const { now, store } = this.#options;
    this.#lookedMs = now();
    if (this.#stored !== undefined) return this.#stored;
    const stored: SumsByService = new Map();
    try {
      const { requests, wakes } = store.sumsByMinute(sinceMinute);
      add(stored, requests, wakes);
      this.#stored = stored;
    } catch (error) {
      log.debug("cannot read figures", { reason: messageOf(error) });
    }
    return stored;
  }
}

function add(to: SumsByService, requests: readonly RequestSum[], wakes: readonly WakeSum[]): void {
  for (const { minute, requests: count, service } of requests) sumsOf(to, service, minute).requests += count;
  for (const { count, how, minute, service } of wakes) sumsOf(to, service, minute)[how] += count;
}

function sumsOf(all: SumsByService, service: string, minute: number): Sums {
  return all.getOrInsertComputed(service, () => new Map())
    .getOrInsertComputed(minute, () => ({ requests: 0, cold: 0, resume: 0, hibernated: 0 }));
}
