import type { Clock } from "../base/clock.ts";
import { ClessError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { RequestHead } from "../http/request_head.ts";
import type { RevisionName } from "../model/revision.ts";
import type { Instance } from "../pool/instance.ts";
import type { Grant } from "../pool/pool.ts";
import type { WakeTier } from "../pool/wake_times.ts";

/** Where the platform puts its part of OpenTelemetry's API if `OTEL_DENO` has switched it on. */
const API = Symbol.for("opentelemetry.js.api.1");
/** Where a context holds its span. */
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
/** Kinds of spans and a status, by their numbers: https://opentelemetry.io/docs/specs/otel/trace/api/ */
const INTERNAL = 0;
const CLIENT = 2;
const ERROR = 2;
/** The flag of a trace that is recorded: https://www.w3.org/TR/trace-context/#sampled-flag */
const SAMPLED = 1;

type Attributes = Readonly<Record<string, string | number>>;

/** A step of a trace. */
interface Span {
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
  setAttributes(attributes: Attributes): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  updateName(name: string): unknown;
  /** @param at Wall-clock time, ms since 1970; now if missing. */
  end(at?: number): void;
}

/** What is true for all that happens in a call. */
interface Context {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): Context;
}

interface Tracer {
  startSpan(
    name: string,
    options: { readonly kind: number; readonly attributes: Attributes; readonly startTime?: number },
    context: Context,
  ): Span;
}

/** The part of OpenTelemetry's API that is needed here. */
export interface TraceApi {
  readonly trace: { getTracer(name: string, version: string): Tracer };
  readonly context: { active(): Context; with<T>(context: Context, run: () => T): T };
}

/** A request that was answered. */
export interface Answered {
  readonly head: Pick<RequestHead, "method">;
  readonly revision: RevisionName | undefined;
  readonly instance: Pick<Instance, "id"> | undefined;
  /** What it had to wait for. */
  readonly start: { readonly how: WakeTier } | undefined;
}

/**
 * Adds spans to the traces of requests. The platform itself begins a span for each request, below the one that the
 * client's `traceparent` names, and sends all spans to the collector.
 */
export class Tracing {
  readonly #api: TraceApi;
  readonly #tracer: Tracer;
  readonly #clock: Clock;
  readonly #now: () => number;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(api: TraceApi, clock: Clock, now: () => number) {
    this.#api = api;
    this.#tracer = api.trace.getTracer("cless", VERSION);
    this.#clock = clock;
    this.#now = now;
  }

  /** The tracing of this process; `undefined` unless the platform's is on. @param now Wall-clock time, ms since 1970. */
  static ofPlatform(clock: Clock, now: () => number): Tracing | undefined {
    const api = (globalThis as { [API]?: Partial<TraceApi> })[API];
    // The platform leaves out what is switched off, such as traces while it exports metrics.
    return api?.trace === undefined ? undefined : new Tracing(api as TraceApi, clock, now);
  }

  /** The trace of the request that is being handled. */
  begin(): RequestTrace {
    return new RequestTrace(this, this.#api.context.active());
  }

  /** Begins a span. @param startMs Wall-clock time, ms since 1970; now if missing. */
  start(name: string, context: Context, kind: number, attributes: Attributes = {}, startMs?: number): Span {
    const options = { kind, attributes, ...(startMs === undefined ? {} : { startTime: startMs }) };
    return this.#tracer.startSpan(name, options, context);
  }

  /** Runs something below a span: the spans of the platform, such as those of `fetch`, become its children. */
  within<T>(context: Context, run: () => T): T {
    return this.#api.context.with(context, run);
  }

  /** The wall-clock time of a moment, ms since 1970. @param atMs The clock's time. */
  wallTime(atMs: number): number {
    return this.#now() - (this.#clock.now() - atMs);
  }
}

/** The spans of one request: `hold` with `start` or `wake`, and `forward` for each attempt. */
export class RequestTrace {
  readonly #tracing: Tracing;
  readonly #context: Context;
  readonly #own: Span | undefined;
  /** Whether the trace goes on without being recorded. Then spans of cless would only cost. */
  readonly #isIgnored: boolean;

