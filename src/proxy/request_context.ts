import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { CoarseTimeouts, type Timed } from "../base/coarse_timeouts.ts";
import { type Client, InstanceGone } from "../http/forwarder.ts";
import type { RequestHead } from "../http/request_head.ts";
import type { Upload } from "../http/upload.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { Revision } from "../model/revision.ts";
import type { Wake } from "../pool/pool.ts";

const TICK_MS = 100;

/** What the server knows about a request's connection. */
export type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** The limits of requests, until a revision sets others. */
export type ClientLimits = Pick<Revision, "requestTimeoutMs" | "clientTimeoutMs">;

/** The reason to abort a request whose client has gone. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** A request on its way through the proxy, with its state so far. */
export class RequestContext implements Client, Timed {
  readonly request: Request;
  readonly info: Info;
  readonly head: RequestHead;
  readonly arrivedMs: number;
  /** The body, if one is on its way. */
  upload: Upload | undefined;
  timeoutMs: number;
  clientTimeoutMs: number;
  /** What the request had to wait for. */
  start: { readonly how: Wake; readonly ms: number } | undefined;
  /** The instance that has, or last had, the request. */
  instance: Instance | undefined;
  /** Its present or last slot on that instance. */
  lease: Lease | undefined;
  /** How many instances have left the request without a response. */
  failedInstances = 0;
  /** How often the present instance has left the request without a response. */
  failedTries = 0;
  /** How often a connection was refused before the request was sent. */
  refusals = 0;
  /** The last instance whose connection broke, or that ended, before it answered; unless it has been judged. */
  broken: { readonly instance: Instance; readonly hadOthers: boolean } | undefined;
  /** Whether it has been sent again although it may have ended an instance. */
  isSuspect = false;
  place = -1;
  #controller = new AbortController();
  /** When the timeout began; every tick in which the upload makes progress moves it on. */
  #sinceMs: number;
  #ticks = 0;
  #receivedBytes = 0;
  /** Whether an instance has the request. */
  #isSent = false;
  /** How many answers the instance had begun at the last tick, and for how long it has begun none. */
  #answers = -1;
  #silentMs = 0;

  constructor(request: Request, info: Info, head: RequestHead, nowMs: number, limits: ClientLimits) {
    this.request = request;
    this.info = info;
    this.head = head;
    this.arrivedMs = this.#sinceMs = nowMs;
    this.timeoutMs = limits.requestTimeoutMs;
    this.clientTimeoutMs = limits.clientTimeoutMs;
  }

  get service(): string | undefined {
    return this.instance?.revision.service;
  }

  /** Aborted when waiting for a response is pointless; the reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Notes that an instance has the request now. */
  sendTo(instance: Instance): void {
    this.#isSent = true;
    if (this.instance === instance) return;
    this.instance = instance;
    this.failedTries = 0;
  }

  /** Begins a new attempt, with a new signal. */
  renew(): void {
    this.#isSent = false;
    this.#answers = -1;
    this.#controller = new AbortController();
  }

  /** Sets the limits of a revision. */
  limit({ requestTimeoutMs, clientTimeoutMs }: ClientLimits): void {
    this.timeoutMs = requestTimeoutMs;
    this.clientTimeoutMs = clientTimeoutMs;
  }

  appEnded(): void {
    this.lease?.appEnded();
  }

  instanceGone(isHung: boolean): void {
    this.abort(new InstanceGone(isHung));
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Aborts the request at once when its client leaves. By default that waits for a later tick, which is cheaper. */
  watchClient(): void {
    const { signal } = this.request;
    const leave = () => this.abort(new ClientGone());
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }

  check(nowMs: number): void {
    if (this.upload !== undefined && this.upload.receivedBytes !== this.#receivedBytes) {
      this.#receivedBytes = this.upload.receivedBytes;
      this.#sinceMs += TICK_MS;
    }
    // A request's signal is expensive, and most requests are answered before the second tick.
    if (++this.#ticks >= 2 && this.request.signal.aborted) {
      this.abort(new ClientGone());
    } else if (this.upload?.hasStopped(TICK_MS, this.clientTimeoutMs)) {
      this.abort(new ClessError("client_timeout", "The body of the request did not arrive in time"));
    } else if (nowMs >= this.#sinceMs + this.timeoutMs) {
      this.abort(new ClessError("upstream_timeout", "The service did not answer in time"));
    } else if (this.#isSent && this.instance !== undefined) this.#watch(this.instance);
  }

  /** Suspects an instance that could have answered this request or another one for long. */
  #watch(instance: Instance): void {
    if (instance.answers !== this.#answers || this.upload?.awaitsClient === true) {
      this.#answers = instance.answers;
      this.#silentMs = 0;
      return;
    }
    this.#silentMs += TICK_MS; // fewer than have passed if this process is late
    if (this.#silentMs < instance.revision.hangAfterMs) return;
    this.#silentMs = 0;
    instance.suspect("silent");
  }
}

/** All unanswered requests, watched with one coarse timer instead of a timer and a listener for each. */
export class UnansweredRequests extends CoarseTimeouts<RequestContext> {
  /** How many of them wait for an instance or a slot. */
  held = 0;

  constructor(clock: Clock) {
    super(clock, TICK_MS);
  }

  /** How many of them do not wait for an instance or a slot. */
  get active(): number {
    return this.size - this.held;
  }

  abortAll(reason: Error): void {
    for (const context of this.list()) context.abort(reason);
  }
}
