import { listItems } from "./header_list.ts";
import type { RequestHead } from "./request_head.ts";

/** How far a request came that got no answer. */
export type Progress =
  /** Not a byte reached the app. */
  | "unsent"
  /** The app may have seen it, and closed the connection without a byte of an answer. */
  | "unanswered"
  /** What came back is no answer that can be passed on. */
  | "garbled";

/** A request got no answer. */
export class ForwardError extends Error {
  override readonly name = "ForwardError";
  readonly progress: Progress;

  constructor(progress: Progress, message: string, options?: ErrorOptions) {
    super(message, options);
    this.progress = progress;
  }
}

/**
 * Sends a request to an app, and gives back its answer as soon as the headers are there; the body streams on behind.
 *
 * @param origin The app, such as `http://172.18.0.2:8080`.
 * @param signal Gives the request up, also while the answer's body streams.
 * @throws {ForwardError} When there is no answer.
 * @throws The signal's reason.
 */
export type Forward = (
  origin: string,
  head: RequestHead,
  body: BodyInit | null,
  signal: AbortSignal,
) => Promise<Response>;

/** Headers of an answer that are meant for this hop only. `transfer-encoding` is the platform's own business. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "trailer", "upgrade"];

/** Methods that may be sent twice without harm: RFC 9110, section 9.2.2. */
export const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** From that length on, bytes, an answer may take so long that its instance ends meanwhile. */
const LONG = 1024 * 1024;

/** Makes a forwarder of the platform's `fetch`. */
export function fetchForwarder(): Forward & Disposable {
  // The app must see the Host that the client asked for, which `fetch` would otherwise set itself.
  const client = Deno.createHttpClient({
    allowHost: true,
    http2: false,
    poolMaxIdlePerHost: 256,
    poolIdleTimeout: 4000,
  });
  // `fetch` repeats a request without a body by itself when a connection that was used before breaks: never here.
  const once = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 0 });
  const forward: Forward = (origin, head, body, signal) =>
    fetch(origin + head.target, {
      method: head.method,
      headers: head.headers,
      body,
      client: body === null && !IDEMPOTENT.has(head.method) ? once : client,
      redirect: "manual",
      signal,
    }).then((response) => passOn(response, signal), (error) => {
      if (signal.aborted) throw signal.reason;
      throw explain(error);
    });
  const dispose = () => {
    client.close();
    once.close();
  };
  return Object.assign(forward, { [Symbol.dispose]: dispose });
}

/** The answer without what is meant for this hop only: itself, where there is nothing to take out, since a copy costs. */
function passOn(response: Response, signal: AbortSignal): Response {
  const { status, headers } = response;
  if (status < 200 || status > 599) {
    response.body?.cancel().catch(() => {});
    throw new ForwardError("garbled", `status ${status}`);
  }
  const body = isLong(headers) ? breakable(response.body, signal) : response.body;
  if (body === response.body && !HOP_BY_HOP.some((name) => headers.has(name))) return response;
  const named = listItems(headers.get("connection"));
  const kept = [...headers].filter(([name]) => !HOP_BY_HOP.includes(name) && !named.includes(name));
  return new Response(body, { status, headers: kept });
}

function isLong(headers: Headers): boolean {
  const length = headers.get("content-length");
  return length === null ? headers.get("content-type") === "text/event-stream" : Number(length) >= LONG;
}

/** The same body, but the signal breaks it off: the platform's own streaming does not listen, and a dead address is silent. */
function breakable(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  return body?.pipeThrough(new TransformStream(), { signal }) ?? null;
}

/** Reads the cause of a failed `fetch` out of its text, the only place where it stands. */
function explain(error: unknown): ForwardError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const reason = text.replace(/^error sending request.*?: (?=client error)/, "");
  if (text.includes("client error (Connect)")) return new ForwardError("unsent", reason, { cause: error });
  const closed = /connection closed before message completed|connection reset|broken pipe|channel closed/i;
  return new ForwardError(closed.test(text) ? "unanswered" : "garbled", reason, { cause: error });
}