  /** @param context Its span is that of the request. */
  constructor(tracing: Tracing, context: Context) {
    this.#tracing = tracing;
    this.#context = context;
    this.#own = context.getValue(SPAN) as Span | undefined;
    this.#isIgnored = this.#own !== undefined && (this.#own.spanContext().traceFlags & SAMPLED) === 0;
  }

  /** Waits for a slot on an instance. */
  async hold(wait: () => Promise<Grant>): Promise<Grant> {
    if (this.#isIgnored) return await wait();
    const span = this.#tracing.start("hold", this.#context, INTERNAL);
    const context = this.#context.setValue(SPAN, span);
    try {
      const grant = await this.#tracing.within(context, wait);
      const { how, lease: { instance } } = grant;
      span.setAttributes({ ...attributesOf(instance), ...(how === undefined ? {} : { "cless.how": how }) });
      if (how !== undefined) this.#woke(context, instance, how);
      return grant;
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  /**
   * Sends the request to an instance. The app's `traceparent` names the span of this attempt, or that of the request if
   * the trace is not recorded.
   *
   * @param send Sends the request with the head that it gets.
   * @param statusOf The status of the answer.
   */
  async forward<T>(
    instance: Instance,
    head: RequestHead,
    send: (head: RequestHead) => Promise<T>,
    statusOf: (answer: T) => number,
  ): Promise<T> {
    if (this.#isIgnored) return await send(withTraceparent(head, this.#own!));
    const span = this.#tracing.start("forward", this.#context, CLIENT, attributesOf(instance));
    try {
      const traced = withTraceparent(head, span);
      const answer = await this.#tracing.within(this.#context.setValue(SPAN, span), () => send(traced));
      const status = statusOf(answer);
      span.setAttributes({ "http.response.status_code": status });
      if (status >= 500) span.setStatus({ code: ERROR });
      return answer;
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** Says in the span of the request how it was answered. The platform ends that span, as failed if the status is 5xx. */
  end({ head, instance, revision, start }: Answered, service: string | undefined, response: Response): void {
    const span = this.#own;
    if (span === undefined || this.#isIgnored) return;
    const error = response.headers.get("cless-error");
    if (service !== undefined) span.updateName(`${head.method} ${service}`);
    span.setAttributes({
      ...(service === undefined ? {} : { "cless.service": service }),
      ...(revision === undefined ? {} : { "cless.revision": revision.name }),
      ...(instance === undefined ? {} : { "cless.instance": instance.id }),
      ...(start === undefined ? {} : { "cless.how": start.how }),
      ...(error === null ? {} : { "cless.error": error }),
    });
  }

  /** Adds a span for the start or wake that the request has waited for. It may have begun for an earlier request. */
  #woke(context: Context, instance: Instance, how: WakeTier): void {
    const { coldStartMs, startedAt, waking } = instance;
    const attributes = { ...attributesOf(instance), "cless.how": how };
    if (how === "cold") {
      const beganMs = startedAt.getTime();
      this.#tracing.start("start", context, INTERNAL, attributes, beganMs).end(beganMs + (coldStartMs ?? 0));
    } else if (waking !== undefined) {
      const { beganMs, ranMs = beganMs } = waking;
      const span = this.#tracing.start("wake", context, INTERNAL, attributes, this.#tracing.wallTime(beganMs));
      span.end(this.#tracing.wallTime(ranMs));
    }
  }
}

function attributesOf({ id, revision: { name, service } }: Instance): Attributes {
  return { "cless.service": service, "cless.revision": name, "cless.instance": id };
}

function fail(span: Span, error: unknown): void {
  span.setStatus({ code: ERROR, message: error instanceof ClessError ? error.code : messageOf(error) });
}

/** The head with a span as the parent of the app's. https://www.w3.org/TR/trace-context/#traceparent-header */
function withTraceparent(head: RequestHead, span: Span): RequestHead {
  const { spanId, traceFlags, traceId } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  const others = head.headers.filter(([name]) => name !== "traceparent");
  return { ...head, headers: [...others, ["traceparent", traceparent]] };
}
