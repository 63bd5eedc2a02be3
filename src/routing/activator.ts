import { abortable } from "@std/async/abortable";
import type { Hostname } from "../model/hostname.ts";
import { ClessError } from "../base/errors.ts";
import type { Grant, InstancePool } from "../pool/instance_pool.ts";
import type { Route } from "./service.ts";
import type { Router } from "./router.ts";

/** How often a request is sent after a service that moves on under it. */
const MOST_MOVES = 3;

/** Gives a request its slot on an instance: at once where one is ready, else after a wait for one to start. */
export class Activator {
  readonly #router: Router;
  readonly #maxPending: number;
  /** One for each request that waits for an instance. */
  readonly #held = new Set<{ readonly pool: InstancePool }>();
  #resolving = 0;
  #draining = false;

  /** @param maxPending How many requests may wait for a look at the images. */
  constructor(router: Router, maxPending: number) {
    this.#router = router;
    this.#maxPending = maxPending;
  }

  /** Whether requests are refused because the program is ending. */
  get draining(): boolean {
    return this.#draining;
  }

  /** From now on nobody new is let in; who waits already goes on waiting. */
  drain(): void {
    this.#draining = true;
  }

  /** The pools that requests wait in, also where they have no instance. */
  holding(): Set<InstancePool> {
    return new Set([...this.#held].map(({ pool }) => pool));
  }

  /** Where a hostname leads; `undefined` where it takes a look at the images to tell, or nobody new is let in. */
  find(hostname: Hostname): Route | undefined {
    return this.#draining ? undefined : this.#router.find(hostname);
  }

  /** Chooses the pool for a request; `undefined` where it takes a look at the images to tell, or nobody new is let in. */
  choose(hostname: Hostname): InstancePool | undefined {
    return this.find(hostname)?.route();
  }

  /** The name of the service that a hostname leads to, as far as that is known. */
  serviceOf(hostname: Hostname): string | undefined {
    return this.#router.find(hostname)?.name;
  }

  /**
   * Waits for a slot, and has an instance started where there is none.
   *
   * @param chosen What was chosen for the request.
   * @param signal Ends the waiting, with its reason.
   * @throws {ClessError} `unknown_host`, `overloaded`, `start_failed`, `start_timeout` or `draining`.
   */
  async hold(hostname: Hostname, chosen: InstancePool | undefined, signal: AbortSignal): Promise<Grant> {
    for (let moves = 0, wanted = chosen;; moves++) {
      if (this.#draining) throw new ClessError("draining", "cless is shutting down", { retryAfterS: 5 });
      const route = await this.#resolve(hostname, signal);
      const pool = route.route(wanted);
      const lease = pool.claim();
      if (lease !== undefined) return { lease };
      const held = { pool };
      this.#held.add(held);
      try {
        return await pool.hold(signal);
      } catch (error) {
        if (signal.aborted || this.#draining || moves >= MOST_MOVES) throw error;
        // Where another revision was waiting, it takes over now that this one has failed to start; one that shares the
        // requests with it does not.
        wanted = this.#router.find(hostname)?.route(pool);
        if (wanted === pool) throw error;
      } finally {
        this.#held.delete(held);
      }
    }
  }

  async #resolve(hostname: Hostname, signal: AbortSignal): Promise<Route> {
    if (this.#resolving >= this.#maxPending) {
      throw new ClessError("overloaded", "Too many requests are waiting", { retryAfterS: 1 });
    }
    this.#resolving++;
    try {
      return await abortable(this.#router.resolve(hostname), signal);
    } finally {
      this.#resolving--;
    }
  }
}
