import { ClessError, messageOf } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { isExhausted } from "../base/file_reserve.ts";
import { logger } from "../base/log.ts";
import { ForwardError, InstanceGone } from "../http/forwarder.ts";
import { problem } from "../http/problem.ts";
import { pathOf, type RequestHead } from "../http/request_head.ts";
import type { Hostname } from "../model/host.ts";
import type { RevisionName } from "../model/revision.ts";
import type { AccessRecorder } from "./access_recorder.ts";
import type { Shed } from "./admission.ts";
import { ClientGone, type Info, type RequestContext, type UnansweredRequests } from "./request_context.ts";

const log = logger("proxy");

/** Counts requests. */
export interface RequestMetrics {
  /**
   * Counts a request. @param service `undefined` if none was found. @param revision The name of the revision that was
   * chosen; `undefined` if the request was answered before. @param durationMs The time to the response's headers.
   */
  requested(service: string | undefined, revision: string | undefined, status: number, durationMs: number): void;
  /** Notes how long a request waited for an instance or a slot until it got one. */
  waited(revision: RevisionName, ms: number): void;
}

/** Ends requests: makes the final response, counts the request, and logs it at level `debug` and in the access log. */
export class Responder {
  readonly #unanswered: UnansweredRequests;
  readonly #clock: Clock;
  readonly #metrics: RequestMetrics | undefined;
  readonly #shed: Shed;
  readonly #isLogging = log.isEnabledFor("debug");
  readonly #role: { readonly now: { readonly isLast: boolean } };
  readonly #access: AccessRecorder | undefined;

  /**
   * @param role Says whether each response closes its connection now. If it is missing, no response does.
   * @param access `undefined` if there is no access log.
   */
  constructor(
    unanswered: UnansweredRequests,
    clock: Clock,
    metrics: RequestMetrics | undefined,
    shed: Shed,
    role: { readonly now: { readonly isLast: boolean } } = { now: { isLast: false } },
    access?: AccessRecorder,
  ) {
    this.#role = role;
    this.#access = access;
    this.#shed = shed;
    this.#unanswered = unanswered;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /**
   * Passes on an app's response. Adds the header that says what the request had to wait for.
   *
   * @param ended Resolves when the response has ended, if it is a WebSocket.
   */
  fromApp(context: RequestContext, response: Response, ended?: Promise<void>): Response {
    const service = context.instance?.revision.service;
    this.#end(context, service, response);
    this.#access?.ofService(context, response, { service, ended: ended ?? context.info.completed, isFromApp: true });
    if (context.head.websocket) return response;
    const last = this.#role.now.isLast ? withHeader(response, "connection", "close") : response;
    if (context.start === undefined) return last;
    const { how, ms } = context.start;
    return withHeader(last, "server-timing", `cless-start;dur=${Math.round(ms)};desc="${how}"`);
  }

  /** A response that cless itself gives for a service. */
  forService(context: RequestContext, service: string | undefined, response: Response): Response {
    this.#end(context, service, response);
    this.#access?.ofService(context, response, { service, ended: context.info.completed, isFromApp: false });
    return response;
  }

  /** The response to a failed request. @param service The service that it was for, if known. */
  failed(context: RequestContext, service: string | undefined, error: unknown): Response {
    if (error instanceof ClessError && error.code === "overloaded") this.#shed.waiting++;
    if (error instanceof ForwardError && isExhausted(error)) this.#shed.descriptors++;
    return this.forService(context, service, failureResponse(context, service, error));
  }

  /**
   * A response that cless gives before it looks for a service. @param head `undefined` if the request's head is not
   * valid.
   */
  withoutService(request: Request, info: Info, response: Response, head: RequestHead | undefined): Response {
    const { method, headers } = request;
    this.#metrics?.requested(undefined, undefined, response.status, 0);
    this.#access?.ofCless(request, info, response, head, this.#clock.now());
    if (this.#isLogging) {
      const { status } = response;
      const error = response.headers.get("cless-error") ?? undefined;
      const write = () => log.debug("request", { method, host: headers.get("host"), status, error });
      info.completed.then(write, write);
    }
    return response;
  }

  /** The response to a request that is refused before its head is read. It is counted by what refuses it. */
  shed(request: Request, info: Info, response: Response): Response {
    this.#access?.ofCless(request, info, response, undefined, this.#clock.now());
    return response;
  }

  /** Passes on a response of the admin API. Its requests are not counted, since they are for no service. */
  fromAdmin(
    request: Request,
    info: Info,
    response: Response | Promise<Response>,
    head: RequestHead,
  ): Response | Promise<Response> {
    const access = this.#access;
    if (access === undefined) return response;
    const arrivedMs = this.#clock.now();
    return Promise.resolve(response).then((given) => {
      access.ofCless(request, info, given, head, arrivedMs);
      return given;
    });
  }

  #end(context: RequestContext, service: string | undefined, response: Response): void {
    this.#unanswered.delete(context);
    context.trace?.end(context, service, response);
    const ms = this.#clock.now() - context.arrivedMs;
    this.#metrics?.requested(service, context.revision?.name, response.status, ms);
    if (this.#isLogging) this.#log(context, response);
  }

  #log({ arrivedMs, head, info, instance, start }: RequestContext, { headers, status }: Response): void {
    const error = headers.get("cless-error") ?? undefined;
    const write = () =>
      log.debug("request", {
        method: head.method,
        host: head.hostname.name,
        target: pathOf(head.target),
        status,
        ms: Math.round((this.#clock.now() - arrivedMs) * 10) / 10,
        service: instance?.revision.service,
        instance: instance?.id,
        start: start?.how,
        error,
      });
    info.completed.then(write, write);
  }
}

function withHeader(response: Response, name: string, value: string): Response {
  try {
    response.headers.append(name, value);
    return response;
  } catch {
    // The headers of a `fetch` response are immutable, and a copy loses their order.
    const headers = new Headers(response.headers);
    headers.append(name, value);
    return new Response(response.body, { status: response.status, headers });
  }
}

function failureResponse(context: RequestContext, service: string | undefined, error: unknown): Response {
  const { head, instance, request } = context;
  if (error instanceof ClientGone) return new Response(null, { status: 499 }); // for the metrics; the client has gone
  const named = service !== undefined && isPublicName(service, head.hostname) ? service : undefined;
  if (!(error instanceof ForwardError || error instanceof InstanceGone)) return refusal(request, error, named);
  log.warning("request failed", {
    service: instance?.revision.service,
    instance: instance?.id,
    method: head.method,
    reason: error instanceof ForwardError ? error.message : error.isHung ? "the instance hangs" : "the instance ended",
  });
  if (isExhausted(error)) {
    const busy = new ClessError("overloaded", "cless has too many connections at the moment", { retryAfterS: 1 });
    return refusal(request, busy, named);
  }
  if (error instanceof InstanceGone && error.isHung) {
    return refusal(request, new ClessError("upstream_timeout", "The service did not answer in time"), named);
  }
  return refusal(request, new ClessError("upstream_failed", "The service did not answer"), named);
}

/** Whether a hostname shows its service's name; a custom domain does not. */
export function isPublicName(service: string, { label }: Hostname): boolean {
  return label === service || label.endsWith(`--${service}`);
}

/** The response for a request that is not served. @param service See {@linkcode problem}. */
export function refusal(request: Request, error: unknown, service?: string): Response {
  if (error instanceof ClessError) return problem(error, request, service);
  log.error("unexpected failure", {
    reason: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  return problem(new ClessError("internal", "cless has failed to handle the request"), request);
}
