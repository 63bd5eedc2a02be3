import { type Gate, tooLarge } from "../access/gate.ts";
import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { CoarseTimeouts, type Timed } from "../base/coarse_timeouts.ts";
import { type Client, InstanceGone } from "../http/forwarder.ts";
import type { RequestHead } from "../http/request_head.ts";
import type { Upload } from "../http/upload.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { Revision, RevisionName } from "../model/revision.ts";
import type { WakeTier } from "../pool/wake_times.ts";
import { Pace } from "./pace.ts";
import type { RequestTrace } from "./tracing.ts";

const TICK_MS = 100;

/** The server's information about a request's connection. */
export type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** The time limits of a request. */
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
  /** The gate that has let the request pass. */
  admittedBy: Gate | undefined;
  /** The revision that was last chosen for the request. */
  revision: RevisionName | undefined;
  /** Its spans; `undefined` if nobody traces. */
  trace: RequestTrace | undefined;
  /** What the request had to wait for. */
  start: { readonly how: WakeTier; readonly ms: number } | undefined;
  /** The instance that the request was last sent to. */
  instance: Instance | undefined;
  /** The lease of its last attempt. */
  lease: Lease | undefined;
  /** How many instances have failed to answer the request. */
  failedInstances = 0;
  /** How often the present instance has failed to answer the request. */
  failedTries = 0;
  /** How often a connection was refused before the request was sent. */
  refusals = 0;
  /**
   * The last instance that ended, or broke the connection, before it answered. If it turns out that the instance ended
   * by itself, `Retries` decides whether to repeat the request, and resets this to `undefined`.
   */
  broken: { readonly instance: Instance; readonly hadOthers: boolean } | undefined;
  /** Whether the request was repeated after possibly crashing an instance. */
  isSuspect = false;
  place = -1;
  /** The tick of {@linkcode Pace} in which it began. */
  begunAt = 0;
  #controller = new AbortController();
  /** When the timeout began. Every tick in which the upload makes progress moves it forward. */
  #sinceMs: number;
  #ticks = 0;
  #receivedBytes = 0;
  /** Whether an instance has the request. */
  #isSent = false;
  /** How many responses the instance had begun at the last tick. */
  #answers = -1;
  /** For how long the instance has begun no response. */
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

  /** Aborted when the request must end; the reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Notes that the request is sent to an instance. */
  sendTo(instance: Instance): void {
    this.#isSent = true;
    if (this.instance === instance) return;
    this.instance = instance;
    this.failedTries = 0;
  }

  /** Begins a new attempt with a new signal. */
  renew(): void {
    this.#isSent = false;
    this.#answers = -1;
    this.#controller = new AbortController();
  }

  /** Notes the revision that is to answer. Its limits hold from now on. */
  choose(revision: RevisionName & ClientLimits): void {
    this.revision = revision;
    this.timeoutMs = revision.requestTimeoutMs;
    this.clientTimeoutMs = revision.clientTimeoutMs;
  }

  /**
   * Notes that a gate has let the request pass. Its limit for bodies holds from now on. @throws {ClessError} `too_large`
   * if more has arrived already.
   */
  admit(gate: Gate): void {
    this.admittedBy = gate;
    const { maxBody = Infinity } = gate;
    if (this.upload === undefined) return;
    if (this.upload.receivedBytes > maxBody) throw tooLarge();
    this.upload.limit(maxBody, () => this.abort(tooLarge()));
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

  /** Aborts the request at once when its client leaves. By default, a later tick notices that, which is cheaper. */
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
    // Reading a request's signal is expensive, and most requests are answered before the second tick.
    if (++this.#ticks >= 2 && this.request.signal.aborted) {
      this.abort(new ClientGone());
    } else if (this.upload?.hasStopped(TICK_MS, this.clientTimeoutMs)) {
      this.abort(new ClessError("client_timeout", "The body of the request did not arrive in time"));
    } else if (nowMs >= this.#sinceMs + this.timeoutMs) {
      this.abort(new ClessError("upstream_timeout", "The service did not answer in time"));
    } else if (this.#isSent && this.instance !== undefined) this.#watch(this.instance);
  }

  /** Reports an instance that has begun no response for `hangAfterMs`, although it has this whole request. */
  #watch(instance: Instance): void {
    if (instance.answers !== this.#answers || this.upload?.awaitsClient === true) {
      this.#answers = instance.answers;
      this.#silentMs = 0;
      return;
    }
    this.#silentMs += TICK_MS; // counts ticks, so that lag of this process does not count
    if (this.#silentMs < instance.revision.hangAfterMs) return;
    this.#silentMs = 0;
    instance.suspect("silent");
  }
}

/** All unanswered requests. One coarse timer watches them, instead of a timer and a listener for each. */
export class UnansweredRequests extends CoarseTimeouts<RequestContext> {
  /** How many of them wait for an instance or a slot. */
  held = 0;
  /** How many requests there have been in all. */
  total = 0;
  /** Decides when requests begin; {@linkcode add} and {@linkcode delete} tell it which have begun and ended. */
  readonly pace: Pace;

  constructor(clock: Clock) {
    super(clock, TICK_MS);
    this.pace = new Pace(clock);
  }

  override add(context: RequestContext): void {
    this.total++;
    context.begunAt = this.pace.begun();
    super.add(context);
  }

  override delete(context: RequestContext): boolean {
    const wasThere = super.delete(context);
    if (wasThere) this.pace.ended(context.begunAt);
    return wasThere;
  }

  /** How many of them do not wait for an instance or a slot. */
  get active(): number {
    return this.size - this.held;
  }

  abortAll(reason: Error): void {
    for (const context of this.list()) context.abort(reason);
  }
}
