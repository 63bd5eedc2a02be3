import { abortable } from "@std/async/abortable";
import type { Gate, Verdict } from "../access/gate.ts";
import type { CallbackHost } from "../access/oidc/callback_host.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import type { Forwarder } from "../http/forwarder.ts";
import { isNavigation } from "../http/problem.ts";
import { ALLOW, isServerWide, readHead, type RequestHead } from "../http/request_head.ts";
import type { SlowClients } from "../http/slow_clients.ts";
import type { StreamBudget } from "../http/stream_budget.ts";
import { Upload, UploadPauses } from "../http/upload.ts";
import { type Bridge, WebSocketBridge } from "../http/websocket/bridge.ts";
import { type Cidr, withoutMapping } from "../model/ip.ts";
import type { Asker } from "../model/waker.ts";
import type { Lease } from "../pool/instance.ts";
import type { Grant, InstancePool } from "../pool/pool.ts";
import type { Activator } from "../routing/activator.ts";
import type { Route, Waking } from "../routing/service.ts";
import { notWoken } from "../routing/wake_rules.ts";
import { AccessRecorder, type AccessWriter } from "./access_recorder.ts";
import type { Admission } from "./admission.ts";
import { type ClientLimits, type Info, RequestContext, type UnansweredRequests } from "./request_context.ts";
import { refusal, type RequestMetrics, Responder } from "./responder.ts";
import { Retries } from "./retries.ts";
import { isForHealth, serviceHealth } from "./service_health.ts";
import type { Tracing } from "./tracing.ts";
import { WaitingRoom } from "./waiting_room.ts";
import { type WakeLogDetail, wakerOf } from "./waker.ts";

/** What a {@linkcode Proxy} works with. */
export interface ProxyOptions {
  readonly activator: Activator;
  readonly forwarder: Forwarder;
  readonly unanswered: UnansweredRequests;
  readonly clock: Clock;
  readonly reconciler: { suspect(): void };
  readonly metrics?: RequestMetrics;
  /** Refuses requests that cless cannot answer in time. */
  readonly admission: Pick<Admission, "judge" | "refusal" | "shed">;
  /** Whether known robots wake no service. Then a service is looked up before it is woken, also an undeclared one. */
  readonly exceptRobots?: boolean;
  /** Peers that say who the client is. */
  readonly trustedProxies: readonly Cidr[];
  /** The limits of a request until its revision is chosen. */
  readonly limits: ClientLimits;
  readonly slowClients: SlowClients;
  /** The memory of all streams. */
  readonly budget: StreamBudget;
  /** How long connecting to an app may take, ms; Infinity by default. */
  readonly connectTimeoutMs?: number;
  /** Gets a line for each request; `undefined` if nobody wants any. */
  readonly accessLog?: AccessWriter | undefined;
  /** What is kept of a request that wakes a service; nothing by default. */
  readonly wakeLog?: WakeLogDetail;
  /** Adds to the traces of requests; `undefined` if nobody traces. */
  readonly tracing?: Tracing | undefined;
  /** Whether each response closes its connection now, so that clients reconnect to the successor. */
  readonly role?: { readonly now: { readonly isLast: boolean } };
  /** Answers browsers that come back from a provider for sign-in; `undefined` if each service's own host does. */
  readonly callbackHost?: Pick<CallbackHost, "answer"> | undefined;
  /** Answers requests for the admin API; returns `undefined` for all others. */
  readonly admin: (request: Request, head: RequestHead) => Response | Promise<Response> | undefined;
}

/** Handles requests: finds an instance, sends the request there, and passes the response back. */
export class Proxy implements Disposable {
  readonly #options: ProxyOptions;
  readonly #responder: Responder;
  readonly #retries: Retries;
  readonly #waitingRoom: WaitingRoom;
  readonly #uploadPauses: UploadPauses;
  readonly #websockets: WebSocketBridge;

  constructor(options: ProxyOptions) {
    const { accessLog, admission, budget, clock, metrics, reconciler, slowClients, unanswered } = options;
    this.#options = options;
    const access = accessLog && new AccessRecorder(accessLog, clock);
    this.#responder = new Responder(unanswered, clock, metrics, admission.shed, options.role, access);
    this.#retries = new Retries(clock, reconciler);
    this.#waitingRoom = new WaitingRoom(clock);
    this.#uploadPauses = new UploadPauses(clock, budget);
    this.#websockets = new WebSocketBridge(clock, slowClients, budget, options.connectTimeoutMs);
  }

  readonly handle = (request: Request, info: Info): Response | Promise<Response> => {
    const { admission, clock, unanswered: { pace } } = this.#options;
    const verdict = admission.judge(request);
    if (verdict === "refused") return this.#responder.shed(request, info, admission.refusal);
    const arrivedMs = clock.now();
    if (verdict === "first" || !pace.isFull) return this.#serve(request, info, arrivedMs);
    const serve = async () => await this.#serve(request, info, arrivedMs);
    return new Promise((resolve) => pace.wait(() => resolve(serve())));
  };

