import type { InstanceOutputs, OutputOwner } from "../../logs/instance_output.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { DockerCommand } from "../command.ts";
import { EndedLogs, lastLines } from "./ended_logs.ts";
import { type LogLine, type LogOptions, readLogs } from "./logs.ts";

const log = logger("launcher");
/** A container is removed after that, whether all of its last lines have been read or not, ms. */
const KEEP_PATIENCE_MS = 2000;
/** How many of a container's last lines are read, of which perhaps not all are kept. */
const LINES_READ = 1000;

/** Whose container it is. */
interface Owner {
  readonly service: string;
  readonly revision: string;
}

/** What the apps in containers write: those that run, and for a while those that are gone. */
export class ContainerOutputs implements InstanceOutputs {
  readonly #docker: DockerCommand;
  readonly #ended: EndedLogs;
  readonly #running = new Map<string, Owner>();
  readonly #keeping = new Map<string, Promise<void>>();
  readonly #watchers = new Set<(service: string, instance: OutputOwner) => void>();
  #closed = false;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(docker: DockerCommand, now: () => number) {
    this.#docker = docker;
    this.#ended = new EndedLogs(now);
  }

  /** Notes a container that runs, and tells those who watch. */
  started(id: string, { service, revision }: Owner): void {
    if (this.#running.has(id)) return;
    this.#running.set(id, { service, revision });
    for (const watcher of this.#watchers) watcher(service, { id, revision });
  }

  /**
   * Reads the last lines of a container that is about to be removed, once for all who ask; resolves soon and in any
   * case.
   */
  keep(id: string): Promise<void> {
    const owner = this.#running.get(id);
    if (owner === undefined) return Promise.resolve(); // it has never run, or is not this process's
    const keeping = this.#keeping.get(id) ?? this.#keep(id, owner).finally(() => this.#keeping.delete(id));
    this.#keeping.set(id, keeping);
    return keeping;
  }

  /** Forgets a container that was said to run and is gone. */
  forget(id: string): void {
    this.#running.delete(id);
  }

  /** Keeps nothing from now on: nobody will ask for it. */
  close(): void {
    this.#closed = true;
  }

  list(service: string): OutputOwner[] {
    const running = [...this.#running].filter(([, owner]) => owner.service === service)
      .map(([id, { revision }]) => ({ id, revision }));
    return [...this.#ended.list(service), ...running];
  }

  /**
   * The lines of a container, those that were kept where it is gone.
   *
   * @throws {DockerError} When there is no such container and nothing is kept of it, or the engine refuses.
   */
  async *read(id: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    let had = false;
    try {
      if (!this.#ended.has(id)) {
        for await (const line of readLogs(this.#docker, id, options)) {
          had = true;
          yield line;
        }
        return;
      }
    } catch (error) {
      if (!this.#ended.has(id)) throw error; // else it was removed just now
    }
    if (!had) yield* this.#ended.read(id, options);
  }

  /** The last lines of what is kept of a container that is gone, as one text; `undefined` where nothing is. */
  async kept(id: string, lines: number): Promise<string | undefined> {
    const kept = await Array.fromAsync(this.#ended.read(id, { tail: lines }));
    return kept.length === 0 ? undefined : kept.map(({ text }) => text).join("\n");
  }

  watch(service: string, started: (instance: OutputOwner) => void): () => void {
    const watcher = (of: string, instance: OutputOwner) => of === service && started(instance);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  async #keep(id: string, owner: Owner): Promise<void> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), KEEP_PATIENCE_MS);
    const lines = lastLines();
    try {
      if (this.#closed) return;
      const options = { tail: LINES_READ, signal: patience.signal };
      for await (const line of readLogs(this.#docker, id, options)) lines.push(line);
      if (patience.signal.aborted) log.debug("the last lines of a container take too long", { instance: id });
    } catch (error) {
      log.debug("cannot keep the last lines of a container", { instance: id, reason: messageOf(error) });
    } finally {
      clearTimeout(timer);
      this.#running.delete(id);
      this.#ended.keep(id, owner, lines);
    }
  }
}
