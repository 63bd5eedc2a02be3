import { cpuUsage } from "node:process";
import type { Clock } from "../base/clock.ts";
import type { LagMeter } from "../base/lag.ts";

/** The lag to aim at while requests are refused. */
const TARGET_MS = 50;
/**
 * Requests are refused once the lag has exceeded this for {@linkcode INTERVAL_MS} without a break. It is more than a
 * few hundred connections cause that each wait for an answer before they send the next request. Those are no overload.
 */
const OVERLOAD_MS = 250;
const INTERVAL_MS = 100;
/** If the lag exceeds this, nearly all requests are refused until the queue is short. */
const HOPELESS_MS = 1000;
/** How much the refused share grows per second if the lag is twice the target. */
const INTEGRAL_PER_S = 1;
/** How much the refused share grows if the lag grows by the target. */
const PROPORTION = 0.1;
/** The control ends when no request has been refused for this long. */
const CALM_MS = 1000;
/** So many requests per second are admitted whatever the lag: they cannot be what makes cless lag. */
const ALWAYS_PER_S = 100;
/**
 * If cless uses less than this share of a processor, other programs cause its lag, and refusing requests would not
 * help.
 */
const OWN_CPU = 0.15;
/** The time over which processor time and arrivals are averaged. */
const AVERAGE_MS = 200;
/** From this rate on, the lag is measured often. */
const BUSY_PER_S = 500;
/** The measuring ends after this time without a request. */
const QUIET_MS = 2000;
/** This share of a fixed limit is kept for services that ask for less than their fair share. */
const KEPT_SHARE = 1 / 8;
/** The fair shares are computed as if at least this share of the requests were admitted. */
const MIN_SHARE = 1 / 10;
/**
 * The number of groups of services. They are grouped by a hash of their names, since clients can invent any number of
 * names.
 */
const GROUPS = 256;
const ROUNDING = 1e-9;

/** How many requests got `overloaded`, by cause. */
export class Shed {
  /** cless itself lagged. */
  lag = 0;
  /** As many requests were in flight as `--max-in-flight` allows. */
  inFlight = 0;
  /** Too many were waiting for an instance or a slot of their service. */
  waiting = 0;
  /** There was no file descriptor for a connection to the app. */
  descriptors = 0;
}

/** How {@linkcode Admission} decides. */
export interface AdmissionOptions {
  /** `--max-in-flight`: a fixed limit, 0 for no refusals, `undefined` to adapt to the lag. */
  readonly maxInFlight: number | undefined;
  /** Counts the requests that neither have a response's head nor wait for an instance or a slot. */
  readonly inFlight: { readonly active: number };
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
  /** The processor time that this process has used, seconds. */
  readonly cpuSeconds?: () => number;
}

/**
 * Admits as many requests as cless can answer in time. Refuses the rest at once, before any other work on them.
 *
 * It observes only cless's own lag, never how long apps take: apps differ, and a response that takes 10 s, a cold start
 * or an event stream is no overload. While the lag is small, every load is admitted.
 *
 * It combines ideas of others:
 * - CoDel (K. Nichols, V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012; RFC 8289): the signal is the time
 *   in the queue, not its length. Only a queue that persists for an interval is an overload; a burst is not. Its
 *   schedule of drops is not used: it is for senders that slow down when something is dropped, and clients do not.
 * - PIE (RFC 8033): the share of refused requests is computed from the lag and its change.
 * - Envoy's admission control filter
 *   (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/admission_control_filter): requests
 *   are refused at random with a probability that changes gradually, and a minimum rate is always admitted. Its signal,
 *   the success rate of the apps, is not used.
 * - Netflix's concurrency-limits (https://github.com/Netflix/concurrency-limits): no limit has to be configured, and a
 *   part of the limit is kept for some of the callers (its partitions). Its signal, the latency of the apps, is not
 *   used.
 * - Stochastic fairness queueing (P. McKenney, INFOCOM 1990): services are grouped by a hash of their names. While
 *   requests are refused, no group gets more than its max-min fair share.
 */
