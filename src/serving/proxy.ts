import type { Cidr } from "../domain/cidr.ts";
import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { Activator } from "./activator.ts";
import { type Clock, pause, unlessAborted } from "./clock.ts";
import { type Forwarder, ForwardError, IDEMPOTENT } from "./forward.ts";
import type { Instance, Lease } from "./instance.ts";
import type { InstancePool, Wake } from "./instance_pool.ts";
import { problem } from "./problem.ts";
import type { Route, Waking } from "./route.ts";
import { readHead, type RequestHead } from "./request_head.ts";
import { ClientGone, InstanceGone, type UnansweredRequest, type UnansweredRequests } from "./unanswered_requests.ts";
import { Upload } from "./upload.ts";
import { isNavigation } from "./waiting_page/navigation.ts";
import type { WaitingRoom } from "./waiting_page/waiting_room.ts";
import { notWoken } from "./wake_rules.ts";
import type { WebSocketBridge } from "./websocket/bridge.ts";

const log = logger("proxy");

/** How often a request is sent to one instance, and to how many: one that they all die of must not go on for ever. */
const MOST_TRIES = 2;
const MOST_INSTANCES = 4;
/** How often its connections may be refused, which takes some seconds: it has reached nobody, and does no harm. */
const MOST_REFUSALS = 12;
/**
 * From so many refusals on an instance is given up that the engine still takes for running. Those before, but the first
 * ones, do not count against it: it may be starting again, and is asked only to learn when it is back.
 */
const TELLING_REFUSALS = 8;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;
/** How long the news of an instance's end may take, ms. */
const NEWS_MS = 1000;

type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** What a {@linkcode Proxy} works with. */
export interface ProxyParts {
  readonly activator: Activator;
  readonly waitingRoom: WaitingRoom;
  readonly unanswered: UnansweredRequests;
  readonly forwarder: Forwarder;
  readonly websockets: WebSocketBridge;
  readonly clock: Clock;
  readonly trustedProxies: readonly Cidr[];
  /** From a request's arrival to its answer's headers, where no revision has been chosen yet, ms. */
  readonly requestTimeout: number;
  /** Is told when an instance does not answer: the news of its end may have been lost. */
  readonly suspect: () => void;
  /** Is told of each answer: whose it is, if anybody's, and how long after the request's arrival it began, ms. */
  readonly answered?: (service: string | undefined, status: number, ms: number) => void;
  /** Answers what is meant for the admin API; `undefined` where the request is not. */
  readonly admin: (request: Request, head: RequestHead, peer: string) => Response | Promise<Response> | undefined;
}

/** One request on its way through, and what has become of it so far. */
interface Passage {
  readonly info: Info;
  readonly head: RequestHead;
  /** The request, as long as it has no answer. */
  readonly pending: UnansweredRequest;
  /** In the clock's ms. */
  readonly arrived: number;
  /** What it had to wait for. */
  start: { how: Wake; ms: number } | undefined;
  instance: Instance | undefined;
  /** How many instances have had it in vain, and how often the last of them. */
  instances: number;
  tries: number;
  /** How often it could not even be sent. */
  refusals: number;
}

/** Answers the requests: finds the instance, sends the request there and the answer back. */
export class Proxy {
  readonly #parts: ProxyParts;
  readonly #logsRequests = log.isEnabledFor("debug");

  constructor(parts: ProxyParts) {
    this.#parts = parts;
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
      return this.#noteRefused(request, info, this.#refuse(request, error));
    }
    if (head.hostname.label === "admin") {
      const answer = admin(request, head, peer);
      if (answer !== undefined) return answer;
    }
    const passage: Passage = {
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
    if (bodyLength !== undefined && bodyLength > 0) this.#receive(passage, bodyLength);
    const answer = bodyLength === undefined ? this.#look(passage) : this.#begin(passage);
    return this.#logsRequests ? answer.then((response) => this.#note(passage, response)) : answer;
  };

  /** Looks whether there is a body first: over HTTP/2 one needs no header that says so, and over HTTP/1.1 there is none. */
  async #look(passage: Passage): Promise<Response> {
    const { pending } = passage;
    try {
      const isEmpty = await unlessAborted(this.#receive(passage, Infinity).isEmpty(), pending.signal);
      if (isEmpty) pending.upload = undefined;
    } catch (error) {
      const broken = new ClessError("bad_request", "The body of the request breaks off");
      return this.#fail(passage, pending.signal.aborted ? error : broken);
    }
    return await this.#begin(passage);
  }

