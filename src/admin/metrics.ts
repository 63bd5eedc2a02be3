import type { RevisionName } from "../model/revision.ts";
import type { Breakage } from "../pool/observer.ts";
import type { WakeTier } from "../pool/wake_times.ts";
import type { Shed } from "../proxy/admission.ts";
import { Distribution } from "./distribution.ts";

/**
 * At most this many revisions, and services without a revision, have their own series. The others share one, since
 * series cost memory here and in Prometheus.
 */
const MAX_OWNERS = 2000;
/** At most this many status codes of a revision have their own series: an app may answer with any code. */
const MAX_CODES = 40;
/** The label of requests for which no service was found, or that were answered before a revision was chosen. */
export const NONE = "";
/** The label of those that have no series of their own; it cannot be a service's name. */
export const OTHER_SERVICE = "_other";
const OTHER_CODE = "other";
/** What can happen to an instance that has worked. */
const LOSSES: ReadonlySet<Breakage> = new Set(["ended", "out_of_memory", "hung", "unanswered"]);

// The bounds of what is measured, s.
const REQUEST_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a millisecond, in which what is paused wakes, to a minute. */
const WAIT_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const START_BOUNDS = [0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30];
const WRITE_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** The load of cless itself. */
export interface Load {
  readonly lag: { readonly currentMs: number; readonly worstMs: number };
  readonly shed: Readonly<Shed>;
  /** How often each call of the engine ended in which way. */
  readonly engineCalls: {
    readonly all: Iterable<{ readonly call: string; readonly result: string; readonly count: number }>;
  };
  /** Counts the lines that it has lost; `undefined` if there is no access log. */
  readonly accessLog: { readonly lost: number } | undefined;
  readonly store: { readonly bytes: number };
}

/** The cold starts of a revision. */
class Starts {
  count = 0;
  /** How many were made in place of an instance that had broken. */
  restarts = 0;
  /** The time until the container ran. */
  readonly create = new Distribution(START_BOUNDS);
  /** The time from then until the app answered. */
  readonly ready = new Distribution(START_BOUNDS);
}

/** What has series of its own: a revision, or a service for what is not of one of its revisions. Times are in seconds. */
export class Owner {
  readonly service: string;
  readonly revision: string;
  /** How many requests were answered with each status code. */
  readonly codes = new Map<number | typeof OTHER_CODE, number>();
  readonly durations = new Distribution(REQUEST_BOUNDS);
  /** `undefined` if there was none. */
  starts: Starts | undefined;
  readonly wakes = new Map<WakeTier, Distribution>();
  /** How long requests waited; `undefined` if none did. */
  waits: Distribution | undefined;
  /** How many instances broke, by reason. */
  readonly broken = new Map<Breakage, number>();
  /** How many clients stopped, by what they stopped. */
  readonly stopped = new Map<string, number>();
  /** How many instances that worked have broken, and are not replaced yet. */
  lost = 0;
  /** Whether it was gone when the metrics were last read. */
  isLeaving = false;

  constructor(service: string, revision: string) {
    this.service = service;
    this.revision = revision;
  }
}

/**
 * Counts and measures requests, starts and more, for `prometheusText`. All that is counted of a revision is in its
 * {@linkcode Owner}, so that a request costs a few additions.
 */
export class Metrics {
  /** The load of cless itself; `undefined` if nobody measures it. */
  readonly load: Load | undefined;
  /** How long changes of the store took. */
  readonly storeWrites = new Distribution(WRITE_BOUNDS);
  readonly storeErrors = { read: 0, write: 0 };
  /** How many connections of clients that have stopped reading are still open. */
  stuck = 0;
  readonly #owners = new Map<string, Owner>();

  constructor(load?: Load) {
    this.load = load;
  }

  /**
   * Counts an answered request. @param service `undefined` if none was found. @param revision The name of the revision
   * that was chosen; `undefined` if the request was answered before. @param ms The time to the answer's headers.
   */
  requested(service: string | undefined, revision: string | undefined, status: number, ms: number): void {
    const { codes, durations } = this.ownerOf(service, revision);
    const isKnown = codes.has(status) || (isUsual(status) && codes.size < MAX_CODES);
    increment(codes, isKnown ? status : OTHER_CODE);
    durations.observe(ms / 1000);
  }

  /**
   * Counts a start. @param createMs The time until the container ran. @param readyMs The time from then until the app
   * answered.
   */
  coldStart({ name, service }: RevisionName, createMs: number, readyMs: number): void {
    const owner = this.ownerOf(service, name);
    const starts = owner.starts ??= new Starts();
    starts.count++;
    starts.create.observe(createMs / 1000);
    starts.ready.observe(readyMs / 1000);
    if (owner.lost === 0) return;
    owner.lost--;
    starts.restarts++;
  }

  /** Notes a wake and how long it took, also one from nothing. */
  woken({ name, service }: RevisionName, how: WakeTier, ms: number): void {
    const { wakes } = this.ownerOf(service, name);
    wakes.getOrInsertComputed(how, () => new Distribution(WAIT_BOUNDS)).observe(ms / 1000);
  }

  /** Notes how long a request waited for an instance or a slot until it got one. */
  waited({ name, service }: RevisionName, ms: number): void {
    const owner = this.ownerOf(service, name);
    owner.waits ??= new Distribution(WAIT_BOUNDS);
    owner.waits.observe(ms / 1000);
  }

  /** Counts an instance that did not become ready, or that ended or stopped answering by itself. */
  broke({ name, service }: RevisionName, how: Breakage): void {
    const owner = this.ownerOf(service, name);
    increment(owner.broken, how);
    if (LOSSES.has(how)) owner.lost++;
  }

  /** Counts a client that has stopped sending or reading. */
  clientStopped(service: string | undefined, what: string): void {
    increment(this.ownerOf(service).stopped, what);
  }

  /** Sets how many connections of clients that have stopped reading are still open. */
  stuckClients(count: number): void {
    this.stuck = count;
  }

  /** Notes how long a change of the store took until it was on disk. */
  wrote(ms: number): void {
    this.storeWrites.observe(ms / 1000);
  }

  /** Counts a read or a write of the store that has failed. */
  failed(what: "read" | "write"): void {
    this.storeErrors[what]++;
  }

  /** All that have series of their own, and the one that the others share. */
  get owners(): Iterable<Owner> {
    return this.#owners.values();
  }

  /** What counts for a revision. A revision's name is unique, also among those of other services. */
  ownerOf(service = NONE, revision = NONE): Owner {
    const key = revision === NONE ? `/${service}` : revision;
    const found = this.#owners.get(key);
    if (found !== undefined) return found;
    const own = this.#owners.size - (this.#owners.has(`/${OTHER_SERVICE}`) ? 1 : 0);
    if (own >= MAX_OWNERS && service !== OTHER_SERVICE) return this.ownerOf(OTHER_SERVICE);
    const owner = new Owner(service, revision);
    this.#owners.set(key, owner);
    return owner;
  }

  /** Drops the series of a service that was deleted. */
  forget(service: string): void {
    for (const [key, owner] of this.#owners) {
      if (owner.service === service && service !== OTHER_SERVICE) this.#owners.delete(key);
    }
  }

  /** Drops the series of what is gone, and was gone at the last call. */
  prune(isGone: (owner: Owner) => boolean): void {
    for (const [key, owner] of this.#owners) {
      const isLeaving = isGone(owner);
      if (isLeaving && owner.isLeaving) this.#owners.delete(key);
      else owner.isLeaving = isLeaving;
    }
  }
}

function isUsual(status: number): boolean {
  return Number.isInteger(status) && status >= 100 && status <= 599;
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
