import { delay, Limiter } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { type ClessError, couldNotStart, messageOf, shuttingDown } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Revision } from "../model/revision.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Container, Launcher } from "../pool/launcher.ts";

const log = logger("adoption");
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;
/** At most this many containers are removed at once. */
const MAX_REMOVALS = 8;

/** The launcher, as far as adoption needs it. */
export interface AdoptionLauncher extends Pick<Launcher, "list" | "remove" | "forget" | "sharing"> {
  /** Called for every found container. The revision is `undefined` if the container belongs to no current one. */
  found(id: string, revision: Revision | undefined): void;
}

/**
 * Returns the pool that a container of an earlier process belongs to; `undefined` if the container is obsolete. Throws
 * if the pool cannot be determined now, for example because the store cannot be read. Never throws for a service with
 * volumes: its container must be adopted or removed at once, since no other container may run with the same volumes.
 */
export type PoolFinder = (container: Container) => InstancePool | undefined;

/** What adoption asks about the predecessor: see {@linkcode Predecessor}. */
export interface AdoptionPredecessor {
  readonly alive: boolean;
  isEnding(id: string): boolean;
  isStarting(revision: string): boolean;
}

/** What happens to a container that was found. */
type Verdict = "adopted" | "stale" | "undecided";

/**
 * Adopts the containers of an earlier process, and removes the obsolete ones. Requests may arrive meanwhile. But no
 * pool starts a container before the list of containers is known, so that none is started twice. After that, each
 * request waits only for its own service.
 */
export class Adoption {
  readonly #launcher: AdoptionLauncher;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #predecessor: AdoptionPredecessor | undefined;
  readonly #held = new Set<InstancePool>();
  readonly #undecided = new Set<string>();
  /** Since when each container that other cless may use has belonged to no pool here, clock ms. */
  readonly #strangers = new Map<string, number>();
  /** Undecided containers stay until this time, clock ms. */
  #undecidedUntil = Infinity;
  #finder: PoolFinder | undefined;
  readonly #stopping = new AbortController();

