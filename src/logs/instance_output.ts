import { defined } from "../model/defined.ts";
import { canonicalTime } from "../model/time.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("logs");
/**
 * An instance's output is read in several passes. Each pass after the first begins this long before the last line that
 * was read. The lines of the two streams are not strictly in order, so some would be missed otherwise.
 */
const OVERLAP_MS = 1000;
/** Limits for the lines that are held back in order to sort the lines of an instance's two streams. */
const WINDOW_LINES = 2048;
const WINDOW_BYTES = 256 * 1024;

/** An instance that has written, or may write, output. */
export interface OutputOwner {
  readonly id: string;
  readonly revision: string;
  /** When it ended, ms since 1970; missing while it runs. */
  readonly endedAt?: number;
}

/** A line that an app has written. */
export interface OutputLine {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339, with nanoseconds if known. */
  readonly time?: string;
  readonly text: string;
}

/** Which lines of an instance are read. */
export interface OutputOptions {
  /** Whether to continue with new lines until the instance ends. */
  readonly follow: boolean;
  /** How many of the last lines to begin with; missing for all. */
  readonly tail?: number;
  /** Only lines from this time on, RFC 3339. */
  readonly since?: string;
  /** Of several instances of one id, the one that ended then, ms since 1970; missing for the last one. */
  readonly endedAt?: number;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
}

/** The source of the instances' output. */
export interface InstanceOutputs {
  /** The running instances of a service, and the ended ones whose last lines are retained. */
  list(service: string): readonly OutputOwner[];
  /** The lines of an instance, each stream in order. The iteration rejects if they cannot be read. */
  read(id: string, options: OutputOptions): AsyncIterable<OutputLine>;
  /** Calls `started` for each instance of a service that starts from now on. Returns a function that ends this. */
  watch(service: string, started: (instance: OutputOwner) => void): () => void;
}

/** A line that an instance of a service has written. */
export interface ServiceLogLine extends Omit<OutputLine, "time"> {
  readonly instance: string;
  readonly revision: string;
  readonly time: string | undefined;
}

/** How far a stream has been read: the time of the last line, and how many lines with that time were read. */
interface Place {
  time: string;
  count: number;
}

/**
 * The output of one instance. It is read in several passes (past lines, live lines, retained last lines), without gaps
 * or repeated lines.
 */
export class InstanceOutput {
  readonly owner: OutputOwner;
  /** Why a pass failed, if one did. */
  failure: unknown;
  readonly #outputs: Pick<InstanceOutputs, "read">;
  readonly #places = new Map<string, Place>();

  constructor(owner: OutputOwner, outputs: Pick<InstanceOutputs, "read">) {
    this.owner = owner;
    this.#outputs = outputs;
  }

  /** The lines so far, ordered by time. If they cannot be read to the end, it gives those before and logs why; it never rejects. */
  async *past(options: Omit<OutputOptions, "follow" | "endedAt">): AsyncGenerator<ServiceLogLine, void, void> {
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

  /** The lines after the past ones, until the instance ends. It never rejects. */
  async *live(options: Omit<OutputOptions, "follow" | "endedAt">): AsyncGenerator<ServiceLogLine, void, void> {
    yield* this.#read({ ...this.#onward(options), follow: true });
    // When a container is removed, its readers miss the last lines. These may have been retained.
    if (!options.signal.aborted && this.#places.size > 0) {
      yield* this.#read({ ...this.#onward(options), follow: false });
    }
  }

  /** The options for the next pass, which begins a little before the last line. */
  #onward(
    { signal, since, tail }: Omit<OutputOptions, "follow" | "endedAt">,
  ): Omit<OutputOptions, "follow" | "endedAt"> {
    let last = "";
    for (const { time } of this.#places.values()) if (time > last) last = time;
    if (last === "") {
      return defined({ signal, since, tail });
    }
    const from = new Date(Date.parse(`${last.slice(0, 23)}Z`) - OVERLAP_MS).toISOString();
    return { signal, since: since !== undefined && since > from ? since : from };
  }

  async *#read(options: OutputOptions): AsyncGenerator<ServiceLogLine, void, void> {
    const { endedAt, id, revision } = this.owner;
    const seen = new Map([...this.#places].map(([stream, place]) => [stream, { ...place }]));
    try {
      for await (const { stream, time: written, text } of this.#outputs.read(id, defined({ ...options, endedAt }))) {
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

/** Whether a line comes before another one of the same instance. A line without a time keeps its place. */
function isBefore(line: ServiceLogLine, other: ServiceLogLine): boolean {
  return line.time !== undefined && other.time !== undefined && line.time < other.time;
}
