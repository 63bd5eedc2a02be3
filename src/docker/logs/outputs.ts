import { type Clock, systemClock } from "../../base/clock.ts";
import { delay } from "../../base/async.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { InstanceOutputs, OutputOwner } from "../../logs/instance_output.ts";
import { kindOf } from "../engine_error.ts";
import { LastLines } from "./last_lines.ts";
import { canonicalTime } from "../../model/time.ts";
import type { EngineApi, LogLine, LogOptions } from "../engine_api.ts";

const log = logger("launcher");
/** After this time, last lines are not waited for: their container is removed even if not all of them have been read. */
const READ_TIMEOUT_MS = 2000;
/** This many of a container's last lines are read. Fewer may be retained. */
const LINES_READ = 1000;
/** At most this many of one container's last lines are retained, and at most this many bytes. */
const MAX_LINES = 1000;
const MAX_BYTES = 256 * 1024;
/** The limit for all ended containers together. The oldest containers' lines are dropped first. */
const MAX_BYTES_IN_ALL = 16 * 1024 * 1024;
const MAX_AGE_MS = 3_600_000;
/** After this many retained lines, the event loop gets a turn: reading them never waits by itself. */
const LINES_AT_ONCE = 256;

/** The container's service and revision. */
interface Owner {
  readonly service: string;
  readonly revision: string;
  /** Settles once its last lines are retained; missing until its removal begins. */
  retaining?: Promise<void>;
}

