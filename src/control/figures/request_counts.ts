import { bucketOf, type Histogram, LAST_BUCKET, quantileOf } from "./histogram.ts";
import type { RequestCount } from "./records.ts";

/** The last requests are counted in slots of this length. A minute of the wall clock begins with a slot. */
const SLOT_MS = 5000;
const SLOTS_PER_MINUTE = 12;
/** Those of a minute, and the one under way. */
const SLOTS = SLOTS_PER_MINUTE + 1;
/** A rate is that of so many slots. */
const RATE_SLOTS = 2;
/** The first bucket of the histogram ends at 125 µs. */
const FIRST_BUCKET = -12;
/** Where the numbers of a slot are: requests, errors, and the buckets of the histogram. */
const [REQUESTS, ERRORS, BUCKETS] = [0, 1, 2] as const;
const WIDTH = BUCKETS + LAST_BUCKET - FIRST_BUCKET + 1;
/** While nothing can be stored, the sums of at most this many minutes are retained of each service. */
const MAX_FINISHED = 60;

/** The last requests of a service. */
export interface RecentRequests {
  /** Over the last 10 s. */
  readonly requestsPerSecond: number;
  /** The same for answers with a status of 500 or more. */
  readonly errorsPerSecond: number;
  /** The time to the answer's head in the last minute, within 10%; `undefined` if there was no request. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

const NONE: RecentRequests = { requestsPerSecond: 0, errorsPerSecond: 0, p50Ms: undefined, p99Ms: undefined };

/**
 * Counts the requests of each service: those of the last minute, and sums by minute until they are stored, see
 * `Figures`. A request costs a few additions, and no memory.
 */
export class RequestCounts {
  readonly #now: () => number;
  readonly #known: { get(service: string): unknown };
  readonly #services = new Map<string, ServiceCounts>();

  /**
   * @param now Wall-clock time, ms since 1970.
   * @param known The services. Requests of others are not counted, such as the last ones of a service that was deleted.
   */
  constructor(now: () => number, known: { get(service: string): unknown }) {
    this.#now = now;
    this.#known = known;
  }

