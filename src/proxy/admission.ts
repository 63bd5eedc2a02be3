import { cpuUsage } from "node:process";
import type { Clock } from "../base/clock.ts";
import type { LagMeter } from "../base/lag.ts";

/** The lag that is aimed at while requests are refused. */
const TARGET_MS = 50;
/**
 * This lag must be exceeded for so long, without a break, before any request is refused. It is above what a few hundred
 * connections cause that each wait for an answer before they send the next request: those never ask for more than cless
 * can do.
 */
const OVERLOAD_MS = 250;
const INTERVAL_MS = 100;
/** Requests that have waited for longer than this are beyond hope: nearly all are refused until the queue is short. */
const HOPELESS_MS = 1000;
/** How much the refused share grows in a second for a lag of twice the target, and with each change by the target. */
const INTEGRAL_PER_S = 1;
const PROPORTION = 0.1;
/** No request is refused any more once none had to be for this long. */
const CALM_MS = 1000;
/** Whatever the lag, so many requests a second are admitted: they are not what makes cless late. */
const ALWAYS_PER_S = 100;
/** Below this share of a processor, cless is late because others have the processors. To refuse requests would not help. */
const OWN_CPU = 0.15;
/** Over which time processor time and arrivals are averaged. */
const AVERAGE_MS = 200;
/** From this rate on the lag is measured often. */
const BUSY_PER_S = 500;
/** Without a request for this long, nothing is measured any more. */
const QUIET_MS = 2000;
/** The last share of a fixed limit is for services that ask for less than others. */
const KEPT_SHARE = 1 / 8;
/** While more is refused than this leaves, who asks for little is judged as if it were so much. */
const LEAST_SHARE = 1 / 10;
/** By how many groups services are told apart, by a hash of their names: names cost nothing to invent. */
const GROUPS = 256;
const ROUNDING = 1e-9;

/** How many requests got `overloaded`, by cause. */
export class Shed {
  /** cless itself was late. */
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
  /** Counts the requests that have neither an answer's head nor a place in a queue of their service. */
  readonly inFlight: { readonly active: number };
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
  /** The processor time that this process has used, seconds. */
  readonly cpuSeconds?: () => number;
}

/**
 * Admits as many requests as cless can answer in time, and refuses the rest at once, before anything is looked up.
 *
 * What is observed is cless's own lag alone, never how long apps take: behind one cless there are unlike apps, and an
 * answer that takes 10 s, a cold start or an event stream is no overload. Nothing is held against a load while the lag
 * is small.
 *
 * What was taken from others:
 * - CoDel (K. Nichols, V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012; RFC 8289): the time in the queue
 *   is the signal, not its length; only a queue that stands for an interval is an overload, while a burst is none. Its
 *   schedule of drops was not taken: it is for senders that slow down when something is dropped, and clients do not.
 * - PIE (RFC 8033): instead, the share of refused requests follows from the lag and its change.
 * - Envoy's admission control filter (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/admission_control_filter):
 *   requests are refused by chance with a probability that changes gradually, and a minimum rate is always admitted.
 *   Its signal, the success rate of the apps, was not taken.
 * - Netflix's concurrency-limits (https://github.com/Netflix/concurrency-limits): no limit is set by hand, and one part
 *   of the limit is kept for some of the callers (its partitions). Its signal, the latency of the apps, was not taken.
 * - Stochastic fairness queueing (P. McKenney, INFOCOM 1990) for the shares: services are grouped by a hash of their
 *   names, and while requests are refused, no group gets more than its max-min fair share.
 */
export class Admission {
  /** The answer to every refused request. It has no body, so that one object serves for all of them. */
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
  /** Ends the measuring; missing while there are no requests. */
  #stopWatching: (() => void) | undefined;
  /** Whether each request is looked at. */
  #isLooking = false;
  #arrived = 0;
  #admitted = 0;
  #refused = 0;
  /** The share of all requests that is to be refused. */
  #share = 0;
  #measuredMs = 0;
  #lagMs = 0;
  #exceededSinceMs = Infinity;
  #refusedAtMs = 0;
  #arrivedAtMs = 0;
  #cpu = 0;
  #cpuBefore = 0;
  /** By group: arrivals since the last measurement, arrivals in a second on average, and the share that is refused. */
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

  /** Counts a request, and decides whether it is refused. Costs next to nothing while nothing is refused. */
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
      // Those who ask for less than their share find room when the others have none.
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
      const admitted = between(LEAST_SHARE, this.#admitted / Math.max(1, this.#arrived), 1 - KEPT_SHARE);
      this.#divide(weight, seconds, isTight ? admitted : 1);
    }
    this.#arrived = this.#admitted = this.#refused = 0;
    this.#meter.busy = rate >= BUSY_PER_S || this.#share > 0;
    if (now - this.#arrivedAtMs > QUIET_MS && this.#share === 0) this.#stopWatching?.();
  }

  /** Changes the share that is refused by the lag. */
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

  /** Divides what is admitted, a share of all, among the groups: none gets more than its max-min fair share. */
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

/** The most that each of some demands may have so that all of them together have `room`: max-min fairness. */
export function fairShare(demands: Float64Array, room: number): number {
  const sorted = demands.toSorted();
  for (let at = 0; at < sorted.length; at++) {
    const each = room / (sorted.length - at);
    if (sorted[at]! > each) return each;
    room -= sorted[at]!;
  }
  return Infinity;
}

/** How many requests may be in flight by a fixed limit. @param isModest Whether the service asks for less than its share. */
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
