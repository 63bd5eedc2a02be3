import type { Waker } from "../../model/waker.ts";
import type { Usage } from "../../pool/launcher.ts";
import type { WakeTier } from "../../pool/wake_times.ts";
import type { ServiceStatus } from "../service_status.ts";
import type { Histogram } from "./histogram.ts";

/** What a service has cost since its first start: see `Costs`. */
export interface CostRecord {
  readonly service: string;
  /** When its first instance started; wall-clock time, ms since 1970. */
  readonly since: number;
  /** Until when it is charged for its memory; wall-clock time, ms since 1970. */
  readonly at: number;
  /** The processor time of all its instances so far. */
  readonly processorNs: number;
  /** Its RAM so far, multiplied by the time. */
  readonly usedByteS: number;
  /** How much more one instance that is always awake would have used; negative if it would have used less. */
  readonly savedByteS: number;
  /** The RAM of one instance that is awake; 0 until it is known. */
  readonly wholeBytes: number;
  /** The RAM of one instance that is paused or hibernated; `undefined` until it is known. */
  readonly pausedBytes?: number | undefined;
  readonly hibernatedBytes?: number | undefined;
  /** The last measurement of each instance that has not ended, by id. */
  readonly readings: Readonly<Record<string, Usage>>;
}

/** How many wakes of a revision within a minute were of one kind and took about as long. */
export interface WakeCount {
  readonly service: string;
  readonly revision: string;
  readonly how: WakeTier;
  /** Minutes since 1970. */
  readonly minute: number;
  /** Of the histogram of `WakeCounts`. */
  readonly bucket: number;
  readonly count: number;
}

/** The requests of a service within a minute. */
export interface RequestCount {
  readonly service: string;
  /** Minutes since 1970. */
  readonly minute: number;
  readonly requests: number;
  /** How many answers had a status of 500 or more. */
  readonly errors: number;
  /** How long it took to the answers' heads. */
  readonly latencies: Histogram;
}

/** A wake of an instance. */
export interface WakeRecord {
  readonly service: string;
  readonly revision: string;
  /** The instance's id. */
  readonly instance: string;
  /** When it was decided; wall-clock time, ms since 1970. */
  readonly at: number;
  readonly how: WakeTier;
  /** How long it took. */
  readonly ms: number;
  readonly by: Waker;
}

/** How many requests a service had within a minute. */
export type RequestSum = Pick<RequestCount, "service" | "minute" | "requests">;

/** How many wakes of one kind a service had within a minute. */
export type WakeSum = Pick<WakeCount, "service" | "minute" | "how" | "count">;

/** A figure for each state in which a service uses the machine. */
export interface ByState {
  readonly ready: number;
  readonly starting: number;
  readonly paused: number;
  readonly hibernated: number;
}

/** For how long a service was in each state within a period, ms. */
export interface StateTime extends ByState {
  readonly service: string;
  /** The number of the period since 1970; an hour unless it says otherwise. */
  readonly at: number;
}

/** A figure for each kind of wakes. */
export type ByWake = Readonly<Record<WakeTier, number>>;

/** What a service did within a minute or an hour. */
export interface Period extends Omit<RequestCount, "minute"> {
  /** Minutes or hours since 1970. */
  readonly at: number;
  readonly wakes: ByWake;
  /** For how long it was in each state, ms. */
  readonly times: ByState;
}

/** The begin of a state of a service. The state lasts until the next one, or until cless ends. */
export interface SpellRecord {
  readonly service: string;
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  readonly state: ServiceStatus["state"];
  /** Why it fails; only in the state `failing`. */
  readonly failure: string | undefined;
}

/** The time in which a process of cless ran, or several that took over from each other. */
export interface RunRecord {
  /** Wall-clock times, ms since 1970. */
  readonly since: number;
  /** Until when it is known to have run. */
  readonly until: number;
}

/** How many gaps between the requests of a service have ended on a day and were about as long: see `IdleGaps`. */
export interface GapCount {
  readonly service: string;
  /** Days since 1970, in UTC. */
  readonly day: number;
  readonly bucket: number;
  readonly count: number;
  /** The sum of their lengths. */
  readonly seconds: number;
}

/** Since when a service has had no request. Times are wall-clock times, ms since 1970. */
export interface IdleRecord {
  readonly service: string;
  /** When its requests were first counted. */
  readonly since: number;
  /** `undefined` if it had a request when this was stored. */
  readonly idleSince: number | undefined;
}

/** Figures that are not stored yet. */
export interface NewFigures {
  readonly costs?: readonly CostRecord[];
  readonly wakes?: readonly WakeCount[];
  readonly wakeLog?: readonly WakeRecord[];
  readonly requests?: readonly RequestCount[];
  readonly stateTimes?: readonly StateTime[];
  readonly spells?: readonly SpellRecord[];
  readonly gaps?: readonly GapCount[];
  readonly idle?: readonly IdleRecord[];
  readonly run?: RunRecord;
}

/** What is forgotten of the figures: all that is older than these times, and not needed for what is newer. */
export interface FigureAges {
  /** The first minute of which something stays, since 1970. */
  readonly minute: number;
  /** The first hour of which something stays, since 1970. */
  readonly hour: number;
  /** The first day of which something stays, since 1970. */
  readonly day: number;
  /** When the spells begin, wall-clock ms since 1970. */
  readonly spells: number;
}
