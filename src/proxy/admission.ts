import { cpuUsage } from "node:process";
import type { Clock } from "../base/clock.ts";
import type { LagMeter } from "../base/lag.ts";
import { MOST_LATELY, type Pace } from "./pace.ts";

/**
 * An overload does not begin while no more requests than this wait to begin, see `Pace`. Clients that each wait for an
 * answer before they send the next request can have this many requests waiting together, and that is no overload.
 */
const FEW_AT_BEGIN = 600;
/** So many requests are an overload only if the first of them has waited for this long. Otherwise they are a burst. */
const BURST_MS = 50;
/**
 * During an overload, no more requests wait than are admitted in this many turns, so that the admitted ones are answered
 * soon.
 */
const TURNS = 4;
/**
 * After this time, an overload is taken for over, to find out whether it is: few clients that repeat refused requests at
 * once would keep it up for ever. If requests wait for {@linkcode BURST_MS} within {@linkcode SOON_MS}, however few, it
 * goes on, and the next such test comes after twice the time, up to {@linkcode LONGEST_MS}.
 */
const SHORTEST_MS = 2000;
const LONGEST_MS = 16_000;
const SOON_MS = 500;
/**
 * If the lag exceeds this, even few requests are an overload: each of them takes much processor time. An overload begins
 * so only if the lag has exceeded {@linkcode LATE_MS} for this long. Otherwise it was a moment in which cless did
 * something else, such as collecting garbage.
 */
const MAX_LAG_MS = 250;
/** See {@linkcode MAX_LAG_MS}. */
const LATE_MS = 100;
/**
 * If cless uses less than this share of a processor, other programs cause its lag, and refusing requests would not
 * help.
 */
const OWN_CPU = 0.4;
/**
 * How many requests are admitted in each turn of the event loop during an overload, beside those of services that stay
 * within their fair share. In one turn, Deno calls the handler for every request that has arrived. A limit per turn works
 * without knowing what an admitted or a refused request costs: whatever takes time makes the turns longer, so fewer
 * requests are admitted per second. A low limit keeps the turns short, so refusals reach the clients early: a client
 * that waits for its refusal cannot send the next request, which waits there, and is late when it comes.
 */
const PER_TURN = 40;
/** If a turn takes more processor time than this, the limit shrinks. Otherwise it grows up to {@linkcode PER_TURN}. */
const TURN_MS = 25;
const SHRINKING = 1.2;
const GROWTH = 1.1;
/** At least this many requests are admitted in each turn. */
const MIN_PER_TURN = 4;
/** At least this share of the requests of a turn is admitted, up to {@linkcode MOST_PER_TURN}. */
const MIN_ADMITTED = 1 / 12;
/** See {@linkcode MIN_ADMITTED}. */
const MOST_PER_TURN = 100;
/**
 * The random draw lets this many times the limit through, since chance would otherwise leave some of the limit unused.
 * The requests that it lets through are counted in each turn, and refused once the limit is reached. Requests of
 * services that stay within their fair share are neither drawn nor counted.
 */
const SPARE = 1.25;
/** A process that has not run for this long was stopped, or its machine was. What came meanwhile is no overload. */
const PAUSE_MS = 1000;
/** So after a pause, nothing is an overload for as long as the pause took, but at most for this long. */
const MAX_CATCH_UP_MS = 10_000;
/** The overload ends when no request has been refused for this long. */
const CALM_MS = 1000;
/** The time over which processor time and arrivals are averaged. */
const AVERAGE_MS = 100;
/** How often the lag is measured during an overload: in each turn, but not more often than this. */
const TURN_TICK_MS = 1;
/** How often the lag is measured at {@linkcode BUSY_PER_S} requests per second or more. */
const BUSY_TICK_MS = 50;
/** How often the lag is measured otherwise. */
const TICK_MS = 100;
/** How often it is measured, and with it whether an overload begins, while more than {@linkcode FEW_AT_BEGIN} wait. */
const LOOK_MS = 5;
const BUSY_PER_S = 500;
/** The measuring ends after this time without a request. */
const QUIET_MS = 2000;
/** This share of a fixed limit is kept for services that ask for less than their fair share. */
const KEPT_SHARE = 1 / 8;
/** The fair shares are computed as if at least this fraction of the requests were admitted. */
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

/** The requests without a response's head. */
export interface RequestsInFlight {
  /** How many have begun, and do not wait for an instance or a slot. */
  readonly active: number;
  /** Those that have not begun. */
  readonly pace: Pick<Pace, "waiting" | "lagMs" | "most">;
}

/**
 * What becomes of a request: it is refused, or it begins when there is room for it, or at once: the requests of a service
 * that stays within its fair share do not wait for those of others.
 */
export type Verdict = "refused" | "admitted" | "first";

