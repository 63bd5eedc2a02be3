import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { canonicalTime } from "../model/time.ts";
import type { ServiceLogLine } from "./instance_output.ts";
import { Merge } from "./merge.ts";
import type { ServiceLogOptions, ServiceLogs } from "./service_logs.ts";

/** In place of an instance's id, this says that a line is of cless itself: it tells which machine's lines are missing. */
export const NOTE = "cless";

/** While lines are followed, a machine that does not answer is asked again after this time, and new ones are looked for. */
const RETRY_MS = 2000;
/** After a break, lines are read again from this long before the last one. */
const OVERLAP_MS = 1000;

/** The logs of the same services on other machines. */
export interface OtherLogs {
  /** The machines, each by an id. */
  readonly machines: readonly string[];
  /** The lines of a machine. The iteration rejects if it does not answer, with the reason for its operator. */
  read(machine: string, service: string, options: ServiceLogOptions): AsyncIterable<ServiceLogLine>;
  /** A machine's hostname. Never rejects. */
  nameOf(machine: string): Promise<string>;
}

/** The output of the instances of a service on all machines. What a machine does not give is named in a line of cless. */
export class ClusterLogs {
  readonly #own: Pick<ServiceLogs, "read">;
  readonly #others: OtherLogs;
  readonly #clock: Clock;
  readonly #now: () => number;

  /** @param own Those of this machine. @param now Wall-clock time, ms since 1970. */
  constructor(own: Pick<ServiceLogs, "read">, others: OtherLogs, clock: Clock, now: () => number = Date.now) {
    this.#own = own;
    this.#others = others;
    this.#clock = clock;
    this.#now = now;
  }

  /**
   * As of one machine, one machine after the other. With `follow`, the lines of the machines come as they arrive.
   *
   * @throws {InvalidError} When `since` is neither a time nor a duration.
   */
  read(service: string, options: ServiceLogOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const own = (signal: AbortSignal) => this.#own.read(service, { ...options, signal });
    const first = own(options.signal); // finds a wrong option
    return options.follow ? this.#follow(own, service, options) : this.#past(first, service, options);
  }

  async *#past(own: AsyncIterable<ServiceLogLine>, service: string, options: ServiceLogOptions) {
    yield* own;
    for (const machine of this.#others.machines) {
      try {
        yield* this.#others.read(machine, service, options);
      } catch (error) {
        if (options.signal.aborted) return;
        yield await this.#missing(machine, error);
      }
    }
  }

  async *#follow(
    own: (signal: AbortSignal) => AsyncIterator<ServiceLogLine>,
    service: string,
    options: ServiceLogOptions,
  ): AsyncGenerator<ServiceLogLine, void, void> {
    const over = new AbortController();
    const signal = AbortSignal.any([options.signal, over.signal]);
    const lines = new Merge<ServiceLogLine>(signal);
    const known = new Set<string>();
    const look = () => {
      for (const machine of this.#others.machines) {
        if (known.has(machine)) continue;
        known.add(machine);
        lines.add(this.#followAt(machine, service, { ...options, signal }));
      }
    };
    const stopLooking = this.#clock.every(RETRY_MS, look);
    try {
      lines.add(own(signal));
      look();
      yield* lines;
    } finally {
      stopLooking();
      over.abort();
      await lines.close();
    }
  }

  /** Follows the lines of a machine, and goes on where it was when the machine answers again. Never rejects. */
  async *#followAt(
    machine: string,
    service: string,
    wanted: ServiceLogOptions,
  ): AsyncGenerator<ServiceLogLine, void, void> {
    const { signal } = wanted;
    /** The time of the last line of each stream. */
    const last = new Map<string, string>();
    let isTold = false;
    for (;;) {
      const before = new Map(last);
      let failure: unknown = new Error("its cless has stopped");
      try {
        for await (const line of this.#others.read(machine, service, onward(wanted, before))) {
          isTold = false;
          const stream = `${line.instance} ${line.stream}`;
          if (line.time !== undefined) {
            if (line.time <= (before.get(stream) ?? "")) continue;
            last.set(stream, line.time);
          }
          yield line;
        }
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) return;
      if (!isTold) yield await this.#missing(machine, failure);
      isTold = true;
      await delay(this.#clock, RETRY_MS, signal);
      if (signal.aborted) return;
    }
  }

  async #missing(machine: string, error: unknown): Promise<ServiceLogLine> {
    const text = `the output of ${await this.#others.nameOf(machine)} is missing: ${messageOf(error)}`;
    const time = canonicalTime(new Date(this.#now()).toISOString());
    return { instance: NOTE, revision: "", stream: "stderr", time, text };
  }
}

/** The options for going on after the last lines that were read, if there were any. */
function onward(wanted: ServiceLogOptions, last: ReadonlyMap<string, string>): ServiceLogOptions {
  if (last.size === 0) return wanted;
  const { tail: _, ...options } = wanted;
  const newest = [...last.values()].reduce((a, b) => a > b ? a : b);
  return { ...options, since: new Date(Date.parse(`${newest.slice(0, 23)}Z`) - OVERLAP_MS).toISOString() };
}