  #serve(request: Request, info: Info, arrivedMs: number): Response | Promise<Response> {
    const peer = withoutMapping(info.remoteAddr.hostname);
    let head: RequestHead;
    try {
      head = readHead(request, peer, this.#options.trustedProxies);
      this.#options.forwarder.check(head);
    } catch (error) {
      return this.#responder.withoutService(request, info, refusal(request, error), undefined);
    }
    if (isServerWide(head)) {
      const allowed = new Response(null, { status: 204, headers: { allow: ALLOW } });
      return this.#responder.withoutService(request, info, allowed, head);
    }
    const sentOn = this.#options.callbackHost?.answer(head);
    if (sentOn !== undefined) {
      return sentOn.catch((error) => refusal(request, error))
        .then((response) => this.#responder.withoutService(request, info, response, head));
    }
    if (head.hostname.label === "admin") {
      const response = this.#options.admin(request, head);
      if (response !== undefined) return this.#responder.fromAdmin(request, info, response, head);
    }
    if (isForHealth(head)) return this.#responder.withoutService(request, info, this.#health(request, head), head);
    const context = new RequestContext(request, info, head, arrivedMs, this.#options.limits);
    context.trace = this.#options.tracing?.begin();
    this.#options.unanswered.add(context);
    const { bodyLength } = head;
    if (bodyLength === undefined) return this.#beginWithoutLength(context);
    if (bodyLength > 0) this.#receive(context, bodyLength);
    return this.#begin(context);
  }

  /** Closes the connections of WebSockets. */
  [Symbol.dispose](): void {
    this.#websockets[Symbol.dispose]();
  }

  /** Answers a monitor. The answer is no request of the service: no lock, limit or wake rule applies to it. */
  #health(request: Request, head: RequestHead): Response {
    try {
      return serviceHealth(head, this.#options.activator);
    } catch (error) {
      return refusal(request, error);
    }
  }

  /** Begins a request that may have a body: in HTTP/2, no header announces a body. */
  async #beginWithoutLength(context: RequestContext): Promise<Response> {
    try {
      const isEmpty = await abortable(this.#receive(context, Infinity).isEmpty(), context.signal);
      if (isEmpty) context.upload = undefined;
    } catch (error) {
      const broken = new ClessError("bad_request", "The body of the request breaks off");
      return await this.#fail(context, context.signal.aborted ? error : broken);
    }
    return await this.#begin(context);
  }

  #begin(context: RequestContext): Promise<Response> {
    const route = this.#options.activator.find(context.head.hostname);
    if (route?.gate !== undefined && context.admittedBy !== route.gate && !this.#isOfWaitingPage(context, route)) {
      const response = this.#admit(context, route, route.gate);
      if (response !== undefined) return response;
    }
    let pool: InstancePool | undefined;
    try {
      pool = route?.route();
    } catch (error) {
      return this.#fail(context, error); // the store or a secret cannot be read
    }
    if (pool !== undefined) context.choose(pool.revision);
    if (route?.waking !== undefined) return this.#beginAsAllowed(context, route, route.waking, pool!);
    const lease = pool?.claim();
    return lease === undefined ? this.#hold(context, pool) : this.#send(context, lease);
  }

  /**
   * Whether a request comes from a waiting page. The gate has let the page itself pass, maybe for a path without a lock:
   * then the browser would ask for a password for what the page requests.
   */
  #isOfWaitingPage({ head }: RequestContext, route: Route): boolean {
    return route.waking?.page === true && this.#waitingRoom.isOfPage(head, route);
  }