  /**
   * @param timeoutMs How long requests wait for the engine's list of containers, and then how long a container stays
   * while its pool is unknown.
   * @param predecessor While the predecessor is alive, no container is removed. If it is creating a container, the pool
   * waits for that container.
   */
  constructor(launcher: AdoptionLauncher, clock: Clock, timeoutMs: number, predecessor?: AdoptionPredecessor) {
    this.#predecessor = predecessor;
    this.#launcher = launcher;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether the list of containers is known. */
  get known(): boolean {
    return this.#finder !== undefined;
  }

  /** Whether containers that other cless may use have belonged to no pool here. */
  get hasStrangers(): boolean {
    return this.#strangers.size > 0;
  }

  /** Suspends a new pool until the list of containers is known. */
  hold(pool: InstancePool): void {
    if (this.known) return;
    this.#held.add(pool);
    pool.suspend(0);
  }

  /**
   * Lists the containers, and adopts or removes each. Resolves when the usable ones belong to pools, and the obsolete
   * ones are removed as far as possible. The adopted ones may not answer yet. While the predecessor is alive, none is
   * removed.
   */
  async run(finder: PoolFinder): Promise<void> {
    const containers = await this.#list();
    if (containers === undefined) return;
    this.#undecidedUntil = this.#clock.now() + this.#timeoutMs;
    const stale: Container[] = [];
    try {
      for (const container of containers) {
        if (this.#launcher.sharing !== undefined) this.#share(container, finder);
        else if (this.#adopt(container, finder) === "stale") stale.push(container);
      }
    } finally {
      this.#finder = finder;
      this.unsuspend(); // even after an error, so that no request waits for ever
    }
    if (this.#predecessor?.alive) {
      const adopted = containers.length - stale.length - this.#undecided.size;
      return log.info("containers taken over", { adopted, others: stale.length || undefined });
    }
    if (containers.length > 0) {
      const undecided = this.#undecided.size;
      const adopted = containers.length - stale.length - undecided;
      log.info("containers found", { adopted, stale: stale.length, undecided: undecided || undefined });
    }
    await this.#remove(stale);
  }

  /** Lets the pools start containers, except those for which the predecessor is creating one. */
  unsuspend(): void {
    for (const pool of this.#held) {
      if (this.#predecessor?.isStarting(pool.revision.name)) continue;
      this.#held.delete(pool);
      pool.unsuspend();
    }
  }

  /** Whether pools wait for containers that the predecessor is creating. */
  get waits(): boolean {
    return this.known && this.#held.size > 0;
  }

  /** Whether a container without an instance must stay. If its pool is known now, the pool adopts it. */
  stays(container: Container): boolean {
    if (this.#launcher.sharing !== undefined && this.#finder !== undefined && !this.#stopping.signal.aborted) {
      return this.#share(container, this.#finder);
    }
    if (this.#predecessor?.alive && this.#finder !== undefined && !this.#stopping.signal.aborted) {
      this.#adopt(container, this.#finder);
      return true;
    }
    if (!this.#undecided.has(container.id) || this.#finder === undefined || this.#stopping.signal.aborted) return false;
    return this.#adopt(container, this.#finder) !== "stale";
  }

  /** Ends the adoption, and refuses the requests that wait for it. */
  stop(): void {
    this.#stopping.abort();
    this.#refuse(shuttingDown());
  }

  /** All containers of this cless; `undefined` if the adoption ends before the engine lists them. */
  async #list(): Promise<Container[] | undefined> {
    const { signal } = this.#stopping;
    const deadline = this.#clock.now() + this.#timeoutMs;
    for (let waitMs = FIRST_RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, MAX_RETRY_MS)) {
      try {
        const containers = await this.#launcher.list();
        return signal.aborted ? undefined : containers;
      } catch (error) {
        const reason = messageOf(error);
        log.warning("the engine does not list its containers; asking again", { reason, afterMs: waitMs });
        if (this.#clock.now() >= deadline) {
          this.#refuse(couldNotStart(reason));
        }
      }
      await delay(this.#clock, waitMs, signal);
    }
    return undefined;
  }

  #refuse(error: ClessError): void {
    for (const pool of this.#held) pool.refuse(error);
  }

  /**
   * Adopts a container that another cless may have started. Whether it must stay: if it belongs to no pool here, the
   * other cless may know more, so it stays for a while.
   */
  #share(container: Container, finder: PoolFinder): boolean {
    const { id, state } = container;
    if (this.#adopt(container, finder) === "adopted" || container.isOurs === false) return true;
    if (state === "ended") return false;
    const since = this.#strangers.get(id) ?? this.#clock.now();
    this.#strangers.set(id, since);
    if (this.#clock.now() - since < 2 * this.#timeoutMs) return true;
    this.#strangers.delete(id);
    return false;
  }

  #adopt(container: Container, finder: PoolFinder): Verdict {
    const { id, origin, state } = container;
    const isUsable = (state === "running" || state === "paused") && origin !== undefined &&
      !this.#predecessor?.isEnding(id);
    let pool: InstancePool | undefined;
    try {
      pool = isUsable ? finder(container) : undefined;
    } catch (error) {
      return this.#putOff(container, error);
    }
    this.#undecided.delete(id);
    if (pool !== undefined) this.#strangers.delete(id);
    // Swarm keeps volumes from being shared: an unknown container there must not block every service with volumes here.
    if (pool !== undefined || this.#launcher.sharing === undefined) this.#launcher.found(id, pool?.revision);
    if (pool === undefined || origin === undefined) return "stale";
    pool.adopt({ ...container, origin });
    return "adopted";
  }

  /** Leaves a container alone for a while, since its service may be readable soon. */
  #putOff({ id, service }: Container, error: unknown): Verdict {
    if (this.#clock.now() >= this.#undecidedUntil) {
      this.#undecided.delete(id);
      return "stale";
    }
    if (!this.#undecided.has(id)) {
      const reason = messageOf(error);
      log.warning("cannot tell which revision a container belongs to; it stays for now", { service, id, reason });
      this.#undecided.add(id);
    }
    return "undecided";
  }

  async #remove(stale: Container[]): Promise<void> {
    const limiter = new Limiter(MAX_REMOVALS);
    await Promise.all(stale.map(({ id, service, state }) =>
      limiter.run(async () => {
        if (this.#stopping.signal.aborted) return;
        log.info("stale container is removed", { service, id, state });
        try {
          await this.#launcher.remove(id);
          this.#launcher.forget(id);
        } catch (error) {
          log.warning("cannot remove a container", { id, reason: messageOf(error) }); // the reconciler will find it
        }
      })
    ));
  }
}
