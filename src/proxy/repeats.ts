import { ClessError } from "../base/errors.ts";
import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ForwardError, IDEMPOTENT } from "../http/forward.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { RequestContext } from "./request_context.ts";
import { InstanceGone } from "../http/unanswered_requests.ts";

/** How often a request is sent to one instance. */
const MOST_TRIES = 2;
/** To how many it is sent: one that they all die of must by itself not be taken for a crash loop of the app. */
const MOST_INSTANCES = 2;
/** How long the news of an instance's end may take, ms. */
const NEWS_MS = 1000;
/** How often its connections may be refused, which takes some seconds: it has reached nobody, and does no harm. */
const MOST_REFUSALS = 12;
/**
 * From so many refusals on an instance is given up that the engine still takes for running. Those before, but the first
 * ones, do not count against it: it may be starting again, and is asked only to learn when it is back.
 */
const TELLING_REFUSALS = 8;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/** What {@linkcode Repeats} work with. */
export interface RepeatsParts {
  readonly clock: Clock;
  /** Is told when an instance does not answer: the news of its end may have been lost. */
  readonly suspect: () => void;
}

/** Says whether a request that has got no answer is sent once more, and when: only where that cannot do harm. */
export class Repeats {
  readonly #parts: RepeatsParts;

  constructor(parts: RepeatsParts) {
    this.#parts = parts;
  }

  /**
   * Gives the lease back, and resolves when the request may be sent once more, to a new instance where this one is gone.
   *
   * @param error What has become of the attempt.
   * @throws What the request has come to, where it may not be sent again.
   */
  async prepare(context: RequestContext, lease: Lease, error: unknown): Promise<void> {
    const { pending } = context;
    const { instance } = lease;
    const isRefused = error instanceof ForwardError && error.progress === "unsent";
    if (isRefused && isTelling(++context.refusals)) instance.failed();
    lease.release();
    if (isLate(error)) instance.late();
    if (!mayRepeat(context, error)) {
      if (isUnanswered(error)) instance.closed();
      throw error;
    }
    pending.upload?.abandon();
    pending.renew();
    if (isRefused) {
      if (context.refusals >= MOST_REFUSALS) throw error;
      if (context.refusals > 1) await this.#news(context, instance, pauseAfter(context.refusals));
    } else {
      if (context.tries++ === 0) context.instances++;
      if (context.tries >= MOST_TRIES) {
        // The first time it may well have been a connection that the app had done with.
        if (isUnanswered(error)) instance.closed();
        await this.#news(context, instance, NEWS_MS);
        pending.signal.throwIfAborted();
        if (instance.state === "ready") throw error;
      }
      if (context.instances >= MOST_INSTANCES) throw error;
    }
    pending.signal.throwIfAborted();
  }

  /** Waits until it is known what has become of an instance, if anything: a process dies before its engine knows. */
  async #news({ pending }: RequestContext, instance: Instance, ms: number): Promise<void> {
    if (instance.state !== "ready") return;
    const moved = new AbortController();
    instance.untilMoved().then(() => moved.abort());
    this.#parts.suspect();
    await delay(this.#parts.clock, ms, AbortSignal.any([moved.signal, pending.signal]));
  }
}

function mayRepeat({ head, pending: { upload } }: RequestContext, error: unknown): boolean {
  if (upload?.replayable === false) return false;
  if (error instanceof ForwardError && error.progress === "unsent") return true;
  return (error instanceof InstanceGone || isUnanswered(error)) && IDEMPOTENT.has(head.method);
}

/** Whether the connection ended before there was an answer. */
function isUnanswered(error: unknown): boolean {
  return error instanceof ForwardError && error.progress === "unanswered";
}

/** Whether the time for an answer has passed. */
function isLate(error: unknown): boolean {
  return error instanceof ClessError && error.code === "upstream_timeout";
}

/** Whether a refused connection says something of the instance, and not only that it is still not known what it does. */
function isTelling(refusals: number): boolean {
  return refusals <= MOST_TRIES || refusals >= TELLING_REFUSALS;
}

/** How long to wait before the next attempt, ms. */
function pauseAfter(refusals: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (refusals - 2));
}
