import type { Route, TaggedRevision } from "./service.ts";
import type { InstancePool } from "../pool/instance_pool.ts";

const JUST_NOW_MS = 1000;

/** A revision that waits to take over. */
interface Successor {
  readonly pool: InstancePool;
  starting: boolean;
}

/**
 * A service that nobody has declared, since its image was found by its name: which pool its requests go to, also while one
 * revision takes over from another.
 */
export class ConventionService implements Route {
  readonly convention = true;
  readonly name: string;
  /** Only those that are declared have hostnames besides their own. */
  readonly domains: readonly string[] = [];
  /** Only those that are declared have tags. */
  readonly tagged: readonly TaggedRevision[] = [];
  readonly createdAt: Date = new Date();
  #updatedAt: Date = this.createdAt;
  #current: InstancePool;
  #next: Successor | undefined;
  readonly #retire: (pool: InstancePool) => void;

  /** @param retire Drains a pool that no request goes to any more. */
  constructor(name: string, pool: InstancePool, retire: (pool: InstancePool) => void) {
    this.name = name;
    this.#current = pool;
    this.#retire = retire;
  }

  /** The pool of the revision that was published last. */
  get latest(): InstancePool {
    return this.#next?.pool ?? this.#current;
  }

  /** When its latest revision came. */
  get updatedAt(): Date {
    return this.#updatedAt;
  }

  /** The pool that requests go to, as things stand. */
  get current(): InstancePool {
    return this.#current;
  }

  /**
   * Chooses the pool for a request that is there now. Where a newer revision waits, the request sets it off, and goes to the
   * older one as long as that has an instance.
   */
  route(): InstancePool {
    if (this.#next === undefined) return this.#current;
    if (!this.#current.awake) return this.#takeOver();
    this.#prepare(this.#next);
    return this.#current;
  }

  /** Publishes the pool of another revision; requests go there once one of its instances is ready. */
  roll(pool: InstancePool): void {
    if (this.#next !== undefined) this.#retire(this.#next.pool); // it is not wanted any more
    this.#next = pool === this.#current ? undefined : { pool, starting: false };
    this.#updatedAt = new Date();
    // A request that came before the news did should have set it off.
    if (this.#current.usedWithin(JUST_NOW_MS)) this.route();
  }

  /** The pool that an operator means who wakes the service. */
  main(): InstancePool {
    return this.route();
  }

  /** Every pool that may still have instances. */
  pools(): InstancePool[] {
    return this.#next === undefined ? [this.#current] : [this.#current, this.#next.pool];
  }

  #takeOver(): InstancePool {
    const old = this.#current;
    this.#current = this.#next!.pool;
    this.#next = undefined;
    this.#retire(old);
    return this.#current;
  }

  #prepare(next: Successor): void {
    // A new revision that does not start must not be tried at every request while the old one serves.
    if (next.starting || next.pool.resting) return;
    next.starting = true;
    next.pool.wake();
    next.pool.settled().then(() => {
      next.starting = false;
      if (this.#next === next && next.pool.awake) this.#takeOver();
    });
  }
}