export class Admission {
  /** The response to every refused request. It has no body, so that all of them can share one object. */
  readonly refusal: Response = new Response(null, {
    status: 503,
    headers: { "cless-error": "overloaded", "retry-after": "1", "cache-control": "no-store" },
  });
  readonly shed: Shed = new Shed();
  readonly #meter: LagMeter;
  readonly #clock: Clock;
  readonly #maxInFlight: number | undefined;
  readonly #inFlight: { readonly active: number };
  readonly #random: () => number;
  readonly #cpuSeconds: () => number;
  /** Ends the measuring; `undefined` while nothing is measured. */
  #stopWatching: (() => void) | undefined;
  /** Whether each request is judged; if not, all are admitted. */
  #isLooking = false;
  #arrived = 0;
  #admitted = 0;
  #refused = 0;
  /** The share of all requests that must be refused. */
  #share = 0;
  #measuredMs = 0;
  #lagMs = 0;
  #exceededSinceMs = Infinity;
  #refusedAtMs = 0;
  #arrivedAtMs = 0;
  #cpu = 0;
  #cpuBefore = 0;
  /**
   * By group: the arrivals since the last measurement, the average arrivals per second, and the share that is refused.
   */
  readonly #counts = new Float64Array(GROUPS);
  readonly #rates = new Float64Array(GROUPS);
  readonly #shares = new Float64Array(GROUPS);

  constructor(meter: LagMeter, clock: Clock, options: AdmissionOptions) {
    this.#meter = meter;
    this.#clock = clock;
    this.#maxInFlight = options.maxInFlight;
    this.#inFlight = options.inFlight;
    this.#random = options.random ?? Math.random;
    this.#cpuSeconds = options.cpuSeconds ?? ownCpuSeconds;
    this.#isLooking = this.#maxInFlight !== undefined && this.#maxInFlight > 0;
  }

