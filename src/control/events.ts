import type { Clock } from "../base/clock.ts";
import type { Revision } from "../model/revision.ts";
import { CRASH_LOOP, type Failure } from "../pool/crash_loop.ts";
import type { Instance } from "../pool/instance.ts";
import { linesOf } from "./deploy_error.ts";

const RING_SIZE = 1000;
const MOST_PENDING = 256;
const TICK_MS = 1000;
/** So many events may come in a millisecond before ids could be those of a later process. */
const IDS_PER_MS = 1000;

/** Something that has happened. */
export interface ClessEvent {
  /** Later ones have greater ids, also after a restart; `undefined` for a stats tick, which nobody asks for again. */
  readonly id: number | undefined;
  /** When, ms since 1970. */
  readonly at: number;
  readonly type: EventType;
  readonly service: string | undefined;
  /** What belongs to this type of event; never a value of an environment variable. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A subscriber did not take its events in time, and gets no more. */
export class SlowSubscriber extends Error {
  override readonly name = "SlowSubscriber";
}

/** What an {@linkcode EventLog} works with. */
export interface EventLogParts {
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  /** What a stats tick says. */
  readonly stats: () => Record<string, unknown>;
  /** How many of the last events are kept for those who come later. */
  readonly ringSize?: number;
  /** How many events may wait for a subscriber before it counts as too slow. */
  readonly mostPending?: number;
}

/** Options of {@linkcode EventLog.subscribe}. */
export interface SubscribeOptions {
  /** The id of the last event that the subscriber has had, also from an earlier process. */
  readonly after?: number;
  /** Ends the events, without an error. */
  readonly signal: AbortSignal;
}

/** What happens, told to whoever wants to know; the last events are kept for those who were away. */
export class EventLog {
  readonly #parts: EventLogParts;
  readonly #ring: ClessEvent[] = [];
  readonly #subscribers = new Set<Subscriber>();
  readonly #firstId: number;
  #nextId: number;
  #stopTicking: (() => void) | undefined;

  constructor(parts: EventLogParts) {
    this.#parts = parts;
    this.#firstId = this.#nextId = Math.floor(parts.now()) * IDS_PER_MS;
  }

  /** How many subscribers there are. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Tells all subscribers, and keeps the event in place of the oldest. */
  emit(type: EventType, service: string, data: Record<string, unknown>): void {
    const event: ClessEvent = { id: this.#nextId++, at: this.#parts.now(), type, service, data };
    this.#ring.push(event);
    if (this.#ring.length > (this.#parts.ringSize ?? RING_SIZE)) this.#ring.shift();
    this.#tell(event);
  }

  /**
   * The events from this moment on, before them those that came after `after`, as far as they are kept; where that id is
   * not of this process or too old, all that are kept. Once a second there is a stats tick. They can be iterated over
   * once; whoever breaks off or aborts the signal is no subscriber any more.
   *
   * @throws {SlowSubscriber} From the iteration, after the events that still waited.
   */
  subscribe({ after, signal }: SubscribeOptions): AsyncIterableIterator<ClessEvent> {
    const subscriber = new Subscriber({
      missed: after === undefined ? [] : this.#after(after),
      mostPending: this.#parts.mostPending ?? MOST_PENDING,
      signal,
      leave: (subscriber) => this.#leave(subscriber),
    });
    if (signal.aborted) return subscriber;
    this.#subscribers.add(subscriber);
    this.#stopTicking ??= this.#parts.clock.every(TICK_MS, () => this.#tick());
    return subscriber;
  }

  #after(id: number): ClessEvent[] {
    const ours = id >= this.#firstId && id < this.#nextId;
    return ours ? this.#ring.filter((event) => event.id! > id) : [...this.#ring];
  }

  #tick(): void {
    const { now, stats } = this.#parts;
    this.#tell({ id: undefined, at: now(), type: "stats", service: undefined, data: stats() });
  }

  #tell(event: ClessEvent): void {
    for (const subscriber of this.#subscribers) subscriber.push(event);
  }

  #leave(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber) || this.#subscribers.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  }
}

interface SubscriberParts {
  readonly missed: readonly ClessEvent[];
  readonly mostPending: number;
  readonly signal: AbortSignal;
  /** Is called when no more events are wanted, perhaps more than once. */
  readonly leave: (subscriber: Subscriber) => void;
}

/** One reader of events, and those that wait for it. */
class Subscriber implements AsyncIterableIterator<ClessEvent> {
  readonly #parts: SubscriberParts;
  /** What it has missed, and how much of that it has had; never counted against it. */
  #missed: readonly ClessEvent[];
  #had = 0;
  #pending: ClessEvent[] = [];
  #ended = false;
  #slow = false;
  readonly #waiting: ((result: IteratorResult<ClessEvent>) => void)[] = [];
  readonly #stop = () => this.#end();

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
    this.#missed = parts.missed;
    if (parts.signal.aborted) this.#end();
    else parts.signal.addEventListener("abort", this.#stop, { once: true });
  }

  push(event: ClessEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting({ done: false, value: event });
    else if (this.#pending.length < this.#parts.mostPending) this.#pending.push(event);
    else {
      this.#slow = true;
      this.#parts.leave(this);
    }
  }

  next(): Promise<IteratorResult<ClessEvent>> {
    const value = this.#had < this.#missed.length ? this.#missed[this.#had++] : this.#pending.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#slow) {
      this.#end();
      return Promise.reject(new SlowSubscriber("Cannot keep the events any longer: they are not read in time"));
    }
    this.#missed = [];
    this.#had = 0;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<ClessEvent>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#ended = true;
    this.#missed = this.#pending = [];
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
    this.#parts.signal.removeEventListener("abort", this.#stop);
    this.#parts.leave(this);
  }
}

/** What has happened to a service, a revision or an instance. */
export type EventType =
  | "service.created"
  | "service.changed"
  | "service.deleted"
  | "revision.pulling"
  | "revision.starting"
  | "revision.ready"
  | "revision.failed"
  | "revision.deleted"
  | "traffic.changed"
  | "instance.starting"
  | "instance.ready"
  | "instance.paused"
  | "instance.draining"
  | "instance.stopped"
  | "instance.failed"
  | "stats";

/** Makes events of what happens to instances. */
export class InstanceEvents {
  readonly #log: Pick<EventLog, "emit">;

  constructor(log: Pick<EventLog, "emit">) {
    this.#log = log;
  }

  /** Tells of the new state of an instance. */
  changed({ id, state, coldStartMs, failure, revision }: Instance): void {
    const reason = state === "failed" || state === "stopped" ? failure : undefined;
    this.#log.emit(`instance.${state}`, revision.service, {
      instance: id,
      revision: revision.name,
      ...(state === "ready" && coldStartMs !== undefined ? { coldStartMs } : {}),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Tells of a revision that fails again and again; what a deploy has tried tells of itself. */
  revisionFailed({ name, service }: Revision, { count, output, reason }: Failure): void {
    if (count < CRASH_LOOP) return;
    this.#log.emit("revision.failed", service, { revision: name, reason, output: linesOf(output), count });
  }
}
