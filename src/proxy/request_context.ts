import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { CoarseTimeouts, type Timed } from "../base/coarse_timeouts.ts";
import { InstanceGone } from "../http/forwarder.ts";
import type { RequestHead } from "../http/request_head.ts";
import type { Upload } from "../http/upload.ts";
import type { Instance } from "../pool/instance.ts";
import type { Wake } from "../pool/pool.ts";

const TICK_MS = 100;

/** What the server knows about a request's connection. */
export type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** The reason to abort a request whose client has gone. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** A request on its way through the proxy, and what has become of it so far. */
export class RequestContext implements Timed {
  readonly request: Request;
  readonly info: Info;
  readonly head: RequestHead;
  readonly arrivedMs: number;
  /** The body, if one is on its way. */
  upload: Upload | undefined;
  /** How long the response's headers may take. */
  timeoutMs: number;
  /** What the request had to wait for. */
  start: { readonly how: Wake; readonly ms: number } | undefined;
  /** The instance that has the request, or had it last. */
  instance: Instance | undefined;
  /** How many instances have left the request without a response. */
  failedInstances = 0;
  /** How often the present instance has. */
  failedTries = 0;
  /** How often a connection was refused, so that the request could not be sent. */
  refusals = 0;
  /** See {@linkcode Timed}. */
  place = -1;
  #controller = new AbortController();
  /** When the timeout began. It moves on with every tick in which the upload makes progress. */
  #sinceMs: number;
  #ticks = 0;
  /** How much of the upload had arrived at the last tick. */
  #receivedBytes = 0;

  constructor(request: Request, info: Info, head: RequestHead, nowMs: number, timeoutMs: number) {
    this.request = request;
    this.info = info;
    this.head = head;
    this.arrivedMs = this.#sinceMs = nowMs;
    this.timeoutMs = timeoutMs;
  }

  /** Aborted when waiting for a response has become pointless; the reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins a new attempt: the signal is a new one. */
  renew(): void {
    this.#controller = new AbortController();
  }

  /** Aborts the request because its instance has ended. */
  instanceGone(): void {
    this.abort(new InstanceGone());
  }

  /** Aborts the present attempt. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Aborts the request at once when its client leaves; without it, at one of the next ticks, which costs less. */
  watchClient(): void {
    const { signal } = this.request;
    const leave = () => this.abort(new ClientGone());
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }

  /** See {@linkcode Timed}. */
  check(nowMs: number): void {
    if (this.upload !== undefined && this.upload.receivedBytes !== this.#receivedBytes) {
      this.#receivedBytes = this.upload.receivedBytes;
      this.#sinceMs += TICK_MS;
    }
    // A request's signal is expensive, and a young request will probably have its response soon.
    if (++this.#ticks >= 2 && this.request.signal.aborted) {
      this.abort(new ClientGone());
    } else if (nowMs >= this.#sinceMs + this.timeoutMs) {
      this.abort(new ClessError("upstream_timeout", "The service did not answer in time"));
    }
  }
}

/** All requests without a response, with one coarse timer instead of a timer and a listener for each. */
export class UnansweredRequests extends CoarseTimeouts<RequestContext> {
  constructor(clock: Clock) {
    super(clock, TICK_MS);
  }

  /** Aborts them all. */
  abortAll(reason: Error): void {
    for (const context of this.list()) context.abort(reason);
  }
}
