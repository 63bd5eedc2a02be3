import { abortable } from "@std/async/abortable";
import type { Hostname } from "../model/host.ts";
import type { Asker } from "../model/waker.ts";
import { ClessError, shuttingDown } from "../base/errors.ts";
import type { Grant, InstancePool } from "../pool/pool.ts";
import type { Router } from "./router.ts";
import type { Route } from "./service.ts";

/**
 * How often a request may move to the revision that has replaced its own, after an error such as a failed start. Errors
 * of retired pools do not count.
 */
const MAX_MOVES = 3;

/** Gives each request a slot on an instance. If none is ready, the request waits for one to start. */
export class Activator {
  /** Whether new requests are refused because the program is ending. */
  draining = false;
  readonly #router: Router;
  readonly #maxPending: number;
  readonly #held = new Set<{ readonly pool: InstancePool }>();
  #resolving = 0;

  /** @param maxPending How many requests may wait for the list of local images. */
  constructor(router: Router, maxPending: number) {
    this.#router = router;
    this.#maxPending = maxPending;
  }

  /** Refuses new requests from now on. Waiting requests keep waiting. */
  drain(): void {
    this.draining = true;
  }

  /** The pools that requests wait in, including those without an instance. */
  holding(): Set<InstancePool> {
    return new Set([...this.#held].map(({ pool }) => pool));
  }

  /** Where a request goes; `undefined` if the local images must be searched first, or new requests are refused. */
  find(hostname: Hostname): Route | undefined {
    return this.draining ? undefined : this.#router.route(hostname);
  }

  /** The name of a hostname's service, if already known. */
  serviceOf(hostname: Hostname): string | undefined {
    return this.#router.find(hostname)?.name;
  }

  /** Whether a hostname's service is failing: see {@linkcode Router.isFailing}. @throws {ClessError} `unknown_host` */
  isFailing(hostname: Hostname): boolean {
    return this.#router.isFailing(hostname);
  }

  /**
   * Waits for a slot, and starts an instance if there is none. Uses the chosen pool, or another one if the service has
   * changed.
   *
   * @param asker Who waits.
   * @throws {ClessError} `unknown_host`, `overloaded`, `start_failed`, `start_timeout`, `crash_loop` or `draining`.
   */
  async hold(
    hostname: Hostname,
    chosen: InstancePool | undefined,
    signal: AbortSignal,
    asker?: Asker,
  ): Promise<Grant> {
    for (let failures = 0, wanted = chosen;;) {
      if (this.draining) throw shuttingDown();
      // A thaw needs no engine, so a request for a sleeping instance does not wait for the engine's list of images.
      const pool = wanted?.live ? wanted : (await this.resolve(hostname, signal)).route(wanted);
      const lease = pool.claim();
      if (lease !== undefined) return { lease };
      const held = { pool };
      this.#held.add(held);
      try {
        return await pool.hold(signal, asker);
      } catch (error) {
        // That a revision was replaced says nothing about the one that replaced it.
        const isReplaced = error instanceof ClessError && error.code === "draining";
        if (signal.aborted || this.draining || (!isReplaced && failures++ >= MAX_MOVES)) throw error;
        // The request moves to another pool only if the service has replaced this revision meanwhile, whatever the
        // error. It never moves to another revision that shares the traffic.
        wanted = this.#router.route(hostname)?.route(pool);
        if (wanted === pool) throw error;
      } finally {
        this.#held.delete(held);
      }
    }
  }

  /**
   * The route of a hostname, after a search of the local images if its service is not declared. @throws {ClessError}
   * `unknown_host` or `overloaded`
   */
  async resolve(hostname: Hostname, signal: AbortSignal): Promise<Route> {
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
