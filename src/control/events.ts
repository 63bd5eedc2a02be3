import type { Clock } from "../base/clock.ts";
import { defined } from "../model/defined.ts";
import type { Revision } from "../model/revision.ts";
import { CRASH_LOOP, type Failure } from "../pool/start_backoff.ts";
import type { Instance } from "../pool/instance.ts";
import { outputLines } from "./deploy_error.ts";

const TICK_MS = 1000;
/**
 * How many ids there are per millisecond. The first id of a process comes from the time of its start. So a later
 * process begins with higher ids, unless the earlier one had more events per millisecond than this.
 */
const IDS_PER_MS = 1000;

/** What has happened to a service, a revision or an instance. */
export type EventType =
  | "service.created"
  | "service.changed"
  | "service.deleted"
  | "service.state"
  | "service.waiting"
  | "revision.pulling"
  | "revision.starting"
  | "revision.warning"
  | "revision.ready"
  | "revision.failed"
  | "revision.deleted"
  | "traffic.changed"
  | "instance.starting"
  | "instance.ready"
  | "instance.paused"
  | "instance.hibernated"
  | "instance.draining"
  | "instance.stopped"
  | "instance.failed"
  | "exec.started"
  | "exec.ended"
  | "stats";

/** Something that has happened. */
export interface ClessEvent {
  /** Increases, also across restarts. `undefined` for what is not kept: stats ticks, and progress. */
  readonly id: number | undefined;
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  readonly type: EventType;
  readonly service: string | undefined;
  /** Depends on the type; never contains the value of an environment variable. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** The subscription ended because the subscriber read its events too slowly. */
export class SlowSubscriber extends Error {
  override readonly name = "SlowSubscriber";
}

/** Options of {@linkcode EventLog}. */
export interface EventLogOptions {
  /** How many events are kept for later subscribers. */
  readonly ringSize?: number;
  /** How many events may wait for a subscriber. If there are more, it is too slow. */
  readonly maxPending?: number;
}

/** Options of {@linkcode EventLog.subscribe}. */
export interface SubscribeOptions {
  /** The id of the last event that the subscriber got; it may come from an earlier process. */
  readonly after?: number;
  /** Whether to wait for new events after the kept ones; true by default. */
  readonly follow?: boolean;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
  /** The data of a stats tick each second; missing for no ticks. */
  readonly statistics?: { read(): Record<string, unknown> };
}

/** Passes events on to subscribers, and keeps the last events for subscribers that reconnect. */
export class EventLog {
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #ringSize: number;
  readonly #maxPending: number;
  readonly #ring: ClessEvent[] = [];
  readonly #subscribers = new Set<Subscriber>();
  readonly #onTick: (() => void)[] = [];
  readonly #firstId: number;
  #nextId: number;
  #stopTicking: (() => void) | undefined;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(clock: Clock, now: () => number, { ringSize = 1000, maxPending = 256 }: EventLogOptions = {}) {
    this.#clock = clock;
    this.#now = now;
    this.#ringSize = ringSize;
    this.#maxPending = maxPending;
    this.#firstId = this.#nextId = Math.floor(now()) * IDS_PER_MS;
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Passes an event on to all subscribers, and keeps it. */
  emit(type: EventType, service: string, data: Record<string, unknown>): void {
    const event: ClessEvent = { id: this.#nextId++, at: this.#now(), type, service, data };
    this.#ring.push(event);
    if (this.#ring.length > this.#ringSize) this.#ring.shift();
    for (const subscriber of this.#subscribers) subscriber.push(event);
  }

  /** Passes an event on to the present subscribers, and does not keep it. */
  tell(type: EventType, service: string, data: Record<string, unknown>): void {
    if (this.#subscribers.size === 0) return;
    const event: ClessEvent = { id: undefined, at: this.#now(), type, service, data };
    for (const subscriber of this.#subscribers) subscriber.push(event);
  }

  /** Calls back each second while there are subscribers. */
  onTick(callback: () => void): void {
    this.#onTick.push(callback);
  }

  /**
   * The kept events after the id `after`, then all new events. If `after` is from another process, it begins with all
   * kept events. Can be iterated over once. Leaving the loop or aborting the signal ends the subscription. Without
   * `follow`, it ends after the kept events.
   *
   * @throws {SlowSubscriber} From the iteration, after the events that were waiting.
   */
  subscribe(options: SubscribeOptions): AsyncIterableIterator<ClessEvent> {
    const missed = options.after === undefined ? [] : this.#after(options.after);
    const subscriber = new Subscriber(options, missed, this.#maxPending, this.#leave);
    if (options.signal.aborted || options.follow === false) return subscriber;
    this.#subscribers.add(subscriber);
    this.#stopTicking ??= this.#clock.every(TICK_MS, () => {
      const at = this.#now();
      for (const ticking of this.#subscribers) ticking.tick(at);
      for (const callback of this.#onTick) callback();
    });
    return subscriber;
  }

  #after(id: number): ClessEvent[] {
    const ours = id >= this.#firstId && id < this.#nextId;
    return ours ? this.#ring.filter((event) => event.id! > id) : [...this.#ring];
  }

  /** Ends a subscription; does nothing if it has ended. */
  readonly #leave = (subscriber: Subscriber): void => {
    if (!this.#subscribers.delete(subscriber) || this.#subscribers.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  };
}

/** One reader of events, with its waiting events. */
class Subscriber implements AsyncIterableIterator<ClessEvent> {
  readonly #options: SubscribeOptions;
  readonly #maxPending: number;
  /** Called when the subscription ends; may be called again. */
  readonly #leave: (subscriber: Subscriber) => void;
  #pending: ClessEvent[];
  /** How many of the waiting events are older than the subscription. They do not count towards the limit. */
  #missed: number;
  /** Whether there will be no more events than the waiting ones. */
  #ended: boolean;
  #slow = false;
  readonly #waiting: ((result: IteratorResult<ClessEvent>) => void)[] = [];
  readonly #stop = () => this.#end();

  constructor(
    options: SubscribeOptions,
    missed: ClessEvent[],
    maxPending: number,
    leave: (subscriber: Subscriber) => void,
  ) {
    this.#options = options;
    this.#maxPending = maxPending;
    this.#leave = leave;
    this.#pending = missed;
    this.#missed = missed.length;
    this.#ended = options.follow === false;
    if (options.signal.aborted) this.#end();
    else options.signal.addEventListener("abort", this.#stop, { once: true });
  }

  push(event: ClessEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting({ done: false, value: event });
    else if (this.#pending.length - this.#missed < this.#maxPending) this.#pending.push(event);
    else {
      this.#slow = true;
      this.#leave(this);
    }
  }

  tick(at: number): void {
    const data = this.#options.statistics?.read();
    if (data !== undefined) this.push({ id: undefined, at, type: "stats", service: undefined, data });
  }

  next(): Promise<IteratorResult<ClessEvent>> {
    const value = this.#pending.shift();
    if (this.#missed > 0) this.#missed--;
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#slow) {
      this.#end();
      return Promise.reject(new SlowSubscriber("Cannot keep the events any longer: they are not read in time"));
    }
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
    this.#pending = [];
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#leave(this);
  }
}

/** Emits events about instances. */
export class InstanceEvents {
  readonly #log: Pick<EventLog, "emit">;

  constructor(log: Pick<EventLog, "emit">) {
    this.#log = log;
  }

  changed({ id, state, coldStartMs, failure, revision }: Instance): void {
    const data = {
      instance: id,
      revision: revision.name,
      coldStartMs: state === "ready" ? coldStartMs : undefined,
      reason: state === "failed" || state === "stopped" ? failure : undefined,
    };
    this.#log.emit(`instance.${state}`, revision.service, defined(data));
  }

  /** Reports a revision that fails repeatedly. If a new revision fails when it is tried, its deploy reports that. */
  revisionFailed({ name, service }: Revision, { count, output, reason }: Failure): void {
    if (count < CRASH_LOOP) return;
    this.#log.emit("revision.failed", service, { revision: name, reason, output: outputLines(output), count });
  }
}
