import type { Clock } from "../../base/clock.ts";
import type { Visits } from "../../pool/instance.ts";
import { dayNumberOf } from "./periods.ts";
import type { GapCount, IdleRecord, NewFigures } from "./records.ts";

/** Shorter gaps are not counted. */
const MIN_GAP_MS = 1000;
/** Each bucket ends at a fourth root of 2 times the end of the one before; the first at 1 s. */
const BUCKETS_PER_DOUBLING = 4;
/** Ends at 95 days. Longer gaps are in it too. */
const LAST_BUCKET = 92;
/** While nothing can be stored, at most this many counts are retained. */
const MAX_PENDING = 10_000;

/** What {@linkcode IdleGaps} works with. */
export interface IdleGapsOptions {
  readonly clock: Pick<Clock, "now">;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/**
 * Counts, by day and length, the gaps between the requests of services: the times in which a service had no request
 * until the next one came. A gap is counted on the day on which it ends. Requests that wake nothing end none. A gap goes
 * on while cless does not run, unless cless was ended in the middle of a request; if it was killed, the gap may be up to
 * a minute too long. `Figures` stores the counts.
 */
export class IdleGaps {
  readonly #options: IdleGapsOptions;
  readonly #services = new Map<string, ServiceVisits>();
  #pending = new Map<string, GapCount>();
  /** Those of which a request has come or gone since {@linkcode clean}. */
  #changed = new Set<ServiceVisits>();

  constructor(options: IdleGapsOptions) {
    this.#options = options;
  }

  /** Takes what an earlier process has stored. */
  load(records: readonly IdleRecord[]): void {
    const { clock, now } = this.#options;
    for (const { idleSince, service, since } of records) {
      const idleMs = idleSince === undefined ? undefined : now() - idleSince;
      // The clock may have been set back.
      const idleSinceMs = idleMs === undefined || idleMs < 0 ? undefined : clock.now() - idleMs;
      // Its pool may have been made already.
      this.#services.getOrInsertComputed(service, () => new ServiceVisits(service, since, this))
        .resume(since, idleSinceMs);
    }
  }

  /** Counts the requests of a service. */
  of(service: string): Visits {
    return this.#services.getOrInsertComputed(service, () => new ServiceVisits(service, this.#options.now(), this));
  }

  /** When the requests of a service were first counted, and for how long it has had none; `undefined` if never. */
  idle(service: string): { readonly since: number; readonly idleMs: number } | undefined {
    const visits = this.#services.get(service);
    if (visits === undefined) return undefined;
    const { idleSinceMs, since } = visits;
    return { since, idleMs: idleSinceMs === undefined ? 0 : this.#options.clock.now() - idleSinceMs };
  }

  get hasPending(): boolean {
    return this.#changed.size > 0;
  }

  /** What is not stored yet. */
  get pending(): Required<Pick<NewFigures, "gaps" | "idle">> {
    const { clock, now } = this.#options;
    const wallMs = now() - clock.now();
    const idle = Array.from(this.#changed, ({ idleSinceMs, service, since }): IdleRecord => {
      return { service, since, idleSince: idleSinceMs === undefined ? undefined : Math.round(idleSinceMs + wallMs) };
    });
    return { gaps: [...this.#pending.values()], idle };
  }

  /** Notes that it is stored. */
  clean(): void {
    this.#pending = new Map();
    for (const visits of this.#changed) visits.isChanged = false;
    this.#changed = new Set();
  }

  forget(service: string): void {
    const visits = this.#services.get(service);
    if (visits === undefined) return;
    this.#services.delete(service);
    this.#changed.delete(visits);
    for (const [key, count] of this.#pending) if (count.service === service) this.#pending.delete(key);
  }

  /** Clock ms. */
  nowMs(): number {
    return this.#options.clock.now();
  }

  /** Notes that a request has come to an idle service, or that it has become idle. */
  changed(visits: ServiceVisits): void {
    // The last requests of a service that was deleted do not count.
    if (this.#services.get(visits.service) === visits) this.#changed.add(visits);
  }

  /** Counts a gap that has ended. */
  ended(visits: ServiceVisits, ms: number): void {
    const { service } = visits;
    if (ms < MIN_GAP_MS || this.#services.get(service) !== visits) return;
    const [day, bucket] = [dayNumberOf(this.#options.now()), gapBucketOf(ms)];
    const key = `${service} ${day} ${bucket}`;
    const { count = 0, seconds = 0 } = this.#pending.get(key) ?? {};
    if (count === 0 && this.#pending.size >= MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value!);
    this.#pending.set(key, { service, day, bucket, count: count + 1, seconds: seconds + ms / 1000 });
  }
}

/** The requests of a service that wait or are in flight. */
class ServiceVisits implements Visits {
  readonly service: string;
  /** When its requests were first counted; wall-clock time, ms since 1970. */
  since: number;
  /** Since when it has had none, clock ms; `undefined` if it has some, or that is not known. */
  idleSinceMs: number | undefined;
  isChanged = false;
  readonly #gaps: IdleGaps;
  #count = 0;

  constructor(service: string, since: number, gaps: IdleGaps) {
    this.service = service;
    this.since = since;
    this.#gaps = gaps;
  }

  /** Goes on with what an earlier process knew, unless a request has come already. */
  resume(since: number, idleSinceMs: number | undefined): void {
    this.since = since;
    if (!this.isChanged) this.idleSinceMs = idleSinceMs;
  }

  came(): void {
    if (this.#count++ > 0) return;
    if (this.idleSinceMs !== undefined) this.#gaps.ended(this, this.#gaps.nowMs() - this.idleSinceMs);
    this.idleSinceMs = undefined;
    this.#change();
  }

  left(nowMs: number): void {
    if (--this.#count > 0) return;
    this.idleSinceMs = nowMs;
    this.#change();
  }

  #change(): void {
    if (this.isChanged) return;
    this.isChanged = true;
    this.#gaps.changed(this);
  }
}

/** The bucket of a gap. */
export function gapBucketOf(ms: number): number {
  return Math.min(LAST_BUCKET, Math.max(0, Math.ceil(BUCKETS_PER_DOUBLING * Math.log2(ms / 1000))));
}

/** The longest gap in a bucket, seconds; `Infinity` for the last one. */
export function gapEndOf(bucket: number): number {
  return bucket >= LAST_BUCKET ? Infinity : 2 ** (bucket / BUCKETS_PER_DOUBLING);
}
