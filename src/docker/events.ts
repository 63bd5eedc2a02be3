import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { ContainerEvent } from "../pool/launcher.ts";
import type { EngineEvent } from "./engine_api.ts";

const log = logger("events");
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;
/** If a stream lasted this long, the back-off before the next one begins anew. */
const GOOD_MS = 10_000;

/** Where events come from. @typeParam E The events. */
interface EventSource<E> {
  /** See `EngineApi.events`. */
  events(since: string, signal: AbortSignal): Promise<AsyncIterable<E>>;
}

export interface EventListener<E = EngineEvent> {
  event(event: E): void;
  /** Called when events may have been missed. */
  gap(): void;
}

/** The events of an engine, or of a Swarm, as they happen. After a failure and a back-off, the stream resumes where it ended. */
export class EventStream<E extends Pick<EngineEvent, "time"> = EngineEvent> {
  readonly #api: EventSource<E>;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  /** Whether events are being received. */
  live = false;
  #running: Promise<void> = Promise.resolve();
  /** The time of the last event by the engine's clock, at first that of this process; seconds since 1970. */
  #since = (Date.now() / 1000).toFixed(3);

  constructor(api: EventSource<E>, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  start(listener: EventListener<E>): void {
    this.#running = this.#run(listener);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(listener: EventListener<E>): Promise<void> {
    const { signal } = this.#stopping;
    for (let waitMs = FIRST_RETRY_MS, again = false;; again = true) {
      const began = this.#clock.now();
      try {
        const events = await this.#api.events(this.#since, signal);
        this.live = true;
        if (again) listener.gap();
        for await (const event of events) {
          this.#since = event.time ?? this.#since;
          listener.event(event);
        }
      } catch (error) {
        if (!signal.aborted) log.debug("event stream failed", { reason: messageOf(error) });
      }
      this.live = false;
      if (signal.aborted) return;
      if (this.#clock.now() - began > GOOD_MS) waitMs = FIRST_RETRY_MS;
      log.warning("the engine's events have ended; listening again", { afterMs: waitMs });
      listener.gap();
      await delay(this.#clock, waitMs, signal);
      if (signal.aborted) return;
      waitMs = Math.min(MAX_RETRY_MS, waitMs * 2);
    }
  }
}

const WHAT: Record<string, ContainerEvent["what"]> = {
  pause: "paused",
  unpause: "resumed",
  die: "ended",
};

/**
 * If a container ends within this time after a signal, the signal counts as the cause: an app may take a while to end.
 */
const SIGNAL_HOLDS_MS = 60_000;
/** The same for an out-of-memory event: an engine under load reports the end late. */
const OUT_OF_MEMORY_HOLDS_MS = 5000;
/** The exit code of a process that was killed. */
const KILLED = 137;

/** When a container last had an event that may explain its end. */
interface Causes {
  readonly signalAt: number;
  readonly outOfMemoryAt: number;
}

/**
 * Translates the engine's events into events of containers. Earlier events tell why a container has ended: `oom` when
 * the kernel killed one of its processes, `kill` for each signal that somebody sent through the engine. If a container
 * ends by itself, there is neither.
 */
export class ContainerEvents {
  readonly #clock: Pick<Clock, "now">;
  /** By container, the oldest first. */
  readonly #causes = new Map<string, Causes>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** Takes an event. @returns `undefined` if it changes no container's state, or names no container. */
  read(action: string, { name, exitCode }: Readonly<Record<string, string>>): ContainerEvent | undefined {
    if (name === undefined) return undefined;
    const now = this.#clock.now();
    const causes = this.#causes.get(name) ?? { signalAt: -Infinity, outOfMemoryAt: -Infinity };
    if (action === "oom") this.#note(name, { ...causes, outOfMemoryAt: now });
    if (action === "kill") this.#note(name, { ...causes, signalAt: now });
    const what = WHAT[action];
    if (what !== "ended") return what && { id: name, what };
    this.#causes.delete(name);
    const byHand = now - causes.signalAt <= SIGNAL_HOLDS_MS;
    // An app may survive the kill of one of its processes, and end later for another reason.
    const oom = !byHand && now - causes.outOfMemoryAt <= OUT_OF_MEMORY_HOLDS_MS && exitCode === `${KILLED}`;
    return { id: name, what, byHand, oom, ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }) };
  }

  /** Notes the possible causes of a container's end, and forgets outdated ones. */
  #note(name: string, causes: Causes): void {
    this.#causes.delete(name);
    this.#causes.set(name, causes);
    for (const [name, { outOfMemoryAt, signalAt }] of this.#causes) {
      if (this.#clock.now() - Math.max(outOfMemoryAt, signalAt) <= SIGNAL_HOLDS_MS) break;
      this.#causes.delete(name);
    }
  }
}
