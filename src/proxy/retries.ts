import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import { isExhausted } from "../base/file_reserve.ts";
import { logger } from "../base/log.ts";
import { ForwardError, IDEMPOTENT, InstanceGone } from "../http/forwarder.ts";
import { pathOf } from "../http/request_head.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { RequestContext } from "./request_context.ts";

const log = logger("proxy");
const MAX_TRIES = 2;
/**
 * A request is sent to at most this many instances. The limit is low, so that one bad request does not put the app into
 * crash-loop back-off.
 */
const MAX_INSTANCES = 2;
/** After its last try on an instance, a request waits at most this long for news of the instance's end. */
const NEWS_MS = 1000;
/** An unanswered request waits at most this long to learn whether its instance has ended. */
const END_NEWS_MS = 250;
/** Requests of one instance that break within this time count as in flight together. */
const TOGETHER_MS = 1000;
/**
 * The request fails after this many refused connections, which takes seconds. Retrying is harmless, since nothing was
 * sent.
 */
const MAX_REFUSALS = 12;
/**
 * The first {@linkcode MAX_TRIES} refused connections count against an instance, and so do those from this number on.
 * Those in between do not count: the app may be restarting inside its container.
 */
const COUNTED_REFUSALS = 8;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 500;

/** Decides whether a request without a response may be sent again, and waits until it is time. */
export class Retries {
  readonly #clock: Clock;
  readonly #reconciler: { suspect(): void };
  /** The last unanswered request of each instance, and when it broke, clock ms. */
  readonly #lastBroken = new WeakMap<Instance, { readonly context: RequestContext; readonly at: number }>();

  /** @param reconciler Called when an instance does not answer: the event of its end may be lost. */
  constructor(clock: Clock, reconciler: { suspect(): void }) {
    this.#clock = clock;
    this.#reconciler = reconciler;
  }

  /** Releases the lease of a failed attempt. Resolves when the request may be sent again; rejects if it may not. */
  async prepare(context: RequestContext, lease: Lease, error: unknown): Promise<void> {
    const { instance } = lease;
    const isRefused = error instanceof ForwardError && error.progress === "unsent";
    const counts = isRefused && (isCounted(++context.refusals) || isOfSilentHost(error));
    if (counts && !isExhausted(error)) instance.suspect("unreachable");
    if (isBroken(error)) context.broken = { instance, hadOthers: this.#hadOthers(instance, context) };
    try {
      // The lease is still open, so that the request counts as in flight if the instance ends meanwhile.
      if (isUnanswered(error) && mayRepeat(context, error)) await this.#untilKnown(context, lease);
    } finally {
      lease.release();
    }
    if (error instanceof ClessError && error.code === "upstream_timeout") instance.suspect("late");
    if (!mayRepeat(context, error)) {
      if (isUnanswered(error)) instance.suspect("closed");
      throw error;
    }
    context.upload?.abandon();
    context.renew();
    judge(context, error);
    if (isRefused) {
      if (context.refusals >= MAX_REFUSALS) throw error;
      const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (context.refusals - 2));
      if (context.refusals > 1) await this.#untilNews(context, instance, pauseMs);
      judge(context, error);
    } else {
      if (context.failedTries++ === 0) context.failedInstances++;
      if (context.failedTries >= MAX_TRIES) {
        // Not at the first try: the app may just have closed an idle connection.
        if (isUnanswered(error)) instance.suspect("closed");
        await this.#untilNews(context, instance, NEWS_MS);
        context.signal.throwIfAborted();
        judge(context, error);
        if (instance.state === "ready") throw error;
      }
      if (context.failedInstances >= MAX_INSTANCES) throw error;
    }
    context.signal.throwIfAborted();
  }

  /** Whether other requests were in flight on an instance together with the request that broke. */
  #hadOthers(instance: Instance, context: RequestContext): boolean {
    const at = this.#clock.now();
    const last = this.#lastBroken.get(instance);
    this.#lastBroken.set(instance, { context, at });
    const isOther = last !== undefined && last.context !== context && at - last.at <= TOGETHER_MS;
    return isOther || Math.max(instance.requests, instance.inFlightAtEnd) > 1;
  }

  /** Waits a short time until it is known whether the instance has ended or still answers. */
  async #untilKnown({ signal }: RequestContext, lease: Lease): Promise<void> {
    const { instance } = lease;
    if (instance.gone.aborted) return;
    lease.holder = undefined; // the instance's end must not abort the request now
    const alive = new AbortController();
    instance.answersWithin(END_NEWS_MS).then((answers) => answers && alive.abort());
    await delay(this.#clock, END_NEWS_MS, AbortSignal.any([alive.signal, instance.gone, signal]));
    signal.throwIfAborted();
  }

  /**
   * Waits for the instance to leave the state `ready`: the engine reports the end of a process later than its
   * connections break.
   */
  async #untilNews({ signal }: RequestContext, instance: Instance, timeoutMs: number): Promise<void> {
    if (instance.state !== "ready") return;
    const moved = new AbortController();
    instance.untilMoved().then(() => moved.abort());
    this.#reconciler.suspect();
    await delay(this.#clock, timeoutMs, AbortSignal.any([moved.signal, signal]));
  }
}

/**
 * Decides whether a request that may have crashed its instance is sent again. If it was alone on the instance, it is
 * not sent again, so that it crashes no second instance. If other requests were in flight there, one of those may be
 * the cause, and so may the sleep that the request has ended: the app's connections may be dead. Then this request is
 * sent again, once. If the instance did not end by itself, this changes nothing.
 *
 * @throws The error, if the request must not be sent again.
 */
function judge(context: RequestContext, error: unknown): void {
  const { broken, head, isSuspect, start } = context;
  if (broken === undefined || !broken.instance.endedByItself) return;
  context.broken = undefined;
  context.isSuspect = true;
  const hasWoken = start !== undefined && start.how !== "cold";
  if ((broken.hadOthers || hasWoken) && !isSuspect) return;
  const { id, revision: { service } } = broken.instance;
  const { method } = head;
  const target = pathOf(head.target);
  log.warning("a request is not repeated: its instance ended", { service, instance: id, method, target });
  throw error;
}

/** Whether the app may have seen the request, but did not answer. */
function isBroken(error: unknown): boolean {
  return error instanceof InstanceGone || isUnanswered(error);
}

function mayRepeat({ head, upload }: RequestContext, error: unknown): boolean {
  if (upload?.replayable === false) return false;
  if (error instanceof ForwardError && error.progress === "unsent") return true;
  return isBroken(error) && IDEMPOTENT.has(head.method);
}

/** Whether the connection ended before there was a response. */
function isUnanswered(error: unknown): boolean {
  return error instanceof ForwardError && error.progress === "unanswered";
}

/** Whether nobody has answered at the address of an app: its machine is gone, rather than that it is restarting. */
function isOfSilentHost({ cause }: ForwardError): boolean {
  return cause instanceof Deno.errors.TimedOut;
}

/** Whether a refused connection counts against its instance. */
function isCounted(refusals: number): boolean {
  return refusals <= MAX_TRIES || refusals >= COUNTED_REFUSALS;
}
