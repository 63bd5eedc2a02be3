import { defined } from "../model/defined.ts";
import { canonicalTime } from "../model/time.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("logs");
/** How far back an output is read again so that no line is missed: its two streams do not come strictly in order. */
const OVERLAP_MS = 1000;
/** How many lines are held back, and how much text, to put the lines of an instance's two streams in order. */
const WINDOW_LINES = 2048;
const WINDOW_BYTES = 256 * 1024;

/** An instance that has written something, or may. */
export interface OutputOwner {
  readonly id: string;
  readonly revision: string;
  /** When it ended, ms since 1970; missing while it runs. */
  readonly endedAt?: number;
}

/** A line that an app has written. */
export interface OutputLine {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339, to the nanosecond if that is known. */
  readonly time?: string;
  readonly text: string;
}

/** Which lines of an instance are read. */
export interface OutputOptions {
  /** Whether to go on with what is written from now on, until the instance ends. */
  readonly follow: boolean;
  /** How many of the last lines to begin with; all if it is missing. */
  readonly tail?: number;
  /** Only lines from this time on, RFC 3339. */
  readonly since?: string;
  /** Ends the lines, without an error. */
  readonly signal: AbortSignal;
}

/** Where the output of instances comes from. */
export interface InstanceOutputs {
  /** The instances of a service: those that run, and those that have ended and whose last lines are retained. */
  list(service: string): readonly OutputOwner[];
  /** The lines of an instance, each stream's in order; the iteration rejects if they cannot be read. */
  read(id: string, options: OutputOptions): AsyncIterable<OutputLine>;
  /** Calls back for each instance of a service that runs from now on. Returns a function that ends this. */
  watch(service: string, started: (instance: OutputOwner) => void): () => void;
}

/** A line that an instance of a service has written. */
export interface ServiceLogLine extends Omit<OutputLine, "time"> {
  readonly instance: string;
  readonly revision: string;
  readonly time: string | undefined;
}

/** How far a stream has been read: the time of the last line, and how many lines had that time. */
interface Place {
  time: string;
  count: number;
}

/** The output of one instance, read in several passes (past, live, last words) without a gap and no line twice. */
export class InstanceOutput {
  readonly owner: OutputOwner;
  /** Why a pass could not be read, if so. */
  failure: unknown;
  readonly #outputs: Pick<InstanceOutputs, "read">;
  readonly #places = new Map<string, Place>();

  constructor(owner: OutputOwner, outputs: Pick<InstanceOutputs, "read">) {
    this.owner = owner;
    this.#outputs = outputs;
  }

  /**
   * What has been written until now, both streams in order of time. It does not reject: if the output cannot be read,
   * there are no lines, and the log says why.
   */
  async *past(options: Omit<OutputOptions, "follow">): AsyncGenerator<ServiceLogLine, void, void> {
    const window: ServiceLogLine[] = [];
    let bytes = 0;
    for await (const line of this.#read({ ...options, follow: false })) {
      let at = window.length;
      while (at > 0 && isBefore(line, window[at - 1]!)) at--;
      window.splice(at, 0, line);
      bytes += line.text.length;
      while (window.length > WINDOW_LINES || bytes > WINDOW_BYTES) {
        const first = window.shift()!;
        bytes -= first.text.length;
        yield first;
      }
    }
    for (const line of window) {
      if (options.signal.aborted) return;
      yield line;
    }
  }

  /** What is written after the lines that were read so far, until the instance ends; it does not reject either. */
  async *live(options: Omit<OutputOptions, "follow">): AsyncGenerator<ServiceLogLine, void, void> {
    yield* this.#read({ ...this.#onward(options), follow: true });
    // An engine that removes a container cuts its readers off before the last lines, and those may be retained.
    if (!options.signal.aborted && this.#places.size > 0) {
      yield* this.#read({ ...this.#onward(options), follow: false });
    }
  }

  /** The options for the next pass: from a little before the last line that was read. */
  #onward({ signal, since, tail }: Omit<OutputOptions, "follow">): Omit<OutputOptions, "follow"> {
    let last = "";
    for (const { time } of this.#places.values()) if (time > last) last = time;
    if (last === "") {
      return defined({ signal, since, tail });
    }
    const from = new Date(Date.parse(`${last.slice(0, 23)}Z`) - OVERLAP_MS).toISOString();
    return { signal, since: since !== undefined && since > from ? since : from };
  }

  async *#read(options: OutputOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const { id, revision } = this.owner;
    const seen = new Map([...this.#places].map(([stream, place]) => [stream, { ...place }]));
    try {
      for await (const { stream, time: written, text } of this.#outputs.read(id, options)) {
        const time = written === undefined ? undefined : canonicalTime(written) ?? written;
        if (time !== undefined) {
          const before = seen.get(stream);
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

/** Whether a line goes before another one of the same instance; a line without a time stays where it is. */
function isBefore(line: ServiceLogLine, other: ServiceLogLine): boolean {
  return line.time !== undefined && other.time !== undefined && line.time < other.time;
}
