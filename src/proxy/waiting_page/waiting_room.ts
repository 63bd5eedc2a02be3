import { ClessError, type ErrorCode } from "../../base/errors.ts";
import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import type { InstancePool } from "../../pool/instance_pool.ts";
import type { RequestHead } from "../../http/request_head.ts";
import type { Route } from "../../routing/service.ts";
import { pathOf } from "../../routing/wake_rules.ts";
import { failedPage, waitingPage } from "./page.ts";
import { readyEvents } from "./ready_events.ts";
import { Wait } from "./wait.ts";

/** Where the page asks how it goes on, at the hostname of the service; never passed on to one that shows the page. */
export const READY_PATH = "/.well-known/cless/ready";

/** An instance that is there as soon as that is worth no page: a paused one wakes faster. */
const GRACE_MS = 100;
/** How long a failed start is told to who comes: longer than the page takes to come again by itself. */
const NEWS_MS = 4000;
/** What went wrong with the service; all else went wrong with the request. */
const FAILURES: ReadonlySet<ErrorCode> = new Set(["start_failed", "start_timeout", "crash_loop"]);

/** Where browsers wait for services: they get a page at once, which goes on by itself when there is an instance. */
export class WaitingRoom {
  readonly #clock: Clock;
  /** The last wait for each pool. */
  readonly #waits = new WeakMap<InstancePool, Wait>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Has an instance started for a browser.
   *
   * @returns The page; nothing where there is an instance by now, or the pool ends.
   * @throws {ClessError} Where it is not the service that has failed.
   */
  async enter(head: RequestHead, pool: InstancePool): Promise<Response | undefined> {
    const wait = this.#waitFor(pool);
    const patience = new AbortController();
    await Promise.race([wait.over, delay(this.#clock, GRACE_MS, patience.signal)]);
    patience.abort();
    const { failure } = wait;
    if (!wait.isOver) {
      return waitingPage(head, { wait: wait.id, elapsed: wait.elapsed, usual: pool.coldStarts.usual });
    }
    // Where it is the revision that ends, there is another.
    if (failure === undefined || failure.code === "draining") return undefined;
    if (!FAILURES.has(failure.code)) throw failure;
    return failedPage(head.hostname.name, failure, Math.max(1, Math.ceil((NEWS_MS - wait.age) / 1000)));
  }

  /** Tells a page how it goes on; starts nothing. @throws {ClessError} `method_not_allowed` */
  events({ method, target }: RequestHead, route: Route): Response {
    if (method !== "GET") {
      throw new ClessError("method_not_allowed", "This path of cless can only be read", { allow: "GET" });
    }
    const id = new URLSearchParams(target.slice(READY_PATH.length)).get("wait");
    const wait = route.pools().map((pool) => this.#waits.get(pool)).find((wait) => wait?.id === id);
    return readyEvents(wait, this.#clock);
  }

  /** Whether it is events that a request is for. */
  isForEvents({ target }: RequestHead): boolean {
    return target.startsWith(READY_PATH) && pathOf(target) === READY_PATH;
  }

  #waitFor(pool: InstancePool): Wait {
    const last = this.#waits.get(pool);
    // A page that comes again by itself must hear of the failure, and not set off the next start.
    const isNews = last?.failure !== undefined && FAILURES.has(last.failure.code) && last.age < NEWS_MS;
    if (last !== undefined && (!last.isOver || isNews)) return last;
    const wait = new Wait(pool, this.#clock);
    this.#waits.set(pool, wait);
    return wait;
  }
}
