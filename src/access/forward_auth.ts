import type { Clock } from "../base/clock.ts";
import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { askServer } from "../http/ask_server.ts";
import { endToEnd, type Header } from "../http/headers.ts";
import { problem } from "../http/problem.ts";
import { hostOf } from "../http/request_head.ts";
import type { ForwardAuth } from "../model/access.ts";
import type { Authenticator, GateRequest, Outcome } from "./authenticator.ts";

const log = logger("access");

const TIMEOUT_MS = 10_000;
/** The largest answer, such as a page for sign-in. */
const MAX_BYTES = 1024 ** 2;
/** This many requests of a service may wait for an answer at once, so that strangers cannot overload the server. */
const MAX_CHECKS = 200;
/** While the server fails, that is logged this often at most. */
const LOG_EVERY_MS = 10_000;
/** Counts the checks that have led to this one, since the server may itself be a service with a lock. */
const HOPS = "cless-auth-hops";
const MAX_HOPS = 3;

/**
 * The client's headers that the server does not get. There is no body and no WebSocket; a condition or a range would
 * change the answer; what names the client or the request comes from cless alone.
 */
const NOT_PASSED =
  /^(?:host|forwarded|x-forwarded-.*|x-original-.*|x-real-ip|accept-encoding|content-.*|expect|range|if-.*|sec-websocket-.*|cless-auth-hops)$/;

/** What a {@linkcode ForwardAuthenticator} works with. */
export interface ForwardOptions {
  readonly service: string;
  readonly settings: ForwardAuth;
  readonly clock: Pick<Clock, "now" | "after">;
}

/**
 * Asks another server about each request, as the ForwardAuth of Traefik and Caddy and the `auth_request` of nginx do:
 * https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/forwardauth/. A status of 2xx lets
 * the request pass; the client gets any other answer. No answer is kept for later requests.
 */
export class ForwardAuthenticator implements Authenticator {
  readonly headers: readonly string[];
  readonly #options: ForwardOptions;
  readonly #url: URL;
  #checks = 0;
  /** When a failure was last logged. */
  #loggedMs = -Infinity;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#url = new URL(options.settings.url);
    this.headers = options.settings.headers;
  }

  async check(asked: GateRequest): Promise<Outcome> {
    const hops = takeHops(asked);
    try {
      return outcomeOf(await this.#askWithin(asked, hops), this.headers);
    } catch (error) {
      if (error instanceof ClessError && !asked.signal.aborted) return { response: problem(error, asked.request) };
      throw error;
    }
  }

  /** @throws {ClessError} `upstream_failed` if the server does not answer, `overloaded` */
  async #askWithin(asked: GateRequest, hops: number): Promise<Response> {
    if (hops >= MAX_HOPS) {
      this.#fail(`it asks this service again: a loop; is ${this.#url.host} an address of this service?`);
      throw new ClessError("upstream_failed", "The server that decides about sign-in asks itself, in a loop");
    }
    if (this.#checks >= MAX_CHECKS) {
      throw new ClessError("overloaded", "Too many requests wait for sign-in", { retryAfterS: 1 });
    }
    this.#checks++;
    try {
      return await this.#ask(asked, hops);
    } finally {
      this.#checks--;
    }
  }

  async #ask({ head, signal }: GateRequest, hops: number): Promise<Response> {
    const host = hostOf(head);
    const proto = head.secure ? "https" : "http";
    const headers: Header[] = [
      ...head.headers.filter(([name]) => !NOT_PASSED.test(name)),
      ["x-forwarded-method", head.method],
      ["x-forwarded-proto", proto],
      ["x-forwarded-host", host],
      ["x-forwarded-uri", head.target],
      ["x-forwarded-for", head.client],
      ["x-real-ip", head.client],
      ["x-original-method", head.method],
      ["x-original-url", `${proto}://${host}${head.target}`],
      [HOPS, String(hops + 1)],
    ];
    const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES };
    try {
      return await askServer(this.#url, { headers, signal }, limits, this.#options.clock);
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(messageOf(error));
      throw new ClessError("upstream_failed", "The server that decides about sign-in did not answer");
    }
  }

  #fail(reason: string): void {
    const { clock, service } = this.#options;
    const nowMs = clock.now();
    if (nowMs < this.#loggedMs + LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    const { origin, pathname } = this.#url;
    log.warning("cannot ask whether requests may pass; they are refused", { service, url: origin + pathname, reason });
  }
}

/** Removes the header that counts checks, which an app does not need, and reads it. A client can only set it higher. */
function takeHops({ head: { headers } }: GateRequest): number {
  let hops = 0;
  for (let at = headers.length - 1; at >= 0; at--) {
    if (headers[at]![0] !== HOPS) continue;
    const [[, value]] = headers.splice(at, 1) as [Header];
    hops = Math.max(hops, /^\d{1,3}$/.test(value) ? Number(value) : MAX_HOPS);
  }
  return hops;
}

/** Takes the named headers of an answer that lets the request pass, and nothing else of it. */
function outcomeOf(answer: Response, names: readonly string[]): Outcome {
  if (answer.ok) {
    return {
      identity: {
        headers: names.flatMap((name): Header[] => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value]];
        }),
      },
    };
  }
  const { body, headers, status } = answer;
  const passed = endToEnd(headers, headers.get("connection")).filter(([name]) => name !== "content-length");
  return { response: new Response(body, { status, headers: passed }) };
}
