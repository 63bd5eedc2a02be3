import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Launcher } from "./launcher.ts";

const log = logger("warm-pool");
/** After a container that could not be made, ms; it doubles with each that cannot. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

/** What a {@linkcode WarmPool} works with. */
export interface WarmPoolParts {
  readonly revision: Revision;
  readonly launcher: Pick<Launcher, "create" | "remove" | "forget">;
  readonly clock: Clock;
  /** Makes an id for a new container. */
  readonly newId: (revision: Revision) => string;
  /** Is told of each container before it is made, and when it is gone or taken. */
  readonly note: (id: string, isSpare: boolean) => void;
}

/**
 * The spare containers of a revision: made in advance and not started, so that a cold start has less to do. They are no
 * instances, and cost an address and some disk alone.
 */
export class WarmPool {
  readonly #parts: WarmPoolParts;
  /** Oldest first. */
  readonly #spares: string[] = [];
  readonly #going = new Set<Promise<void>>();
  #making: Promise<void> | undefined;
  /** Calls off the one that is being made. */
  #unwanted = new AbortController();
  #wanted = true;
  #retryMs = FIRST_RETRY_MS;
  #retryAt = -Infinity;

  constructor(parts: WarmPoolParts) {
    this.#parts = parts;
  }

  /** How many could be started now. */
  get size(): number {
    return this.#spares.length;
  }

  /** Whether a container is one that could be started now. */
  has(id: string): boolean {
    return this.#spares.includes(id);
  }

  /** Takes one out, to be started; `undefined` where there is none. */
  take(): string | undefined {
    const id = this.#spares.shift();
    if (id !== undefined) this.#parts.note(id, false);
    return id;
  }

  /** Begins to make one where there are too few, one after the other; after a failure not for a while. */
  fill(): void {
    const { clock, revision } = this.#parts;
    this.#wanted = true;
    const isFull = this.size >= revision.warmPool;
    if (isFull || this.#making !== undefined || clock.now() < this.#retryAt) return;
    this.#making = this.#make().finally(() => this.#making = undefined);
  }

  /** Notes that one is not there any more, or that somebody else has started it: it is removed, and another one made. */
  lost(id: string): void {
    const at = this.#spares.indexOf(id);
    if (at < 0) return; // it is being made or removed
    this.#spares.splice(at, 1);
    this.#discard(id);
  }

  /** Removes all of them, and calls off the one that waits to be made, until {@linkcode fill} is called again; resolves when they are gone. */
  async empty(): Promise<void> {
    this.#wanted = false;
    this.#unwanted.abort();
    for (const id of this.#spares.splice(0)) this.#discard(id);
    await this.#making;
    await Promise.all(this.#going);
  }

  async #make(): Promise<void> {
    const { clock, launcher, newId, note, revision } = this.#parts;
    const id = newId(revision);
    const { signal } = this.#unwanted = new AbortController();
    note(id, true);
    try {
      await launcher.create({ id, revision }, signal);
      this.#retryMs = FIRST_RETRY_MS;
      if (this.#wanted) this.#spares.push(id);
      else await this.#discard(id);
    } catch (error) {
      if (!signal.aborted) {
        log.warning("cannot make a container in advance", {
          service: revision.service,
          revision: revision.name,
          reason: messageOf(error),
          retryMs: this.#retryMs,
        });
        this.#retryAt = clock.now() + this.#retryMs;
        this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
      }
      await this.#discard(id); // it may have been made all the same
    }
  }

  #discard(id: string): Promise<void> {
    const gone = this.#remove(id).finally(() => this.#going.delete(gone));
    this.#going.add(gone);
    return gone;
  }

  async #remove(id: string): Promise<void> {
    const { launcher, note } = this.#parts;
    try {
      await launcher.remove(id);
    } catch (error) {
      // The reaper will find a container that is nobody's.
      log.warning("cannot remove a container", { id, reason: messageOf(error) });
    } finally {
      launcher.forget(id);
      note(id, false);
    }
  }
}
