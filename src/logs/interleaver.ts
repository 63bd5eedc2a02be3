import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";

const log = logger("logs");

/** When a source has given so many lines, or so much text, its next ones are taken to be later than those. */
const ENOUGH_LINES = 2048;
const ENOUGH_BYTES = 256 * 1024;
/** More is not read in advance. */
const MOST_LINES = 3072;
const MOST_BYTES = 512 * 1024;

/** What is put in order. */
export interface TimedLine {
  /** When it was written: texts that sort as the times do; a line without one goes with the one before it. */
  readonly time: string | undefined;
  readonly text: string;
}

/** How an {@linkcode Interleaver} works. */
export interface InterleaverOptions {
  readonly clock: Clock;
  /** Ends the lines, without an error; those that give them must end by it too. */
  readonly signal: AbortSignal;
  /**
   * For lines that are still being written: how long each is held back for an earlier one, ms, and there is no end but
   * the signal's. Without it every line waits until all sources have ended or given enough.
   */
  readonly holdMs?: number;
}

/** Where lines come from. */
interface Source<Line> {
  readonly lines: AsyncIterator<Line>;
  time: string;
  /** How many of its lines wait, and how much text there is in them. */
  held: number;
  bytes: number;
  /** Whether it is being read. */
  reading: boolean;
}

/** A line that waits for its turn. */
interface Held<Line> {
  readonly line: Line;
  readonly source: Source<Line>;
  readonly time: string;
  readonly order: number;
  readonly since: number;
}

/**
 * Puts the lines of several sources, each of which is nearly in order, in the order of their times. It reads when it is
 * asked, and little in advance.
 */
export class Interleaver<Line extends TimedLine> {
  readonly #options: InterleaverOptions;
  readonly #sources = new Set<Source<Line>>();
  readonly #heap: Held<Line>[] = [];
  /** The same lines as they came: when one has waited for long enough, so have those that are before it. */
  readonly #arrived = new Set<Held<Line>>();
  #order = 0;
  #bell = Promise.withResolvers<void>();

  constructor(options: InterleaverOptions) {
    this.#options = options;
  }

  /** Adds a source, which ends where it rejects; it is read as soon as somebody wants a line. */
  add(lines: AsyncIterator<Line>): void {
    this.#sources.add({ lines, time: "", held: 0, bytes: 0, reading: false });
    this.#bell.resolve();
  }

  /** The next line; `undefined` when there will be none. */
  async next(): Promise<Line | undefined> {
    const { signal, holdMs } = this.#options;
    for (;;) {
      if (signal.aborted) return undefined;
      for (const source of this.#sources) this.#read(source);
      const first = this.#heap[0];
      if (first !== undefined && this.#mayGo()) return this.#take().line;
      if (first === undefined && this.#sources.size === 0 && holdMs === undefined) return undefined;
      await this.#news();
    }
  }

  /** Ends all sources; resolves when they have ended. The signal has to be aborted before. */
  async close(): Promise<void> {
    await Promise.all([...this.#sources].map(({ lines }) => lines.return?.()));
  }

  #mayGo(): boolean {
    if (this.#waitMs() <= 0) return true;
    for (const { held, bytes } of this.#sources) if (held < ENOUGH_LINES && bytes < ENOUGH_BYTES) return false;
    return true;
  }

  /** How long it is until a line has waited for long enough, ms. */
  #waitMs(): number {
    const { clock, holdMs } = this.#options;
    if (holdMs === undefined) return Infinity;
    for (const { since } of this.#arrived) return since + holdMs - clock.now();
    return Infinity;
  }

  /** Resolves when something has changed, or when a line has waited for long enough. */
  async #news(): Promise<void> {
    const { clock, signal } = this.#options;
    const bell = this.#bell = Promise.withResolvers<void>();
    const ring = () => bell.resolve();
    const cancel = clock.after(this.#waitMs(), ring);
    signal.addEventListener("abort", ring, { once: true });
    await bell.promise;
    signal.removeEventListener("abort", ring);
    cancel();
  }

  /** Reads a source until enough of its lines wait. */
  async #read(source: Source<Line>): Promise<void> {
    if (source.reading) return;
    source.reading = true;
    while (source.held < MOST_LINES && source.bytes < MOST_BYTES && !this.#options.signal.aborted) {
      // Whoever reads the lines must not lose those of the others.
      const next = await source.lines.next().catch((error) => {
        log.warning("cannot read lines", { reason: messageOf(error) });
      });
      if (next === undefined || next.done) {
        this.#sources.delete(source);
        break;
      }
      this.#put(source, next.value);
      this.#bell.resolve();
    }
    source.reading = false;
    this.#bell.resolve();
  }

  #put(source: Source<Line>, line: Line): void {
    source.time = line.time ?? source.time;
    source.held++;
    source.bytes += line.text.length;
    const held = { line, source, time: source.time, order: this.#order++, since: this.#options.clock.now() };
    this.#arrived.add(held);
    const heap = this.#heap;
    let at = heap.length;
    for (; at > 0; at = (at - 1) >> 1) {
      const parent = heap[(at - 1) >> 1]!;
      if (!isBefore(held, parent)) break;
      heap[at] = parent;
    }
    heap[at] = held;
  }

  #take(): Held<Line> {
    const heap = this.#heap;
    const first = heap[0]!;
    this.#arrived.delete(first);
    first.source.held--;
    first.source.bytes -= first.line.text.length;
    const last = heap.pop()!;
    if (last === first) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore<Line>(a: Held<Line>, b: Held<Line>): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