  /** Counts a request, and decides whether it is refused. While none is refused, the cost is negligible. */
  refuses(request: Request): boolean {
    this.#arrived++;
    if (this.#stopWatching === undefined) this.#watch();
    return this.#isLooking && this.#judge(request.url);
  }

  #judge(url: string): boolean {
    const group = groupOf(url);
    this.#counts[group]!++;
    const most = this.#maxInFlight;
    if (most === undefined) {
      if (this.#random() >= this.#shares[group]!) return this.#admit();
      this.shed.lag++;
    } else {
      // Services that ask for less than their fair share may use the part of the limit that is kept for them.
      const isModest = this.#shares[group] === 0;
      if (this.#inFlight.active < mostOf(most, isModest)) return this.#admit();
      this.shed.inFlight++;
    }
    this.#refused++;
    return true;
  }

  #admit(): false {
    this.#admitted++;
    return false;
  }

  #watch(): void {
    const now = this.#clock.now();
    this.#measuredMs = this.#arrivedAtMs = now;
    this.#cpuBefore = this.#cpuSeconds();
    const stopMeter = this.#meter.watch();
    const stopHearing = this.#meter.hear(() => this.#measured());
    this.#stopWatching = () => {
      stopHearing();
      stopMeter();
      this.#meter.busy = false;
      this.#stopWatching = undefined;
    };
  }

  #measured(): void {
    const now = this.#clock.now();
    const seconds = Math.max(0.001, (now - this.#measuredMs) / 1000);
    this.#measuredMs = now;
    const rate = this.#arrived / seconds;
    if (rate > 0) this.#arrivedAtMs = now;
    if (this.#refused > 0) this.#refusedAtMs = now;
    const weight = Math.min(1, seconds * 1000 / AVERAGE_MS);
    const cpu = this.#cpuSeconds();
    this.#cpu += weight * ((cpu - this.#cpuBefore) / seconds - this.#cpu);
    this.#cpuBefore = cpu;
    if (this.#maxInFlight === undefined) this.#adapt(now, seconds, rate);
    else if (this.#isLooking) {
      const isTight = this.#inFlight.active >= mostOf(this.#maxInFlight, false);
      const admitted = between(MIN_SHARE, this.#admitted / Math.max(1, this.#arrived), 1 - KEPT_SHARE);
      this.#divide(weight, seconds, isTight ? admitted : 1);
    }
    this.#arrived = this.#admitted = this.#refused = 0;
    this.#meter.busy = rate >= BUSY_PER_S || this.#share > 0;
    if (now - this.#arrivedAtMs > QUIET_MS && this.#share === 0) this.#stopWatching?.();
  }

  /** Adapts the refused share to the lag. */
  #adapt(now: number, seconds: number, rate: number): void {
    const lagMs = this.#cpu < OWN_CPU ? 0 : this.#meter.currentMs;
    const change = (lagMs - this.#lagMs) / TARGET_MS;
    this.#lagMs = lagMs;
    if (lagMs <= OVERLOAD_MS) this.#exceededSinceMs = Infinity;
    else this.#exceededSinceMs = Math.min(this.#exceededSinceMs, now);
    if (!this.#isLooking) {
      if (now - this.#exceededSinceMs < INTERVAL_MS) return;
      this.#isLooking = true;
      this.#refusedAtMs = now;
    } else if (now - this.#refusedAtMs > CALM_MS) {
      this.#isLooking = false;
      this.#share = 0;
      this.#rates.fill(0);
      this.#shares.fill(0);
      return;
    }
    const most = Math.max(0, 1 - ALWAYS_PER_S / Math.max(1, rate));
    const excess = between(-1, lagMs / TARGET_MS - 1, 3);
    this.#share += INTEGRAL_PER_S * seconds * excess + PROPORTION * between(-2, change, 2);
    this.#share = lagMs > HOPELESS_MS ? most : between(0, this.#share, most);
    this.#divide(Math.min(1, seconds * 1000 / AVERAGE_MS), seconds, 1 - this.#share);
  }

  /** Divides the admitted share of all requests among the groups: none gets more than its max-min fair share. */
  #divide(weight: number, seconds: number, admitted: number): void {
    const rates = this.#rates;
    let total = 0;
    for (let group = 0; group < GROUPS; group++) {
      rates[group]! += weight * (this.#counts[group]! / seconds - rates[group]!);
      this.#counts[group] = 0;
      total += rates[group]!;
    }
    const most = fairShare(rates, total * admitted);
    for (let group = 0; group < GROUPS; group++) {
      const share = 1 - most / rates[group]!;
      this.#shares[group] = share > ROUNDING ? share : 0;
    }
  }
}

/** The limit for each demand with which all demands together get at most `room`: max-min fairness. */
export function fairShare(demands: Float64Array, room: number): number {
  const sorted = demands.toSorted();
  for (let at = 0; at < sorted.length; at++) {
    const each = room / (sorted.length - at);
    if (sorted[at]! > each) return each;
    room -= sorted[at]!;
  }
  return Infinity;
}

/**
 * How many requests may be in flight with a fixed limit. @param isModest Whether the service asks for less than its
 * fair share.
 */
function mostOf(limit: number, isModest: boolean): number {
  return isModest ? limit : limit - Math.floor(limit * KEPT_SHARE);
}

/** The group of the first label of a URL's host. */
function groupOf(url: string): number {
  let hash = 0;
  for (let at = url.indexOf("//") + 2; at < url.length; at++) {
    const code = url.charCodeAt(at);
    if (code === 46 || code === 47 || code === 58) break; // a dot, slash or colon
    hash = (hash * 31 + (code | 32)) | 0;
  }
  return (hash ^ (hash >>> 8)) & (GROUPS - 1);
}

function between(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

function ownCpuSeconds(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1e6;
}
