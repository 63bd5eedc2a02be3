import { ClessError } from "../base/errors.ts";
import { ANSWER_HOP_BY_HOP, endToEnd, type Forwarder, ForwardError, IDEMPOTENT } from "./forward.ts";
import type { Header, RequestHead } from "./request_head.ts";
import type { Upload } from "./upload.ts";
import { withoutProxy } from "./without_proxy.ts";

/** From that length on, bytes, an answer may take so long that its instance ends meanwhile. */
const LONG = 1024 * 1024;

/** Methods that `fetch` would change to upper case, or refuse. Methods are case-sensitive: RFC 9110, section 9.1. */
const FOLDED = /^(?:delete|get|head|options|post|put)$/i;

/** `fetch` leaves a body's encoding alone only when the first line says that it need not touch it. */
const UNTOUCHED: Header = ["accept-encoding", "identity"];

/** `transfer-encoding` is not seen here: `fetch` deals with it. */
const TO_DROP = [...ANSWER_HOP_BY_HOP].filter((name) => name !== "transfer-encoding");

/** Sends requests by the platform's `fetch`, which changes some of what passes. */
export class FetchForwarder implements Forwarder {
  // The app must see the Host that the client asked for, which `fetch` would otherwise set itself.
  readonly #client = withoutProxy(() =>
    Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 256, poolIdleTimeout: 4000 })
  );
  // `fetch` repeats a request without a body by itself when a connection that was used before breaks: never here.
  readonly #once = withoutProxy(() => Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 0 }));

  /** See {@linkcode Forwarder.check}. */
  check({ method, target }: RequestHead): void {
    if (FOLDED.test(method) && method !== method.toUpperCase()) refuse("Methods are written in upper case");
    if (target.includes("\\")) refuse("cless does not pass on a target like that"); // it would become a slash
  }

  /**
   * See {@linkcode Forwarder.forward}, with two exceptions: the signal breaks off no body that has neither a length of
   * 1 MB nor is an event stream, and an upload that breaks off counts as no answer.
   */
  forward(origin: string, head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<Response> {
    const { method, target, headers } = head;
    return fetch(origin + target, {
      method,
      headers: [UNTOUCHED, ...headers],
      body: upload === undefined ? null : bodyOf(upload),
      client: upload === undefined && !IDEMPOTENT.has(method) ? this.#once : this.#client,
      redirect: "manual",
      signal,
    }).then((response) => {
      const answer = passOn(response, signal);
      return upload?.complete === false ? endingUpload(answer, upload) : answer;
    }, (error) => {
      if (signal.aborted) throw signal.reason;
      throw explain(error);
    });
  }

  /** Does nothing: the connections end by themselves. */
  leave(): void {}

  [Symbol.dispose](): void {
    this.#client.close();
    this.#once.close();
  }
}

function refuse(message: string): never {
  throw new ClessError("bad_request", message);
}

/** The answer without what is meant for this hop only: itself, where there is nothing to take out, since a copy costs. */
function passOn(response: Response, signal: AbortSignal): Response {
  const { status, headers } = response;
  if (status < 200 || status > 599) {
    response.body?.cancel().catch(() => {});
    throw new ForwardError("garbled", `status ${status}`);
  }
  // The platform writes no length for a 205, and by RFC 9112, section 6.3, clients would wait for its body for ever.
  if (status === 205) return new Response(null, { status: 204, headers: endToEnd(headers, headers.get("connection")) });
  const body = isLong(headers) ? breakable(response.body, signal) : response.body;
  if (body === response.body && !TO_DROP.some((name) => headers.has(name))) return response;
  return new Response(body, { status, headers: endToEnd(headers, headers.get("connection")) });
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

/** The body from its start, as `fetch` takes it. */
function bodyOf(upload: Upload): BodyInit {
  const next = upload.begin();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const piece = await next();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece.slice()); // `fetch` may keep it until after the next has been asked for
    },
  }, { highWaterMark: 0 });
  return upload.length === Infinity ? stream : new SizedBody(stream, upload.length);
}

/** A stream whose length is known. `fetch` sends a Content-Length for a Blob, and chunks for anything else that streams. */
class SizedBody extends Blob {
  readonly #stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #length: number;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>, length: number) {
    super();
    this.#stream = stream;
    this.#length = length;
  }

  override get size(): number {
    return this.#length;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#stream;
  }
}

/** An answer that comes before the upload is through, and ends it: see {@linkcode Upload.end}. */
function endingUpload(response: Response, upload: Upload): Response {
  const body = response.body?.pipeThrough(new TransformStream({ flush: upload.end }));
  return body === undefined ? response : new Response(body, response);
}