  /** Counts an answered request. @param ms The time to the answer's head. */
  requested(service: string, status: number, ms: number): void {
    (this.#services.get(service) ?? this.#begin(service))?.count(this.#now(), status, ms);
  }

  /** The requests of a service in the last seconds. */
  recent(service: string): RecentRequests {
    return this.#services.get(service)?.recent(this.#now()) ?? NONE;
  }

  /** The sums that are not stored yet. */
  get pending(): RequestCount[] {
    return Array.from(this.#services, ([service, counts]) => counts.pending(service)).flat();
  }

  /** Notes that they are stored. */
  clean(): void {
    const now = this.#now();
    for (const [service, counts] of this.#services) {
      counts.clean();
      if (counts.isQuiet(now)) this.#services.delete(service);
    }
  }

  forget(service: string): void {
    this.#services.delete(service);
  }

  #begin(service: string): ServiceCounts | undefined {
    if (this.#known.get(service) === undefined) return undefined;
    const counts = new ServiceCounts(slotOf(this.#now()));
    this.#services.set(service, counts);
    return counts;
  }
}

/** The requests of one service. */
class ServiceCounts {
  /** A ring of slots: the place of a slot follows from its number. */
  readonly #slots = new Uint32Array(SLOTS * WIDTH);
  /** The number of the newest slot, counted since 1970. */
  #slot: number;
  /** What is to be stored of the minute of the newest slot. */
  readonly #sums = new Uint32Array(WIDTH);
  /** What is to be stored of earlier minutes. */
  readonly #finished: Omit<RequestCount, "service">[] = [];

  constructor(slot: number) {
    this.#slot = slot;
  }

  count(now: number, status: number, ms: number): void {
    const slot = slotOf(now);
    if (slot !== this.#slot) this.#turn(slot);
    const at = placeOf(slot);
    const bucket = BUCKETS + bucketOf(ms, FIRST_BUCKET) - FIRST_BUCKET;
    this.#slots[at + REQUESTS]!++;
    this.#slots[at + bucket]!++;
    this.#sums[REQUESTS]!++;
    this.#sums[bucket]!++;
    if (status < 500) return;
    this.#slots[at + ERRORS]!++;
    this.#sums[ERRORS]!++;
  }

  recent(now: number): RecentRequests {
    const slot = slotOf(now);
    if (slot !== this.#slot) this.#turn(slot);
    const sums = new Uint32Array(WIDTH);
    for (let at = 0; at < SLOTS * WIDTH; at += WIDTH) {
      for (let n = 0; n < WIDTH; n++) sums[n]! += this.#slots[at + n]!;
    }
    if (sums[REQUESTS] === 0) return NONE;
    const histogram = histogramOf(sums);
    return {
      requestsPerSecond: this.#rate(REQUESTS, now),
      errorsPerSecond: this.#rate(ERRORS, now),
      p50Ms: quantileOf(histogram, 0.5),
      p99Ms: quantileOf(histogram, 0.99),
    };
  }

  pending(service: string): RequestCount[] {
    const finished = this.#finished.map((count) => ({ service, ...count }));
    return this.#sums[REQUESTS] === 0 ? finished : [...finished, { service, ...this.#sum() }];
  }

  clean(): void {
    this.#finished.length = 0;
    this.#sums.fill(0);
  }

  /** Whether there was no request in the last minute. */
  isQuiet(now: number): boolean {
    return Math.abs(slotOf(now) - this.#slot) >= SLOTS;
  }

  /** Per second, over the slots before the one under way; the latter takes the place of as much of the oldest. */
  #rate(what: number, now: number): number {
    const of = (ago: number) => this.#slots[placeOf(this.#slot + SLOTS - ago) + what]!;
    let sum = of(RATE_SLOTS) * (1 - (now % SLOT_MS) / SLOT_MS);
    for (let ago = 0; ago < RATE_SLOTS; ago++) sum += of(ago);
    return Number((sum * 1000 / (RATE_SLOTS * SLOT_MS)).toPrecision(3));
  }

  /** Begins a slot, and a minute if it is the first one of that. */
  #turn(slot: number): void {
    const passed = slot - this.#slot;
    if (passed < 0 || passed >= SLOTS) this.#slots.fill(0); // the clock may have been set back
    else for (let n = this.#slot + 1; n <= slot; n++) this.#slots.fill(0, placeOf(n), placeOf(n) + WIDTH);
    if (minuteOfSlot(slot) !== minuteOfSlot(this.#slot) && this.#sums[REQUESTS] !== 0) {
      this.#finished.push(this.#sum());
      if (this.#finished.length > MAX_FINISHED) this.#finished.shift();
      this.#sums.fill(0);
    }
    this.#slot = slot;
  }

  #sum(): Omit<RequestCount, "service"> {
    return {
      minute: minuteOfSlot(this.#slot),
      requests: this.#sums[REQUESTS]!,
      errors: this.#sums[ERRORS]!,
      latencies: histogramOf(this.#sums),
    };
  }
}

function slotOf(now: number): number {
  return Math.floor(now / SLOT_MS);
}

function minuteOfSlot(slot: number): number {
  return Math.floor(slot / SLOTS_PER_MINUTE);
}

/** Where the numbers of a slot begin in the ring. */
function placeOf(slot: number): number {
  return slot % SLOTS * WIDTH;
}

function histogramOf(sums: Uint32Array): Histogram {
  const histogram: [number, number][] = [];
  for (let at: number = BUCKETS; at < WIDTH; at++) {
    if (sums[at] !== 0) histogram.push([at - BUCKETS + FIRST_BUCKET, sums[at]!]);
  }
  return histogram;
}
