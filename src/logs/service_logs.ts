import { parseDuration } from "../model/duration.ts";
import { canonicalTime } from "../model/timestamp.ts";
import type { Clock } from "../base/clock.ts";
import { InstanceOutput, type InstanceOutputs, type OutputOwner, type ServiceLogLine } from "./instance_output.ts";
import { Interleaver } from "./interleaver.ts";
import { LastLines } from "./last_lines.ts";
import { InvalidError } from "../control/schema/invalid.ts";

/** How long a new line waits for earlier ones of other instances, ms. */
const HOLD_MS = 50;
/** How much text the last lines of several instances may have in all; the last ones count. */
const MOST_TAIL_BYTES = 16 * 1024 * 1024;

/** Which lines are read. */
export interface ServiceLogOptions {
  /** Whether to go on with what the instances write from now on, also those that start later. */
  readonly follow: boolean;
  /** How many of the last lines to begin with, of all instances together; all where it is `undefined`. */
  readonly tail: number | undefined;
  /** Only lines from then on: RFC 3339, or how long ago, such as `10m`. */
  readonly since: string | undefined;
  /** Ends the lines, without an error. */
  readonly signal: AbortSignal;
  /** Only the instances of this revision. */
  readonly revision?: string;
}

/** What {@linkcode ServiceLogs} works with. */
export interface ServiceLogParts {
  readonly outputs: InstanceOutputs;
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** What the instances of a service write. */
export class ServiceLogs {
  readonly #parts: ServiceLogParts;

  constructor(parts: ServiceLogParts) {
    this.#parts = parts;
  }

  /**
   * The lines of all instances of a service in the order of their times, also of those that have ended and of whose output
   * something is kept. Nothing is read before it is asked for, and little in advance. They end when the signal is aborted,
   * when the reader breaks off, and where nothing is followed, with the last one; nothing is left then.
   *
   * @throws {InvalidError} When `since` is neither a time nor a duration.
   * @throws From the iteration, when nothing is followed and the output of no instance at all can be read.
   */
  read(service: string, options: ServiceLogOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const { since } = options;
    return this.#read(service, options, since === undefined ? {} : { since: sinceTime(since, this.#parts.now()) });
  }

  async *#read(
    service: string,
    { follow, revision, signal: wanted, tail }: ServiceLogOptions,
    since: { since?: string },
  ): AsyncGenerator<ServiceLogLine, void, void> {
    if (wanted.aborted) return;
    const { clock, outputs } = this.#parts;
    const over = new AbortController();
    const signal = AbortSignal.any([wanted, over.signal]);
    const isWanted = (owner: OutputOwner) => revision === undefined || owner.revision === revision;
    const started = new Map<string, OutputOwner>();
    const followed = new Set<string>();
    const live = new Interleaver<ServiceLogLine>({ clock, signal, holdMs: HOLD_MS });
    const goOn = (output: InstanceOutput, tail?: number) => {
      followed.add(output.owner.id);
      live.add(output.live({ ...since, signal, ...(tail === undefined ? {} : { tail }) }));
    };
    let begin = (owner: OutputOwner) => void started.set(owner.id, owner);
    const unwatch = follow ? outputs.watch(service, (owner) => isWanted(owner) && begin(owner)) : undefined;
    try {
      const there = outputs.list(service).filter(isWanted).map((owner) => new InstanceOutput(owner, outputs));
      if (tail !== 0) yield* this.#past(there, tail, { ...since, signal });
      const failures = there.flatMap(({ failure }) => failure ?? []);
      if (!follow && failures.length > 0 && failures.length === there.length) throw failures[0];
      if (!follow) return;
      for (const output of there) {
        // One that could not be read was perhaps not there yet.
        if (output.owner.endedAt === undefined && output.failure === undefined) {
          goOn(output, tail === 0 ? 0 : undefined);
        }
      }
      begin = (owner) => {
        if (!followed.has(owner.id)) goOn(new InstanceOutput(owner, outputs));
      };
      for (const owner of started.values()) begin(owner);
      for (let line = await live.next(); line !== undefined; line = await live.next()) yield line;
    } finally {
      unwatch?.();
      over.abort();
      await live.close();
    }
  }

  async *#past(
    there: readonly InstanceOutput[],
    tail: number | undefined,
    { since, signal: wanted }: { since?: string; signal: AbortSignal },
  ): AsyncGenerator<ServiceLogLine, void, void> {
    const over = new AbortController();
    const signal = AbortSignal.any([wanted, over.signal]);
    const options = { signal, ...(since === undefined ? {} : { since }), ...(tail === undefined ? {} : { tail }) };
    const past = new Interleaver<ServiceLogLine>({ clock: this.#parts.clock, signal });
    const last = tail === undefined || there.length === 1
      ? undefined
      : new LastLines<ServiceLogLine>(tail, MOST_TAIL_BYTES);
    try {
      for (const output of there) past.add(output.past(options));
      for (let line = await past.next(); line !== undefined; line = await past.next()) {
        if (last === undefined) yield line;
        else last.push(line);
      }
    } finally {
      over.abort();
      await past.close();
    }
    for (const line of last?.list() ?? []) {
      if (wanted.aborted) return;
      yield line;
    }
  }
}

/** The moment that `since` means. */
function sinceTime(text: string, now: number): string {
  const time = canonicalTime(text);
  if (time !== undefined) return time;
  try {
    const ms = parseDuration(text);
    if (ms !== Infinity) return canonicalTime(new Date(now - ms).toISOString())!;
  } catch {
    // The message below says more.
  }
  throw new InvalidError(["since"], "must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m");
}
