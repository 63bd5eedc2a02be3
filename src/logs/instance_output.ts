import { canonicalTime } from "../model/timestamp.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("logs");
/** How far back lines are read again so that none is missed: two streams' lines are not kept strictly in order; ms. */
const OVERLAP_MS = 1000;

/** An instance that has written something, or may. */
export interface OutputOwner {
  readonly id: string;
  readonly revision: string;
  /** When it ended, ms since 1970; missing for one that runs. */
  readonly endedAt?: number;
}

/** A line that an app has written. */
export interface OutputLine {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339, to the nanosecond where that is known. */
  readonly time?: string;
  readonly text: string;
}

/** Which lines of an instance are read. */
export interface OutputOptions {
  /** Whether to go on with what is written from now on, until the instance ends. */
  readonly follow: boolean;
  /** How many of the last lines to begin with; all where it is missing. */
  readonly tail?: number;
  /** Only lines from then on, RFC 3339. */
  readonly since?: string;
  /** Ends the lines, without an error. */
  readonly signal: AbortSignal;
}

/** Where the output of instances is had from. */
export interface InstanceOutputs {
  /** The instances of a service: those that run, and those that have ended and of whose output something is kept. */
  list(service: string): readonly OutputOwner[];
  /** What an instance writes, in each stream's own order; rejects where that cannot be read. */
  read(id: string, options: OutputOptions): AsyncIterable<OutputLine>;
  /** Calls back for each instance of a service that runs from now on; the function that it returns calls that off. */
  watch(service: string, started: (instance: OutputOwner) => void): () => void;
}

/** A line that an instance of a service has written. */
export interface ServiceLogLine extends Omit<OutputLine, "time"> {
  readonly instance: string;
  readonly revision: string;
  readonly time: string | undefined;
}

/** How far a stream has been read: the time of the last line, and how many have had that time. */
interface Place {
  time: string;
  count: number;
}

/** Reads what one instance writes in two goes, what there is and what comes, without a gap and no line twice. */
export class InstanceOutput {
  readonly owner: OutputOwner;
  /** Why it could not be read, if so. */
  failure: unknown;
  readonly #outputs: Pick<InstanceOutputs, "read">;
  readonly #places = new Map<string, Place>();

  constructor(owner: OutputOwner, outputs: Pick<InstanceOutputs, "read">) {
    this.owner = owner;
    this.#outputs = outputs;
  }

  /** What there is now. It does not reject: where that cannot be read, there is nothing, and a line in the log. */
  past(options: Omit<OutputOptions, "follow">): AsyncGenerator<ServiceLogLine, void, void> {
    return this.#read({ ...options, follow: false });
  }

  /** What comes after all that has been read so far, until the instance ends; it does not reject either. */
  async *live(options: Omit<OutputOptions, "follow">): AsyncGenerator<ServiceLogLine, void, void> {
    yield* this.#read({ ...this.#onward(options), follow: true });
    // An engine that removes a container leaves its readers without the last lines, and those may be kept.
    if (!options.signal.aborted && this.#places.size > 0) {
      yield* this.#read({ ...this.#onward(options), follow: false });
    }
  }

  /** The options with which nothing that has been read is asked for again, but for a moment. */
  #onward({ signal, since, tail }: Omit<OutputOptions, "follow">): Omit<OutputOptions, "follow"> {
    let last = "";
    for (const { time } of this.#places.values()) if (time > last) last = time;
    if (last === "") {
      return { signal, ...(since === undefined ? {} : { since }), ...(tail === undefined ? {} : { tail }) };
    }
    const from = new Date(Date.parse(`${last.slice(0, 23)}Z`) - OVERLAP_MS).toISOString();
    return { signal, since: since !== undefined && since > from ? since : from };
  }

  async *#read(options: OutputOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const { id, revision } = this.owner;
    const had = new Map([...this.#places].map(([stream, place]) => [stream, { ...place }]));
    try {
      for await (const { stream, time: written, text } of this.#outputs.read(id, options)) {
        const time = written === undefined ? undefined : canonicalTime(written) ?? written;
        if (time !== undefined) {
          const before = had.get(stream);
          if (before !== undefined && (time < before.time || (time === before.time && before.count-- > 0))) continue;
          this.#note(stream, time);
        }
        yield { instance: id, revision, stream, time, text };
      }
    } catch (error) {
      if (options.signal.aborted) return;
      this.failure = error;
      log.warning("cannot read the output of an instance", { instance: id, reason: messageOf(error) });
    }
  }

  #note(stream: string, time: string): void {
    const place = this.#places.get(stream);
    if (place === undefined) this.#places.set(stream, { time, count: 1 });
    else if (place.time === time) place.count++;
    else if (place.time < time) Object.assign(place, { time, count: 1 });
  }
}
