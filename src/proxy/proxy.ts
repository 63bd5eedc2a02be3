import { abortable } from "@std/async/abortable";
import type { Cidr } from "../model/cidr.ts";
import { ClessError } from "../base/errors.ts";
import type { Activator } from "../routing/activator.ts";
import type { Forwarder } from "../http/forward.ts";
import type { Lease } from "../pool/instance.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import { failureAnswer, refusal } from "./own_answers.ts";
import type { Info, RequestContext } from "./request_context.ts";
import { Repeats, type RepeatsParts } from "./repeats.ts";
import { readHead, type RequestHead } from "../http/request_head.ts";
import { RequestLog } from "./request_log.ts";
import type { Route, Waking } from "../routing/service.ts";
import type { UnansweredRequests } from "../http/unanswered_requests.ts";
import { Upload } from "../http/upload.ts";
import { isNavigation } from "./waiting_page/navigation.ts";
import type { WaitingRoom } from "./waiting_page/waiting_room.ts";
import { notWoken } from "../routing/wake_rules.ts";
import type { WebSocketBridge } from "../http/websocket/bridge.ts";

/** What a {@linkcode Proxy} works with. */
export interface ProxyParts extends RepeatsParts {
  readonly activator: Activator;
  readonly waitingRoom: WaitingRoom;
  readonly unanswered: UnansweredRequests;
  readonly forwarder: Forwarder;
  readonly websockets: WebSocketBridge;
  readonly trustedProxies: readonly Cidr[];
  /** From a request's arrival to its answer's headers, where no revision has been chosen yet, ms. */
  readonly requestTimeout: number;
  /** Is told of each answer: whose it is, if anybody's, and how long after the request's arrival it began, ms. */
  readonly answered?: (service: string | undefined, status: number, ms: number) => void;
  /** Answers what is meant for the admin API; `undefined` where the request is not. */
  readonly admin: (request: Request, head: RequestHead, peer: string) => Response | Promise<Response> | undefined;
}

/** Answers the requests: finds the instance, sends the request there and the answer back. */
export class Proxy {
  readonly #parts: ProxyParts;
  readonly #repeats: Repeats;
  readonly #requestLog: RequestLog;

  constructor(parts: ProxyParts) {
    this.#parts = parts;
    this.#repeats = new Repeats(parts);
    this.#requestLog = new RequestLog(parts.clock);
  }

  /** Answers one request. */
  readonly handle = (request: Request, info: Info): Response | Promise<Response> => {
    const { admin, clock, forwarder, unanswered, requestTimeout, trustedProxies } = this.#parts;
    const peer = plainAddress(info.remoteAddr.hostname);
    let head: RequestHead;
    try {
      head = readHead(request, peer, trustedProxies);
      forwarder.check(head);
    } catch (error) {
      const response = refusal(request, error);
      this.#parts.answered?.(undefined, response.status, 0);
      if (this.#requestLog.enabled) this.#requestLog.noteRefused(request, info, response);
      return response;
    }
    if (head.hostname.label === "admin") {
      const answer = admin(request, head, peer);
      if (answer !== undefined) return answer;
    }
    const context: RequestContext = {
      info,
      head,
      pending: unanswered.add(request, requestTimeout),
      arrived: clock.now(),
      start: undefined,
      instance: undefined,
      instances: 0,
      tries: 0,
      refusals: 0,
    };
    const { bodyLength } = head;
    if (bodyLength !== undefined && bodyLength > 0) this.#receive(context, bodyLength);
    const answer = bodyLength === undefined ? this.#look(context) : this.#begin(context);
    return this.#requestLog.enabled ? answer.then((response) => this.#requestLog.note(context, response)) : answer;
  };

  /** Looks whether there is a body first: over HTTP/2 one needs no header that says so, and over HTTP/1.1 there is none. */
  async #look(context: RequestContext): Promise<Response> {
    const { pending } = context;
    try {
      const isEmpty = await abortable(this.#receive(context, Infinity).isEmpty(), pending.signal);
      if (isEmpty) pending.upload = undefined;
    } catch (error) {
      const broken = new ClessError("bad_request", "The body of the request breaks off");
      return this.#fail(context, pending.signal.aborted ? error : broken);
    }
    return await this.#begin(context);
  }

  #begin(context: RequestContext): Promise<Response> {
    const route = this.#parts.activator.find(context.head.hostname);
    let pool: InstancePool | undefined;
    try {
      pool = route?.route();
    } catch (error) {
      return Promise.resolve(this.#fail(context, error)); // what its instances are started from cannot be read now
    }
    if (pool !== undefined) context.pending.timeout = pool.revision.requestTimeout;
    if (route?.waking !== undefined) return this.#beginAsAllowed(context, route, route.waking, pool!);
    const lease = pool?.claim();
    return lease === undefined ? this.#hold(context, pool) : this.#send(context, lease);
  }

  /** Begins a request for a service that not everybody wakes, or that shows a page meanwhile. */
  async #beginAsAllowed(context: RequestContext, route: Route, waking: Waking, pool: InstancePool): Promise<Response> {
    const { waitingRoom } = this.#parts;
    const { head, pending: { request } } = context;
    try {
      if (waking.page && waitingRoom.isForEvents(head)) {
        return this.#answerItself(context, route, waitingRoom.events(head, route));
      }
      const quiet = waking.rules?.mayWake(request.headers.get("user-agent"), head.target) === false;
      const lease = pool.claim(quiet);
      if (lease !== undefined) return await this.#send(context, lease);
      if (quiet) throw notWoken(pool.ready);
      // Behind a page nobody has a place in the queue, which is no loss only where all wait for a start.
      if (!waking.page || pool.ready || !isNavigation(request, head)) return await this.#hold(context, pool);
      const page = await waitingRoom.enter(head, pool);
      return page === undefined ? await this.#begin(context) : this.#answerItself(context, route, page);
    } catch (error) {
      return this.#fail(context, error);
    }
  }

