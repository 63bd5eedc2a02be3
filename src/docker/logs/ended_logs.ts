import type { OutputOwner } from "../../logs/instance_output.ts";
import { LastLines } from "../../logs/last_lines.ts";
import { canonicalTime } from "../../model/time.ts";
import type { LogLine, LogOptions } from "./logs.ts";

/** How many lines of one container are kept, and how much of them; the last ones count. */
const MOST_LINES = 1000;
const MOST_BYTES = 256 * 1024;
/** How much is kept of all of them; the containers that ended last count. */
const MOST_BYTES_IN_ALL = 16 * 1024 * 1024;
/** For how long, ms. */
const MOST_AGE_MS = 3_600_000;
/** So many lines are given without a pause: they come without any waiting, and others want to go on too. */
const LINES_AT_ONCE = 256;

interface Entry extends OutputOwner {
  readonly endedAt: number;
  readonly service: string;
  readonly lines: readonly LogLine[];
  readonly bytes: number;
}

/** An empty list for the last lines of one container, as many as are kept of it. */
export function lastLines(): LastLines<LogLine> {
  return new LastLines(MOST_LINES, MOST_BYTES);
}

/** The last lines of containers that are gone. */
export class EndedLogs {
  readonly #now: () => number;
  /** The one that ended first goes first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Keeps the lines of a container, each of which has a time; a container that has written nothing leaves nothing. */
  keep(id: string, of: { readonly service: string; readonly revision: string }, lines: LastLines<LogLine>): void {
    const sorted = lines.list().sort((a, b) => compare(a.time ?? "", b.time ?? ""));
    if (sorted.length === 0) return;
    this.#drop(id);
    const { service, revision } = of;
    this.#entries.set(id, { id, service, revision, endedAt: this.#now(), lines: sorted, bytes: lines.bytes });
    this.#bytes += lines.bytes;
    this.#tidy();
  }

  /** Whether something of a container is kept. */
  has(id: string): boolean {
    this.#tidy();
    return this.#entries.has(id);
  }

  /** The containers of a service of which something is kept. */
  list(service: string): OutputOwner[] {
    this.#tidy();
    return [...this.#entries.values()].filter((entry) => entry.service === service)
      .map(({ id, revision, endedAt }) => ({ id, revision, endedAt }));
  }

  /** The lines of a container as {@linkcode readLogs} would give them; none of one of which nothing is kept. */
  async *read(id: string, { signal, since, tail }: LogOptions): AsyncGenerator<LogLine, void, void> {
    const from = since === undefined ? "" : canonicalTime(since) ?? since;
    const all = this.#entries.get(id)?.lines ?? [];
    const lines = all.filter(({ time = "" }) => time >= from);
    const last = lines.slice(Math.max(0, lines.length - (tail ?? Infinity)));
    for (const [n, line] of last.entries()) {
      if (n % LINES_AT_ONCE === LINES_AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal?.aborted) return;
      yield line;
    }
  }

  #tidy(): void {
    const oldest = this.#now() - MOST_AGE_MS;
    for (const { id, endedAt } of this.#entries.values()) {
      if (endedAt > oldest && this.#bytes <= MOST_BYTES_IN_ALL) return;
      this.#drop(id);
    }
  }

  #drop(id: string): void {
    this.#bytes -= this.#entries.get(id)?.bytes ?? 0;
    this.#entries.delete(id);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
