import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import { ForwardError, IDEMPOTENT, InstanceGone } from "../http/forwarder.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { RequestContext } from "./request_context.ts";

/** How often a request is sent to the same instance. */
const MOST_TRIES = 2;
/** To how many instances it is sent: a request that kills them all must not look like an app that keeps crashing. */
const MOST_INSTANCES = 2;
/** How long the news of an instance's end may take. */
const NEWS_MS = 1000;
/** How many refused connections a request survives, which takes some seconds: it has reached nobody, and does no harm. */
const MOST_REFUSALS = 12;
/**
 * The first {@linkcode MOST_TRIES} refused connections count against an instance, and so do those from this one on. In
 * between the app may be starting again inside its container, and is asked only to learn when it is back.
 */
const COUNTED_REFUSALS = 8;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/** Told when an instance does not answer, since the news of its end may have been lost. */
export interface InstanceChecker {
  suspect(): void;
}

/** Decides whether a request that got no response may be sent again, and waits until the time has come. */
export class Retries {
  readonly #clock: Clock;
  readonly #checker: InstanceChecker;

  constructor(clock: Clock, checker: InstanceChecker) {
    this.#clock = clock;
    this.#checker = checker;
  }

  /**
   * Releases the lease, and resolves when the request may be sent again; to another instance if this one has ended.
   *
   * @param error How the attempt failed.
   * @throws How the request failed, if it must not be sent again.
   */
  async prepare(context: RequestContext, lease: Lease, error: unknown): Promise<void> {
    const { instance } = lease;
    const isRefused = error instanceof ForwardError && error.progress === "unsent";
    if (isRefused && isCounted(++context.refusals)) instance.failed();
    lease.release();
    if (error instanceof ClessError && error.code === "upstream_timeout") instance.late();
    if (!mayRepeat(context, error)) {
      if (isUnanswered(error)) instance.closed();
      throw error;
    }
    context.upload?.abandon();
    context.renew();
    if (isRefused) {
      if (context.refusals >= MOST_REFUSALS) throw error;
      if (context.refusals > 1) await this.#untilNews(context, instance, pauseMsAfter(context.refusals));
    } else {
      if (context.failedTries++ === 0) context.failedInstances++;
      if (context.failedTries >= MOST_TRIES) {
        // The first time, the app may just have closed an idle connection.
        if (isUnanswered(error)) instance.closed();
        await this.#untilNews(context, instance, NEWS_MS);
        context.signal.throwIfAborted();
        if (instance.state === "ready") throw error;
      }
      if (context.failedInstances >= MOST_INSTANCES) throw error;
    }
    context.signal.throwIfAborted();
  }

  /** Waits for the instance to leave the state `ready`: the engine learns of the end of a process later than its peers. */
  async #untilNews({ signal }: RequestContext, instance: Instance, timeoutMs: number): Promise<void> {
    if (instance.state !== "ready") return;
    const moved = new AbortController();
    instance.untilMoved().then(() => moved.abort());
    this.#checker.suspect();
    await delay(this.#clock, timeoutMs, AbortSignal.any([moved.signal, signal]));
  }
}

function mayRepeat({ head, upload }: RequestContext, error: unknown): boolean {
  if (upload?.replayable === false) return false;
  if (error instanceof ForwardError && error.progress === "unsent") return true;
  return (error instanceof InstanceGone || isUnanswered(error)) && IDEMPOTENT.has(head.method);
}

/** Whether the connection ended before there was a response. */
function isUnanswered(error: unknown): boolean {
  return error instanceof ForwardError && error.progress === "unanswered";
}

/** Whether a refused connection counts against its instance. */
function isCounted(refusals: number): boolean {
  return refusals <= MOST_TRIES || refusals >= COUNTED_REFUSALS;
}

/** How long to wait before the next attempt. */
function pauseMsAfter(refusals: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (refusals - 2));
}
