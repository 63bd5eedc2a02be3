import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import { type Clock, pause } from "../serving/clock.ts";
import type { InstancePool } from "../serving/pool/instance_pool.ts";
import type { Container, Launcher } from "../serving/launcher.ts";

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
  /** The pool that a container belongs to; `undefined` where it is of no use any more. */
  readonly poolOf: (container: Container) => InstancePool | undefined;
  /** Is told of every container, and whose it is; before any other one is started. */
  readonly found: (container: Container, pool: InstancePool | undefined) => void;
  /** How long requests are held while the engine does not tell what there is, ms. */
  readonly patience: number;
}

/**
 * Takes over the containers that an earlier process has left, and removes those that are of no use. Meanwhile requests
 * come in: until it is known what there is, no pool starts anything, so that there is never a second container beside one
 * that is there. After that each request waits for its own service alone.
 */
export class Adoption {
  readonly #parts: AdoptionParts;
  readonly #held = new Set<InstancePool>();
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
    const containers = await this.#list();
    if (containers === undefined) return;
    let stale: Container[] = [];
    try {
      stale = containers.filter((container) => !this.#adopt(container));
    } finally {
      this.#known = true;
      for (const pool of this.#held) pool.resume(); // whatever happens, nobody may wait for ever
      this.#held.clear();
    }
    if (containers.length > 0) {
      log.info("containers found", { adopted: containers.length - stale.length, stale: stale.length });
    }
    await this.#remove(stale);
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
      await pause(clock, wait, signal);
    }
    return undefined;
  }

  #refuse(error: ClessError): void {
    for (const pool of this.#held) pool.refuse(error);
  }

  /** Whether the container is of use. */
  #adopt(container: Container): boolean {
    const { origin, state } = container;
    const isUsable = (state === "running" || state === "paused") && origin !== undefined;
    const pool = isUsable ? this.#parts.poolOf(container) : undefined;
    this.#parts.found(container, pool);
    if (pool === undefined || origin === undefined) return false;
    pool.adopt({ ...container, origin });
    return true;
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
          log.warning("cannot remove a container", { id, reason: messageOf(error) }); // the reaper will find it
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, remove));
  }
}