  #begin(passage: Passage): Promise<Response> {
    const route = this.#parts.activator.find(passage.head.hostname);
    const pool = route?.route();
    if (pool !== undefined) passage.pending.timeout = pool.revision.requestTimeout;
    if (route?.waking !== undefined) return this.#beginAsAllowed(passage, route, route.waking, pool!);
    const lease = pool?.claim();
    return lease === undefined ? this.#hold(passage, pool) : this.#send(passage, lease);
  }

  /** Begins a request for a service that not everybody wakes, or that shows a page meanwhile. */
  async #beginAsAllowed(passage: Passage, route: Route, waking: Waking, pool: InstancePool): Promise<Response> {
    const { waitingRoom } = this.#parts;
    const { head, pending: { request } } = passage;
    try {
      if (waking.page && waitingRoom.isForEvents(head)) {
        return this.#answerItself(passage, route, waitingRoom.events(head, route));
      }
      const quiet = waking.rules?.mayWake(request.headers.get("user-agent"), head.target) === false;
      const lease = pool.claim(quiet);
      if (lease !== undefined) return await this.#send(passage, lease);
      if (quiet) throw notWoken(pool.ready);
      if (!waking.page || !isNavigation(request, head)) return await this.#hold(passage, pool);
      const page = await waitingRoom.enter(head, pool);
      return page === undefined ? await this.#begin(passage) : this.#answerItself(passage, route, page);
    } catch (error) {
      return this.#fail(passage, error);
    }
  }

  #receive({ info, pending }: Passage, length: number): Upload {
    const upload = pending.upload = new Upload(pending.request.body!, length);
    info.completed.then(upload.end, upload.end);
    return upload;
  }

  /** Waits for an instance first. */
  async #hold(passage: Passage, chosen: InstancePool | undefined): Promise<Response> {
    const { activator, clock } = this.#parts;
    const began = clock.now();
    try {
      passage.pending.watchClient();
      const grant = await activator.hold(passage.head.hostname, chosen, passage.pending.signal);
      if (grant.how !== undefined) passage.start = { how: grant.how, ms: clock.now() - began };
      return await this.#send(passage, grant.lease);
    } catch (error) {
      return this.#fail(passage, error);
    }
  }

  /** Sends the request to the instance that it has a lease on. */
  #send(passage: Passage, lease: Lease): Promise<Response> {
    const { head, info, pending } = passage;
    const { request, upload } = pending;
    pending.timeout = lease.instance.revision.requestTimeout;
    if (passage.instance !== lease.instance) {
      passage.instance = lease.instance;
      passage.tries = 0;
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
          return this.#answer(passage, response);
        },
        (error) => this.#sendAgain(passage, lease, error),
      );
    }
    return this.#parts.forwarder.forward(origin, head, upload, pending.signal).then(
      (response) => {
        lease.instance.answered();
        info.completed.then(lease.release, lease.release);
        return this.#answer(passage, response);
      },
      (error) => this.#sendAgain(passage, lease, error),
    );
  }

  #answer(passage: Passage, response: Response): Response {
    const { answered, clock, unanswered } = this.#parts;
    unanswered.delete(passage.pending);
    answered?.(passage.instance?.revision.service, response.status, clock.now() - passage.arrived);
    if (passage.start === undefined || passage.head.websocket) return response;
    const { how, ms } = passage.start;
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
  #answerItself(passage: Passage, { name }: Route, response: Response): Response {
    const { answered, clock, unanswered } = this.#parts;
    unanswered.delete(passage.pending);
    answered?.(name, response.status, clock.now() - passage.arrived);
    return response;
  }

  /** Sends the request once more where that cannot do harm, to a new instance where this one is gone. */
  async #sendAgain(passage: Passage, lease: Lease, error: unknown): Promise<Response> {
    const { pending } = passage;
    const { instance } = lease;
    const isRefused = error instanceof ForwardError && error.progress === "unsent";
    if (isRefused && isTelling(++passage.refusals)) instance.failed();
    lease.release();
    if (!this.#mayRepeat(passage, error)) return this.#fail(passage, error);
    pending.upload?.abandon();
    pending.renew();
    if (isRefused) {
      if (passage.refusals >= MOST_REFUSALS) return this.#fail(passage, error);
      if (passage.refusals > 1) await this.#news(passage, instance, pauseAfter(passage.refusals));
    } else {
      if (passage.tries++ === 0) passage.instances++;
      if (passage.tries >= MOST_TRIES) await this.#news(passage, instance, NEWS_MS);
      const isSpent = passage.tries >= MOST_TRIES && instance.state === "ready";
      if (isSpent || passage.instances >= MOST_INSTANCES) return this.#fail(passage, error);
    }
    if (pending.signal.aborted) return this.#fail(passage, pending.signal.reason);
    return await this.#begin(passage);
  }

  /** Waits until it is known what has become of an instance, if anything: a process dies before its engine knows. */
  async #news({ pending }: Passage, instance: Instance, ms: number): Promise<void> {
    if (instance.state !== "ready") return;
    const moved = new AbortController();
    instance.untilMoved().then(() => moved.abort());
    this.#parts.suspect();
    await pause(this.#parts.clock, ms, AbortSignal.any([moved.signal, pending.signal]));
  }

  #mayRepeat(passage: Passage, error: unknown): boolean {
    const { head, pending: { upload } } = passage;
    if (upload?.replayable === false) return false;
    if (error instanceof ForwardError && error.progress === "unsent") return true;
    const unanswered = error instanceof InstanceGone ||
      error instanceof ForwardError && error.progress === "unanswered";
    return unanswered && IDEMPOTENT.has(head.method);
  }

  /** The answer to a request that could not be served. */
  #fail(passage: Passage, error: unknown): Response {
    const { activator, answered, clock, unanswered } = this.#parts;
    unanswered.delete(passage.pending);
    const response = this.#failure(passage, error);
    const service = passage.instance?.revision.service ?? activator.serviceOf(passage.head.hostname);
    answered?.(service, response.status, clock.now() - passage.arrived);
    return response;
  }

  #failure({ head, instance, pending: { request } }: Passage, error: unknown): Response {
    if (error instanceof ClientGone) return new Response(null, { status: 499 }); // nobody reads it
    const isUpstream = error instanceof ForwardError || error instanceof InstanceGone;
    if (isUpstream) {
      log.warning("request failed", {
        service: instance?.revision.service,
        instance: instance?.id,
        method: head.method,
        reason: error instanceof ForwardError ? error.message : "the instance ended",
      });
      return this.#refuse(request, new ClessError("upstream_failed", "The service did not answer"));
    }
    return this.#refuse(request, error);
  }

  #refuse(request: Request, error: unknown): Response {
    if (error instanceof ClessError) return problem(error, request);
    log.error("unexpected failure", {
      reason: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    return problem(new ClessError("internal", "cless has failed to handle the request"), request);
  }

  #noteRefused({ method, headers }: Request, info: Info, response: Response): Response {
    this.#parts.answered?.(undefined, response.status, 0);
    if (!this.#logsRequests) return response;
    const error = response.headers.get("cless-error");
    const finish = () => log.debug("request", { method, host: headers.get("host"), status: response.status, error });
    info.completed.then(finish, finish);
    return response;
  }

  #note(passage: Passage, response: Response): Response {
    const { arrived, head, info, instance, start } = passage;
    const finish = () =>
      log.debug("request", {
        method: head.method,
        host: head.hostname.name,
        target: head.target.replace(/\?.*$/s, ""), // a query may hold what nobody else should read
        status: response.status,
        ms: Math.round((this.#parts.clock.now() - arrived) * 10) / 10,
        service: instance?.revision.service,
        instance: instance?.id,
        start: start?.how,
        error: response.headers.get("cless-error") ?? undefined,
      });
    info.completed.then(finish, finish);
    return response;
  }
}

/** Whether a refused connection says something of the instance, and not only that it is still not known what it does. */
function isTelling(refusals: number): boolean {
  return refusals <= MOST_TRIES || refusals >= TELLING_REFUSALS;
}

/** How long to wait before the next attempt, ms. */
function pauseAfter(refusals: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 4 ** (refusals - 2));
}

/** An IPv4 address as people write it, also where the socket speaks IPv6: RFC 4291, section 2.5.5.2. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
