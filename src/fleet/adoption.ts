import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { Container, Launcher } from "../pool/launcher.ts";

const log = logger("adoption");
const COULD_NOT_START = "The service could not be started; the log of cless says why";
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
/** So many containers are removed at once. */
const AT_ONCE = 8;

/** What an {@linkcode Adoption} works with. */
export interface AdoptionParts {
  readonly launcher: Pick<Launcher, "list" | "remove" | "forget">;
  readonly clock: Clock;
  /**
   * The pool that a container belongs to; `undefined` where it is of no use any more.
   *
   * @throws Where that cannot be told now; only of a service that is asleep, and so has no volumes that others wait for.
   */
  readonly poolOf: (container: Container) => InstancePool | undefined;
  /** Is told of every container, and whose it is; before any other one is started. */
  readonly found: (container: Container, pool: InstancePool | undefined) => void;
  /** How long requests are held while the engine does not tell what there is, and how long a container stays of which nobody can tell whose it is, ms. */
  readonly patience: number;
}

/** What becomes of a container that was found. */
type Verdict = "adopted" | "stale" | "undecided";

/**
 * Takes over the containers that an earlier process has left, and removes those that are of no use. Meanwhile requests
 * come in: until it is known what there is, no pool starts anything, so that there is never a second container beside one
 * that is there. After that each request waits for its own service alone.
 */
export class Adoption {
  readonly #parts: AdoptionParts;
  readonly #held = new Set<InstancePool>();
  /** The containers of which it cannot be told yet whose they are. */
  readonly #undecided = new Set<string>();
  /** Until when they stay, in the clock's ms. */
  #undecidedUntil = Infinity;
  readonly #stopping = new AbortController();
  #known = false;

  constructor(parts: AdoptionParts) {
    this.#parts = parts;
  }

  /** Whether it is known which containers there are. */
  get known(): boolean {
    return this.#known;
  }

  /** Has a new pool start nothing until it is known what there is. */
  hold(pool: InstancePool): void {
    if (this.#known) return;
    this.#held.add(pool);
    pool.suspend(0);
  }

  /** Resolves when every container that is of use has been taken over, whether it answers yet or not, and the rest is gone. */
  async run(): Promise<void> {
    const { clock, patience } = this.#parts;
    const containers = await this.#list();
    if (containers === undefined) return;
    this.#undecidedUntil = clock.now() + patience;
    const stale: Container[] = [];
    try {
      for (const container of containers) if (this.#adopt(container) === "stale") stale.push(container);
    } finally {
      this.#known = true;
      for (const pool of this.#held) pool.resume(); // whatever happens, nobody may wait for ever
      this.#held.clear();
    }
    if (containers.length > 0) {
      const undecided = this.#undecided.size;
      const adopted = containers.length - stale.length - undecided;
      log.info("containers found", { adopted, stale: stale.length, undecided: undecided || undefined });
    }
    await this.#remove(stale);
  }

  /**
   * Whether a container that belongs to no instance must not be removed, since it cannot be told yet whose it is; where it
   * can be told now, the container is taken over first.
   */
  stays(container: Container): boolean {
    if (!this.#undecided.has(container.id) || this.#stopping.signal.aborted) return false;
    return this.#adopt(container) !== "stale";
  }

  /** Looks no further, and sends away all who wait for what it would find. */
  stop(): void {
    this.#stopping.abort();
    this.#refuse(new ClessError("draining", "cless is shutting down", { retryAfterS: 5 }));
  }

  /** Every container of this cless; `undefined` where it is stopped before the engine has told. */
  async #list(): Promise<Container[] | undefined> {
    const { clock, launcher, patience } = this.#parts;
    const { signal } = this.#stopping;
    const deadline = clock.now() + patience;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
      try {
        const containers = await launcher.list();
        return signal.aborted ? undefined : containers;
      } catch (error) {
        const reason = messageOf(error);
        log.warning("the engine does not tell which containers there are; asking again", { reason, afterMs: wait });
        if (clock.now() >= deadline) this.#refuse(new ClessError("start_failed", COULD_NOT_START, { detail: reason }));
      }
      await delay(clock, wait, signal);
    }
    return undefined;
  }

  #refuse(error: ClessError): void {
    for (const pool of this.#held) pool.refuse(error);
  }

  #adopt(container: Container): Verdict {
    const { id, origin, state } = container;
    const isUsable = (state === "running" || state === "paused") && origin !== undefined;
    let pool: InstancePool | undefined;
    try {
      pool = isUsable ? this.#parts.poolOf(container) : undefined;
    } catch (error) {
      return this.#putOff(container, error);
    }
    this.#undecided.delete(id);
    this.#parts.found(container, pool);
    if (pool === undefined || origin === undefined) return "stale";
    pool.adopt({ ...container, origin });
    return "adopted";
  }

  /** What is to be read for it may be readable soon: till then the container neither serves nor goes. */
  #putOff({ id, service }: Container, error: unknown): Verdict {
    if (this.#parts.clock.now() >= this.#undecidedUntil) {
      this.#undecided.delete(id);
      return "stale";
    }
    if (!this.#undecided.has(id)) {
      log.warning("cannot tell whose a container is; it stays for now", { service, id, reason: messageOf(error) });
      this.#undecided.add(id);
    }
    return "undecided";
  }

  async #remove(stale: Container[]): Promise<void> {
    const { launcher } = this.#parts;
    const remove = async () => {
      for (let next = stale.pop(); next !== undefined && !this.#stopping.signal.aborted; next = stale.pop()) {
        const { id, service, state } = next;
        log.info("stale container is removed", { service, id, state });
        try {
          await launcher.remove(id);
          launcher.forget(id);
        } catch (error) {
          log.warning("cannot remove a container", { id, reason: messageOf(error) }); // the reconciler will find it
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, remove));
  }
}
