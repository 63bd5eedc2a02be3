import type { Clock } from "../base/clock.ts";
import type { RequestHead } from "../http/request_head.ts";
import { withoutMapping } from "../model/ip.ts";
import type { Access } from "./access_line.ts";
import type { Info, RequestContext } from "./request_context.ts";

/** Gets each request that has ended. */
export interface AccessWriter {
  write(access: Access): void;
}

/** How the response to a request of a service came to be. */
export interface AccessOutcome {
  /** `undefined` if the request's host names none. */
  readonly service: string | undefined;
  /** Whether the app has made the response, and not cless. */
  readonly isFromApp: boolean;
  /** Resolves when the response has ended. */
  readonly ended: Promise<void>;
}

const NO_SERVICE = { service: undefined, revision: undefined, instance: undefined, start: undefined, user: undefined };

/** Notes what a request was and what came of it, and hands that to the access log when its response has ended. */
export class AccessRecorder {
  readonly #log: AccessWriter;
  readonly #clock: Clock;

  constructor(log: AccessWriter, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Notes the response to a request of a service. */
  ofService(context: RequestContext, response: Response, { ended, isFromApp, service }: AccessOutcome): void {
    const { admittedBy, arrivedMs, head, instance, request, start } = context;
    const { client, headers, hostname: { name: host }, method, target } = head;
    const error = isFromApp ? undefined : errorOf(response);
    const [revision, id, user] = [instance?.revision.name, instance?.id, admittedBy?.userOf(head)];
    const [protocol, bytes, { status }] = [protocolOf(request, head), lengthOf(response, method), response];
    const headersMs = this.#clock.now() - arrivedMs;
    const write = () =>
      this.#log.write({
        client,
        host,
        method,
        target,
        protocol,
        status,
        bytes,
        headersMs,
        totalMs: this.#clock.now() - arrivedMs,
        service,
        revision,
        instance: id,
        start,
        user,
        error,
        headers,
      });
    ended.then(write, write);
  }

  /**
   * Notes a response of cless itself to a request that is for no service. @param head `undefined` if the head of the
   * request is not valid or not read.
   */
  ofCless(request: Request, info: Info, response: Response, head: RequestHead | undefined, arrivedMs: number): void {
    const { method } = request;
    const [bytes, error, { status }] = [lengthOf(response, method), errorOf(response), response];
    const protocol = protocolOf(request, head);
    const client = head?.client ?? withoutMapping(info.remoteAddr.hostname);
    const host = head?.hostname.name ?? request.headers.get("host") ?? "";
    const target = head?.target ?? targetOf(request.url);
    const headers = head?.headers ?? [...request.headers];
    const headersMs = this.#clock.now() - arrivedMs;
    const write = () => {
      const totalMs = this.#clock.now() - arrivedMs;
      const known = { client, host, method, target, protocol, status, bytes, headersMs, totalMs, error, headers };
      this.#log.write({ ...NO_SERVICE, ...known });
    };
    info.completed.then(write, write);
  }
}

/** In HTTP/2, the host has no header of its own. The headers of what has become a WebSocket cannot be read any more. */
function protocolOf({ headers }: Request, head: RequestHead | undefined): Access["protocol"] {
  return head?.websocket || headers.has("host") ? "HTTP/1.1" : "HTTP/2.0";
}

function lengthOf({ headers, status }: Response, method: string): number | undefined {
  if (method === "HEAD" || status === 101 || status === 204 || status === 304) return 0;
  const length = parseInt(headers.get("content-length") ?? "", 10); // reads the first of several equal lengths
  return Number.isNaN(length) ? undefined : length;
}

function targetOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("//") + 2);
  return path === -1 ? "/" : url.slice(path);
}

function errorOf({ headers }: Response): string | undefined {
  return headers.get("cless-error") ?? undefined;
}
