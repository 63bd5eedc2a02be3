import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError, type ErrorCode } from "../base/errors.ts";
import { pathOf, type RequestHead } from "../http/request_head.ts";
import type { Asker } from "../model/waker.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Route } from "../routing/service.ts";
import { failedPage, waitingPage } from "./waiting_page.ts";

/** The path on a service's own host where its waiting page learns the outcome of the start. */
export const READY_PATH = "/.well-known/cless/ready";

/** A browser gets no page if an instance is ready within this time, as after a resume. */
const GRACE_MS = 100;
/** A failed start is reported to new requests for this long, so that a reloaded page gets the failure. */
const NEWS_MS = 4000;
/** The failures of a service. All others are failures of one request. */
const FAILURES: ReadonlySet<ErrorCode> = new Set(["start_failed", "start_timeout", "crash_loop", "volume_away"]);
/** An event stream gets a comment at this interval: proxies may cut silent connections. */
const HEARTBEAT_MS = 15_000;
/** If an event stream breaks off, the browser reconnects after this time. */
const RECONNECT_MS = 1000;

/** Gives browsers a page while a service starts. The page reloads itself when an instance is ready. */
export class WaitingRoom {
  readonly #clock: Clock;
  /** The last wait for each pool. */
  readonly #waits = new WeakMap<InstancePool, Wait>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Starts an instance for a browser. Returns a page, or `undefined` if an instance is ready or the pool has ended.
   *
   * @param asker Who waits.
   */
  async enter(head: RequestHead, pool: InstancePool, asker?: Asker): Promise<Response | undefined> {
    const wait = this.#currentWait(pool, asker);
    await atMost(wait.over, this.#clock, GRACE_MS);
    const { beganMs, endedMs, failure, id } = wait;
    const nowMs = this.#clock.now();
    if (endedMs === undefined) {
      return waitingPage(head, { wait: id, elapsedMs: nowMs - beganMs, usualMs: pool.usualColdStartMs });
    }
    if (failure === undefined || failure.code === "draining") return undefined;
    if (!FAILURES.has(failure.code)) throw failure;
    const retryAfterS = Math.max(1, Math.ceil((endedMs + NEWS_MS - nowMs) / 1000));
    return failedPage(head, pool.revision.service, failure, retryAfterS);
  }

  /**
   * Answers a waiting page's request for the outcome of the start; starts nothing. @throws {ClessError}
   * `method_not_allowed`
   */
  events({ method, target }: RequestHead, route: Route): Response {
    if (method !== "GET") {
      throw new ClessError("method_not_allowed", "This path of cless can only be read", { allow: "GET" });
    }
    return eventsOf(this.#waitOf(target, route), this.#clock);
  }

  /** Whether a request is that of a page that cless has given to a browser: nobody else knows the id of its wait. */
  isOfPage(head: RequestHead, route: Route): boolean {
    return this.isForEvents(head) && this.#waitOf(head.target, route) !== undefined;
  }

  /** The wait that the target of a request for events names. */
  #waitOf(target: string, route: Route): Wait | undefined {
    const id = new URLSearchParams(target.slice(READY_PATH.length)).get("wait");
    return route.pools().map((pool) => this.#waits.get(pool)).find((wait) => wait?.id === id);
  }

  /** Whether a request is one for {@linkcode WaitingRoom.events}. */
  isForEvents({ target }: RequestHead): boolean {
    return target.startsWith(READY_PATH) && pathOf(target) === READY_PATH;
  }

  #currentWait(pool: InstancePool, asker: Asker | undefined): Wait {
    const last = this.#waits.get(pool);
    if (last !== undefined) {
      const { endedMs = Infinity, failure } = last;
      // A page that reloads itself must get the failure, instead of causing another start.
      const isNews = failure !== undefined && FAILURES.has(failure.code) && this.#clock.now() < endedMs + NEWS_MS;
      if (endedMs === Infinity || isNews) return last;
    }
    const wait = new Wait(pool, this.#clock, asker);
    this.#waits.set(pool, wait);
    return wait;
  }
}

/** A wait for an instance of a pool. All browsers that get the page meanwhile share it. */
class Wait {
  /** The id by which a page asks for this wait. */
  readonly id: string = crypto.randomUUID();
  readonly over: Promise<void>;
  readonly beganMs: number;
  endedMs: number | undefined;
  /** Why there is no instance; `undefined` if there is one, or the wait goes on. */
  failure: ClessError | undefined;

  /** Waits in the pool's queue, which starts an instance if there is none. */
  constructor(pool: InstancePool, clock: Clock, asker: Asker | undefined) {
    this.beganMs = clock.now();
    this.over = pool.hold(new AbortController().signal, asker).then(
      ({ lease }) => lease.release(),
      (error) => {
        this.failure = error instanceof ClessError
          ? error
          : new ClessError("internal", "cless has failed to handle the request", { cause: error });
      },
    ).finally(() => this.endedMs = clock.now());
  }
}

/**
 * An event stream with one event: `ready` or `failed` at the end of the wait, or `unknown` at once if there is no such
 * wait. If cless or the revision is ending, the stream ends without an event, and the browser reconnects.
 */
function eventsOf(wait: Wait | undefined, clock: Clock): Response {
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
  let stop: (() => void) | undefined;
  const body = new ReadableStream<string>({
    start: (controller) => {
      controller.enqueue(`retry: ${RECONNECT_MS}\n\n`);
      if (wait === undefined) {
        controller.enqueue(eventText("unknown"));
        return controller.close();
      }
      let isGone = false;
      const stopHeartbeat = clock.every(HEARTBEAT_MS, () => controller.enqueue(":\n\n"));
      stop = () => {
        isGone = true;
        stopHeartbeat();
      };
      wait.over.then(() => {
        stopHeartbeat();
        if (isGone) return;
        const { failure } = wait;
        if (failure?.code !== "draining") controller.enqueue(eventText(failure === undefined ? "ready" : "failed"));
        controller.close();
      });
    },
    cancel: () => stop?.(),
  });
  return new Response(body.pipeThrough(new TextEncoderStream()), { headers });
}

/**
 * The text of an event. It has data, since browsers do not dispatch events without:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
function eventText(type: string): string {
  return `event: ${type}\ndata: {}\n\n`;
}