  /**
   * Asks the gate of a service. Returns `undefined` if the request may go on at once. Otherwise returns its response: the
   * app's, if the gate lets it pass later.
   */
  #admit(context: RequestContext, route: Route, gate: Gate): Promise<Response> | undefined {
    try {
      const verdict = gate.check(context);
      if (verdict !== undefined) return this.#admitLater(context, route, gate, verdict);
      context.admit(gate);
      return undefined;
    } catch (error) {
      return this.#fail(context, error);
    }
  }

  async #admitLater(
    context: RequestContext,
    route: Route,
    gate: Gate,
    pending: Response | Promise<Verdict>,
  ): Promise<Response> {
    try {
      const verdict = await abortable(Promise.resolve(pending), context.signal);
      if (verdict !== undefined) {
        await context.upload?.end();
        return this.#responder.forService(context, route.name, verdict);
      }
      context.admit(gate);
    } catch (error) {
      return await this.#fail(context, error);
    }
    return await this.#begin(context);
  }

  /** Begins a request for a service with wake exceptions or a waiting page. */
  async #beginAsAllowed(context: RequestContext, route: Route, waking: Waking, pool: InstancePool): Promise<Response> {
    const { head, request } = context;
    const waitingRoom = this.#waitingRoom;
    try {
      if (waking.page && waitingRoom.isForEvents(head)) {
        return this.#responder.forService(context, route.name, waitingRoom.events(head, route));
      }
      const quiet = waking.rules?.mayWake(request.headers.get("user-agent"), head.target) === false;
      const lease = pool.claim(quiet);
      if (lease !== undefined) return await this.#send(context, lease);
      if (quiet) throw notWoken(pool.ready);
      // A request that gets the waiting page loses its place in the queue, so it gets the page only while no instance
      // is ready.
      if (!waking.page || pool.ready || !isNavigation(request, head)) return await this.#hold(context, pool);
      const page = await waitingRoom.enter(head, pool, this.#askerOf(head));
      return page === undefined ? await this.#begin(context) : this.#responder.forService(context, route.name, page);
    } catch (error) {
      return await this.#fail(context, error);
    }
  }

  #receive(context: RequestContext, length: number): Upload {
    const upload = context.upload = new Upload(context.request.body!, length, this.#uploadPauses);
    const end = () => upload.end(true); // if it has not ended before the response, nothing can wait for the client now
    context.info.completed.then(end, end);
    return upload;
  }

  async #hold(context: RequestContext, chosen: InstancePool | undefined): Promise<Response> {
    const beganMs = this.#options.clock.now();
    try {
      context.watchClient();
      const { activator, exceptRobots = false } = this.#options;
      if (chosen === undefined && exceptRobots && !activator.draining) {
        // An undeclared service is found by its first request, and its wake rules apply to this one too.
        await activator.resolve(context.head.hostname, context.signal);
        return await this.#begin(context);
      }
      const wait = () => this.#wait(context, chosen);
      const grant = await (context.trace === undefined ? wait() : context.trace.hold(wait));
      const ms = this.#options.clock.now() - beganMs;
      this.#options.metrics?.waited(grant.lease.instance.revision, ms);
      if (grant.how !== undefined) context.start = { how: grant.how, ms };
      const gate = this.#options.activator.find(context.head.hostname)?.gate;
      if (gate !== undefined && gate !== context.admittedBy) {
        grant.lease.release(); // the service has got another gate meanwhile
        return await this.#begin(context);
      }
      return await this.#send(context, grant.lease);
    } catch (error) {
      return await this.#fail(context, error);
    }
  }

  async #wait({ head, signal }: RequestContext, chosen: InstancePool | undefined): Promise<Grant> {
    const { activator, unanswered } = this.#options;
    unanswered.held++;
    try {
      return await activator.hold(head.hostname, chosen, signal, this.#askerOf(head));
    } finally {
      unanswered.held--;
    }
  }

  #askerOf(head: RequestHead): Asker {
    return () => wakerOf(head, this.#options.wakeLog ?? "off");
  }

  #send(context: RequestContext, lease: Lease): Promise<Response> {
    const { head, info, trace } = context;
    const { instance } = lease;
    context.choose(instance.revision);
    context.sendTo(instance);
    context.lease = lease;
    lease.holder = context;
    if (head.websocket) {
      // The platform makes a WebSocket even of a connection that the client has closed, and would never end it.
      context.watchClient();
      const open = (sent: RequestHead) =>
        this.#websockets.open(context.request, sent, instance.origin, context.signal, context);
      const opening = trace === undefined ? open(head) : trace.forward(instance, head, open, statusOfOpened);
      return opening.then(
        ({ response, ended }) => {
          lease.answered(response.status);
          if (ended === undefined) info.completed.then(lease.release, lease.release);
          else ended.then(lease.release);
          return this.#responder.fromApp(context, response, ended);
        },
        (error) => this.#retry(context, lease, error),
      );
    }
    const { forwarder } = this.#options;
    const answer = trace === undefined
      ? forwarder.forward(instance.origin, head, context.upload, context.signal, context)
      : trace.forward(
        instance,
        head,
        (traced) => forwarder.forward(instance.origin, traced, context.upload, context.signal, context),
        statusOf,
      );
    return answer.then(
      (response) => {
        if (lease.answered(response.status)) info.completed.then(lease.release, lease.release);
        return this.#responder.fromApp(context, response);
      },
      (error) => this.#retry(context, lease, error),
    );
  }

  async #retry(context: RequestContext, lease: Lease, error: unknown): Promise<Response> {
    try {
      await this.#retries.prepare(context, lease, error);
    } catch (failure) {
      return await this.#fail(context, failure);
    }
    return await this.#begin(context);
  }

  async #fail(context: RequestContext, error: unknown): Promise<Response> {
    if (error instanceof ClessError && error.code === "client_timeout") {
      context.upload?.discard();
      this.#options.slowClients.stopped(context, "upload");
    } else {
      await context.upload?.end();
    }
    const service = context.instance?.revision.service ?? this.#options.activator.serviceOf(context.head.hostname);
    return this.#responder.failed(context, service, error);
  }
}

function statusOf({ status }: Response): number {
  return status;
}

function statusOfOpened({ response }: Pick<Bridge, "response">): number {
  return response.status;
}