/** The output of running containers and, for a while, of removed ones. */
export class ContainerOutputs implements InstanceOutputs {
  readonly #api: Pick<EngineApi, "logs">;
  readonly #clock: Clock;
  readonly #ended: EndedLogs;
  readonly #running = new Map<string, Owner>();
  readonly #watchers = new Set<(service: string, instance: OutputOwner) => void>();
  #closed = false;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(api: Pick<EngineApi, "logs">, clock: Clock, now: () => number = Date.now) {
    this.#api = api;
    this.#clock = clock;
    this.#ended = new EndedLogs(now);
  }

  /**
   * Notes a running container, and calls the watchers of its service. It may have the name of one that is being removed,
   * or was.
   */
  started(id: string, { service, revision }: Owner): void {
    const before = this.#running.get(id);
    if (before !== undefined && before.retaining === undefined) return;
    this.#running.set(id, { service, revision });
    for (const watcher of this.#watchers) watcher(service, { id, revision });
  }

  /**
   * Reads and retains the last lines of a container before its removal. Repeated calls share one read. Resolves within
   * seconds, and never rejects.
   */
  retain(id: string): Promise<void> {
    const owner = this.#running.get(id);
    if (owner === undefined) return Promise.resolve(); // it never ran, or belongs to another process
    return owner.retaining ??= this.#retain(id, owner);
  }

  /** Forgets a running container that is gone. */
  forget(id: string): void {
    this.#running.delete(id);
  }

  /** Stops retaining output, since the program ends. */
  close(): void {
    this.#closed = true;
  }

  list(service: string): OutputOwner[] {
    const running = [...this.#running].filter(([, owner]) => owner.service === service)
      .map(([id, { revision }]) => ({ id, revision }));
    return [...this.#ended.list(service), ...running];
  }

  /**
   * The lines of a container, or the retained ones if it is gone.
   *
   * @param options.endedAt Of several containers of this name, the one that ended then; missing for the last one.
   * @throws {EngineError} When there is no such container and no retained lines, or the engine refuses.
   */
  async *read(
    id: string,
    { endedAt, ...options }: LogOptions & { readonly endedAt?: number } = {},
  ): AsyncGenerator<LogLine, void, void> {
    let had = false;
    if (endedAt === undefined) {
      try {
        for await (const line of this.#api.logs(id, options)) {
          had = true;
          yield line;
        }
        return;
      } catch (error) {
        // If it has just been removed, its lines are retained.
        if (kindOf(error) !== "gone" || this.#ended.last(id) === undefined) throw error;
        if (had) return;
      }
    }
    yield* this.#ended.read(id, endedAt, options);
  }

  /**
   * The last lines of a container as one text, ordered by time, as far as they come within seconds. @throws As {@linkcode
   * read} does.
   */
  async lastLines(id: string, lines: number): Promise<string> {
    const ending = new AbortController();
    const cancelTimeout = this.#clock.after(READ_TIMEOUT_MS, () => ending.abort());
    const { signal } = ending;
    const read = sorted(await Array.fromAsync(this.read(id, { tail: lines, signal })).finally(cancelTimeout));
    return read.map(({ cut, text }) => cut ? text : `${text}\n`).join("").trim();
  }

  watch(service: string, started: (instance: OutputOwner) => void): () => void {
    const watcher = (of: string, instance: OutputOwner) => of === service && started(instance);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  async #retain(id: string, owner: Owner): Promise<void> {
    const ending = new AbortController();
    const cancelTimeout = this.#clock.after(READ_TIMEOUT_MS, () => ending.abort());
    const lines = new LastLines<LogLine>(MAX_LINES, MAX_BYTES);
    try {
      if (this.#closed) return;
      const options = { tail: LINES_READ, signal: ending.signal };
      for await (const line of this.#api.logs(id, options)) lines.push(line);
      if (ending.signal.aborted) log.debug("the last lines of a container take too long", { instance: id });
    } catch (error) {
      log.debug("cannot retain the last lines of a container", { instance: id, reason: messageOf(error) });
    } finally {
      cancelTimeout();
      if (this.#running.get(id) === owner) this.#running.delete(id);
      this.#ended.retain(id, owner, lines);
    }
  }
}

interface Entry extends OutputOwner {
  readonly endedAt: number;
  readonly service: string;
  readonly lines: readonly LogLine[];
  readonly bytes: number;
}

/** The last lines of removed containers. */
class EndedLogs {
  readonly #now: () => number;
  /** In the order in which they ended. Several may have had the same name. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Retains the lines of a container, all of which have a time. Does nothing if there are none. */
  retain(id: string, { service, revision }: Owner, last: LastLines<LogLine>): void {
    const lines = sorted(last.list());
    if (lines.length === 0) return;
    const before = this.last(id);
    // Another container of the name has written nothing yet when this one has ended.
    const isSame = before !== undefined && lines[0]!.time! <= before.lines.at(-1)!.time!;
    if (isSame) this.#drop(before);
    this.#entries.add({ id, service, revision, endedAt: this.#now(), lines, bytes: last.bytes });
    this.#bytes += last.bytes;
    this.#tidy();
  }

  /** What is retained of the last container of a name that has ended. */
  last(id: string): Entry | undefined {
    this.#tidy();
    return [...this.#entries].findLast((entry) => entry.id === id);
  }

  list(service: string): OutputOwner[] {
    this.#tidy();
    return [...this.#entries].filter((entry) => entry.service === service)
      .map(({ id, revision, endedAt }) => ({ id, revision, endedAt }));
  }

  /** A container's retained lines, as the engine would return them; empty if there are none. */
  async *read(
    id: string,
    endedAt: number | undefined,
    { signal, since, tail }: LogOptions,
  ): AsyncGenerator<LogLine, void, void> {
    const from = since === undefined ? "" : canonicalTime(since) ?? since;
    const entry = endedAt === undefined
      ? this.last(id)
      : [...this.#entries].find((entry) => entry.id === id && entry.endedAt === endedAt);
    const lines = (entry?.lines ?? []).filter(({ time = "" }) => time >= from);
    const last = lines.slice(Math.max(0, lines.length - (tail ?? Infinity)));
    for (const [n, line] of last.entries()) {
      if (n % LINES_AT_ONCE === LINES_AT_ONCE - 1) await delay(systemClock, 0);
      if (signal?.aborted) return;
      yield line;
    }
  }

  #tidy(): void {
    const oldest = this.#now() - MAX_AGE_MS;
    for (const entry of this.#entries) {
      if (entry.endedAt > oldest && this.#bytes <= MAX_BYTES_IN_ALL) return;
      this.#drop(entry);
    }
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry);
    this.#bytes -= entry.bytes;
  }
}

/** Sorts the lines of both streams by time. Lines with the same time keep their order. */
function sorted(lines: readonly LogLine[]): LogLine[] {
  return lines.toSorted(({ time: a = "" }, { time: b = "" }) => a < b ? -1 : a > b ? 1 : 0);
}
