import { ClessError } from "../base/errors.ts";
import { type Forwarder, ForwardError, IDEMPOTENT } from "./forwarder.ts";
import { endToEnd, type Header, RESPONSE_HOP_BY_HOP } from "./headers.ts";
import type { RequestHead } from "./request_head.ts";
import type { Upload } from "./upload.ts";

/** The instance may end while a response of this length or more is sent. */
const LONG_BYTES = 1024 * 1024;

/** Methods that `fetch` would change to upper case, or refuse. Methods are case-sensitive: RFC 9110, section 9.1. */
const CASE_FOLDED = /^(?:delete|get|head|options|post|put)$/i;

/** `fetch` decodes compressed bodies, unless the first `accept-encoding` line is this one. */
const NO_DECODING: Header = ["accept-encoding", "identity"];

/** `fetch` removes `transfer-encoding` itself. */
const TO_DROP = [...RESPONSE_HOP_BY_HOP].filter((name) => name !== "transfer-encoding");

/** Sends requests with the platform's `fetch`, which changes some of what passes. */
export class FetchForwarder implements Forwarder {
  // `allowHost`: the app gets the client's Host; otherwise `fetch` sets its own.
  readonly #client = withoutProxy(() =>
    Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 256, poolIdleTimeout: 4000 })
  );
  // `fetch` repeats a request without a body if a reused connection breaks. This client never reuses one.
  readonly #withoutReuse = withoutProxy(() =>
    Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 0 })
  );

  check({ method, target }: RequestHead): void {
    if (CASE_FOLDED.test(method) && method !== method.toUpperCase()) refuse("Methods are written in upper case");
    // `fetch` would make a slash of it.
    if (target.includes("\\")) refuse("cless does not pass on a target like that");
  }

  /**
   * See {@linkcode Forwarder.forward}. There are two differences. The signal aborts a response's body only if it is an
   * event stream or has at least 1 MB. A broken upload is a {@linkcode ForwardError}.
   */
  forward(origin: string, head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<Response> {
    const { method, target, headers } = head;
    return fetch(origin + target, {
      method,
      headers: [NO_DECODING, ...headers],
      body: upload === undefined ? null : bodyOf(upload),
      client: upload === undefined && !IDEMPOTENT.has(method) ? this.#withoutReuse : this.#client,
      redirect: "manual",
      signal,
    }).then((response) => {
      const passed = passOn(response, signal);
      return upload?.complete === false ? endingUpload(passed, upload) : passed;
    }, (error) => {
      if (signal.aborted) throw signal.reason;
      throw explain(error);
    });
  }

  /** Does nothing: idle connections time out. */
  leave(): void {}

  [Symbol.dispose](): void {
    this.#client.close();
    this.#withoutReuse.close();
  }
}

function refuse(message: string): never {
  throw new ClessError("bad_request", message);
}

/** The response without hop-by-hop headers. Returns the same object if it has none, since a copy is expensive. */
function passOn(response: Response, signal: AbortSignal): Response {
  const { status, headers } = response;
  if (status < 200 || status > 599) {
    response.body?.cancel().catch(() => {});
    throw new ForwardError("garbled", `status ${status}`);
  }
  // The platform writes no length for a 205, and clients would wait for its body for ever: RFC 9112, section 6.3.
  if (status === 205) return new Response(null, { status: 204, headers: endToEnd(headers, headers.get("connection")) });
  // The platform's stream ignores the signal. Without it, the body of a dead container might never end.
  const body = isLong(headers) && response.body?.pipeThrough(new TransformStream(), { signal }) || response.body;
  if (body === response.body && !TO_DROP.some((name) => headers.has(name))) return response;
  return new Response(body, { status, headers: endToEnd(headers, headers.get("connection")) });
}

function isLong(headers: Headers): boolean {
  const length = headers.get("content-length");
  return length === null ? headers.get("content-type") === "text/event-stream" : Number(length) >= LONG_BYTES;
}

/** Finds out why a `fetch` failed, which only its error message says. */
function explain(error: unknown): ForwardError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const reason = text.replace(/^error sending request.*?: (?=client error)/, "");
  if (text.includes("client error (Connect)")) return new ForwardError("unsent", reason, { cause: error });
  const closed = /connection closed before message completed|connection reset|broken pipe|channel closed/i;
  return new ForwardError(closed.test(text) ? "unanswered" : "garbled", reason, { cause: error });
}

/** The body, from its start, for `fetch`. */
function bodyOf(upload: Upload): BodyInit {
  const next = upload.begin();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const piece = await next();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece.slice()); // `fetch` may use it after the next pull
    },
  }, { highWaterMark: 0 });
  return upload.length === Infinity ? stream : sizedBody(stream, upload.length);
}

/** A stream of known length: `fetch` sends a Content-Length for a Blob only, and chunks for all other streams. */
function sizedBody(stream: ReadableStream<Uint8Array<ArrayBuffer>>, length: number): Blob {
  return Object.defineProperties(new Blob(), { size: { value: length }, stream: { value: () => stream } });
}

/** Makes a response that came before the upload was complete end the upload: see {@linkcode Upload.end}. */
function endingUpload(response: Response, upload: Upload): Response {
  const body = response.body?.pipeThrough(new TransformStream({ flush: upload.end }));
  return body === undefined ? response : new Response(body, response);
}

/**
 * Makes an HTTP client that ignores the proxy named in the environment. The platform would use that proxy even for this
 * machine's own addresses, and has no option against it. It reads the environment when it makes the client, so this
 * function changes the environment for that moment, in which nothing else runs.
 */
function withoutProxy(make: () => Deno.HttpClient): Deno.HttpClient {
  const before = Deno.env.get("NO_PROXY");
  Deno.env.set("NO_PROXY", "0.0.0.0/0,::/0");
  try {
    return make();
  } finally {
    if (before === undefined) Deno.env.delete("NO_PROXY");
    else Deno.env.set("NO_PROXY", before);
  }
}