/** How {@linkcode Admission} decides. */
export interface AdmissionOptions {
  /** `--max-in-flight`: a fixed limit, 0 for no refusals, `undefined` to adapt to the lag. */
  readonly maxInFlight: number | undefined;
  /** Counts requests. */
  readonly inFlight: RequestsInFlight;
  /**
   * Lag is ignored for this long after the first request, ms. A new process is slow until V8 has compiled what
   * requests need, and one that takes over from another gets all its requests at once.
   */
  readonly warmUpMs?: number;
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
  /** The processor time that this process has used, seconds. */
  readonly cpuSeconds?: () => number;
}

/**
 * Admits as many requests as cless can answer in time. Refuses the rest at once, before any other work on them.
 *
 * It observes only whether cless itself keeps up, by its lag and its use of the processor, never how long apps take: apps
 * differ, and a response that takes 10 s, a cold start or an event stream is no overload. While cless keeps up, every
 * load is admitted.
 *
 * It combines ideas of others:
 * - CoDel (K. Nichols, V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012; RFC 8289): the signal is how long
 *   requests wait, and the queue is kept short. Its schedule of drops is not used: it is for senders that slow down when
 *   something is dropped, and clients do not.
 * - PIE (RFC 8033) is not used: it computes the share of refused requests from the lag and its change. The lag is known
 *   only after the queue has already been that long, so the share swings between too much and too little. A limit per
 *   turn takes effect at once.
 * - Envoy's admission control filter
 *   (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/admission_control_filter): requests
 *   are refused at random, and a minimum is always admitted. Its signal, the success rate of the apps, is not used.
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
  readonly #inFlight: RequestsInFlight;
  readonly #warmUpMs: number;
  readonly #random: () => number;
  readonly #cpuSeconds: () => number;
  /** Ends the measuring; `undefined` while nothing is measured. */
  #stopWatching: (() => void) | undefined;
  /** Whether there is an overload, with an adaptive limit. */
  #isRefusing = false;
  /** Whether the requests of each group are counted: during an overload, while it may go on, and with a fixed limit. */
  #isCounting = false;
  #arrived = 0;
  #admitted = 0;
  #refused = 0;
  /** How many requests of services that exceed their fair share may be admitted per turn. Others are not counted. */
  #perTurn = PER_TURN;
  /** How many more of them may be admitted in this turn. */
  #left = 0;
  /** With that many requests waiting, no more of them are admitted. */
  #mostWaiting = Infinity;
  /** When the overload began, and for how long it lasts. */
  #beganMs = 0;
  #lastingMs = SHORTEST_MS;
  /** When it was last taken for over. */
  #endedMs = -Infinity;
  /** How many requests arrive per turn, on average. */
  #arrivedPerTurn = 0;
  /** Until then, lag is no overload; set by the first request. */
  #ignoredUntilMs: number | undefined;
  #measuredMs = 0;
  #refusedAtMs = 0;
  #arrivedAtMs = 0;
  /** Since when the lag exceeds {@linkcode LATE_MS}; `Infinity` if it does not. */
  #lateSinceMs = Infinity;
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
    this.#warmUpMs = options.warmUpMs ?? 0;
    this.#random = options.random ?? Math.random;
    this.#cpuSeconds = options.cpuSeconds ?? ownCpuSeconds;
    this.#isCounting = this.#maxInFlight !== undefined && this.#maxInFlight > 0;
  }

  /** Counts a request, and decides what becomes of it. While none is refused, the cost is negligible. */
  judge(request: Request): Verdict {
    this.#arrived++;
    if (this.#stopWatching === undefined) this.#watch();
    else if (!this.#isRefusing && this.#inFlight.pace.waiting > FEW_AT_BEGIN) this.#look();
    return this.#isCounting ? this.#judge(request.url) : "admitted";
  }

  #judge(url: string): Verdict {
    const group = groupOf(url);
    this.#counts[group]!++;
    const share = this.#shares[group]!;
    const isModest = share === 0;
    const most = this.#maxInFlight;
    if (most !== undefined) {
      // Services that ask for less than their fair share may use the part of the limit that is kept for them.
      if (this.#fixedLoad < mostOf(most, isModest)) return this.#admit("admitted");
      this.shed.inFlight++;
    } else {
      if (isModest) return this.#admit("first");
      if (!this.#isRefusing) return this.#admit("admitted");
      if (this.#left > 0 && this.#inFlight.pace.waiting < this.#mostWaiting && this.#random() >= share) {
        this.#left--;
        return this.#admit("admitted");
      }
      this.shed.lag++;
    }
    this.#refused++;
    return "refused";
  }

  /** What a fixed limit limits. */
  get #fixedLoad(): number {
    return this.#inFlight.active + this.#inFlight.pace.waiting;
  }

  #admit<V extends Verdict>(verdict: V): V {
    this.#admitted++;
    return verdict;
  }

  #watch(): void {
    const now = this.#clock.now();
    this.#measuredMs = this.#arrivedAtMs = now;
    this.#ignoredUntilMs ??= now + this.#warmUpMs;
    this.#lateSinceMs = Infinity;
    this.#cpuBefore = this.#cpuSeconds();
    const stopMeter = this.#meter.watch();
    const stopHearing = this.#meter.hear(() => this.#measured());
    this.#stopWatching = () => {
      stopHearing();
      stopMeter();
      this.#meter.tickMs = TICK_MS;
      this.#stopWatching = undefined;
    };
  }

  /** Finds out whether an overload begins, without waiting for the next measurement of the lag. */
  #look(): void {
    if (this.#clock.now() - this.#measuredMs >= LOOK_MS) this.#measured();
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
    const ownMs = (cpu - this.#cpuBefore) * 1000;
    this.#cpu += weight * (ownMs / 1000 / seconds - this.#cpu);
    this.#cpuBefore = cpu;
    if (seconds * 1000 > PAUSE_MS && ownMs < OWN_CPU * seconds * 1000) {
      this.#ignoredUntilMs = now + Math.min(seconds * 1000, MAX_CATCH_UP_MS);
    }
    if (this.#maxInFlight === undefined) this.#adapt(now, weight, seconds, ownMs);
    else if (this.#isCounting) {
      const isTight = this.#fixedLoad >= mostOf(this.#maxInFlight, false);
      const admitted = between(MIN_SHARE, this.#admitted / Math.max(1, this.#arrived), 1 - KEPT_SHARE);
      this.#divide(weight, seconds, isTight ? admitted : 1);
    }
    this.#arrived = this.#admitted = this.#refused = 0;
    this.#meter.tickMs = this.#isRefusing ? TURN_TICK_MS : rate >= BUSY_PER_S ? BUSY_TICK_MS : TICK_MS;
    if (now - this.#arrivedAtMs > QUIET_MS && !this.#isRefusing) this.#stopWatching?.();
  }

  /** Begins to refuse requests, adapts how many are admitted per turn, or ends the overload. */
  #adapt(now: number, weight: number, seconds: number, ownMs: number): void {
    const { pace } = this.#inFlight;
    const lagMs = this.#cpu < OWN_CPU ? 0 : Math.max(this.#meter.currentMs, pace.lagMs);
    this.#lateSinceMs = lagMs > LATE_MS ? Math.min(this.#lateSinceMs, now) : Infinity;
    if (!this.#isRefusing) {
      const mayGoOn = this.#isCounting;
      if (mayGoOn && now - this.#endedMs >= SOON_MS) this.#stopCounting();
      if (now < this.#ignoredUntilMs! || this.#cpu < OWN_CPU) return;
      const isBehind = pace.lagMs >= BURST_MS && (mayGoOn || pace.waiting > FEW_AT_BEGIN);
      const isLongLate = lagMs > MAX_LAG_MS && now - this.#lateSinceMs >= MAX_LAG_MS;
      if (isBehind || isLongLate) this.#begin(now);
      return;
    }
    const isCalm = now - this.#refusedAtMs > CALM_MS;
    if (isCalm || now - this.#beganMs > this.#lastingMs) {
      this.#endedMs = now;
      this.#isRefusing = false;
      pace.most = MOST_LATELY;
      if (isCalm) this.#stopCounting();
      return;
    }
    this.#arrivedPerTurn += weight * (this.#arrived - this.#arrivedPerTurn);
    const isLate = ownMs > TURN_MS || lagMs > MAX_LAG_MS;
    const least = between(MIN_PER_TURN, this.#arrivedPerTurn * MIN_ADMITTED, MOST_PER_TURN);
    const most = Math.max(least, PER_TURN);
    this.#perTurn = between(least, isLate ? this.#perTurn / SHRINKING : this.#perTurn * GROWTH, most);
    this.#left = Math.round(this.#perTurn);
    pace.most = Math.min(MOST_LATELY, 2 * this.#perTurn);
    this.#mostWaiting = TURNS * Math.min(this.#perTurn, PER_TURN);
    const admitted = Math.min(1, SPARE * this.#perTurn / Math.max(1, this.#arrivedPerTurn));
    this.#divide(weight, seconds, admitted);
  }

  #begin(now: number): void {
    // How much each service asks for is not known before the next turn. Until then all services are treated alike.
    if (!this.#isCounting) this.#shares.fill(ROUNDING);
    this.#lastingMs = this.#isCounting ? Math.min(2 * this.#lastingMs, LONGEST_MS) : SHORTEST_MS;
    this.#isCounting = this.#isRefusing = true;
    this.#beganMs = this.#refusedAtMs = now;
    this.#perTurn = this.#left = PER_TURN;
    this.#arrivedPerTurn = this.#arrived;
    this.#counts.fill(0);
  }

  #stopCounting(): void {
    this.#isCounting = false;
    this.#rates.fill(0);
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

/** The highest cap with which the demands, each cut to the cap, sum to at most `room`: max-min fairness. */
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