  #receive({ info, pending }: RequestContext, length: number): Upload {
    const upload = pending.upload = new Upload(pending.request.body!, length);
    info.completed.then(upload.end, upload.end);
    return upload;
  }

  /** Waits for an instance first. */
  async #hold(context: RequestContext, chosen: InstancePool | undefined): Promise<Response> {
    const { activator, clock } = this.#parts;
    const began = clock.now();
    try {
      context.pending.watchClient();
      const grant = await activator.hold(context.head.hostname, chosen, context.pending.signal);
      if (grant.how !== undefined) context.start = { how: grant.how, ms: clock.now() - began };
      return await this.#send(context, grant.lease);
    } catch (error) {
      return this.#fail(context, error);
    }
  }

  /** Sends the request to the instance that it has a lease on. */
  #send(context: RequestContext, lease: Lease): Promise<Response> {
    const { head, info, pending } = context;
    const { request, upload } = pending;
    pending.timeout = lease.instance.revision.requestTimeout;
    if (context.instance !== lease.instance) {
      context.instance = lease.instance;
      context.tries = 0;
    }
    lease.holder = pending;
    const { origin } = lease.instance;
    if (head.websocket) {
      // A connection that its client has left already can be made a WebSocket, and would then never end.
      pending.watchClient();
      return this.#parts.websockets.open(request, head, origin, pending.signal).then(
        ({ response, ended }) => {
          lease.instance.answered();
          if (ended === undefined) info.completed.then(lease.release, lease.release);
          else ended.then(lease.release);
          return this.#answer(context, response);
        },
        (error) => this.#sendAgain(context, lease, error),
      );
    }
    return this.#parts.forwarder.forward(origin, head, upload, pending.signal).then(
      (response) => {
        lease.instance.answered();
        info.completed.then(lease.release, lease.release);
        return this.#answer(context, response);
      },
      (error) => this.#sendAgain(context, lease, error),
    );
  }

  #answer(context: RequestContext, response: Response): Response {
    const { answered, clock, unanswered } = this.#parts;
    unanswered.delete(context.pending);
    answered?.(context.instance?.revision.service, response.status, clock.now() - context.arrived);
    if (context.start === undefined || context.head.websocket) return response;
    const { how, ms } = context.start;
    const timing = ["server-timing", `cless-start;dur=${Math.round(ms)};desc="${how}"`] as const;
    try {
      response.headers.append(...timing);
      return response;
    } catch {
      // Those of `fetch` are not to be changed, and in a copy they lose their order.
      const headers = new Headers(response.headers);
      headers.append(...timing);
      return new Response(response.body, { status: response.status, headers });
    }
  }

  /** Answers in the place of a service. */
  #answerItself(context: RequestContext, { name }: Route, response: Response): Response {
    const { answered, clock, unanswered } = this.#parts;
    unanswered.delete(context.pending);
    answered?.(name, response.status, clock.now() - context.arrived);
    return response;
  }

  /** Sends the request once more where that may be. */
  async #sendAgain(context: RequestContext, lease: Lease, error: unknown): Promise<Response> {
    try {
      await this.#repeats.prepare(context, lease, error);
    } catch (failure) {
      return this.#fail(context, failure);
    }
    return await this.#begin(context);
  }

  /** The answer to a request that could not be served. */
  #fail(context: RequestContext, error: unknown): Response {
    const { activator, answered, clock, unanswered } = this.#parts;
    unanswered.delete(context.pending);
    const response = failureAnswer(context, error);
    const service = context.instance?.revision.service ?? activator.serviceOf(context.head.hostname);
    answered?.(service, response.status, clock.now() - context.arrived);
    return response;
  }
}

/** An IPv4 address as people write it, also where the socket speaks IPv6: RFC 4291, section 2.5.5.2. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
