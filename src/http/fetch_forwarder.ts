import { ClessError } from "../base/errors.ts";
import { type Client, type Forwarder, ForwardError, IDEMPOTENT } from "./forwarder.ts";
import { endToEnd, type Header, RESPONSE_HOP_BY_HOP } from "./headers.ts";
import { PassedBody, type PassedBodyOptions } from "./passed_body.ts";
import type { RequestHead } from "./request_head.ts";
import type { SlowClients } from "./slow_clients.ts";
import { StreamBudget } from "./stream_budget.ts";
import type { Upload } from "./upload.ts";

/** A response of up to this length is left to the platform: the kernel's buffers take it even if the client does not. */
const SHORT_BYTES = 64 * 1024;

/** Methods that `fetch` would change to upper case, or refuse. Methods are case-sensitive: RFC 9110, section 9.1. */
const CASE_FOLDED = /^(?:delete|get|head|options|post|put)$/i;

/** `fetch` decodes compressed bodies, unless the first `accept-encoding` line is this one. */
const NO_DECODING: Header = ["accept-encoding", "identity"];

/** What `fetch` adds while the platform's tracing is on. */
const TRACED: ReadonlySet<string> = new Set(["traceparent", "baggage"]);

/** `fetch` removes `transfer-encoding` itself. */
const TO_DROP = [...RESPONSE_HOP_BY_HOP].filter((name) => name !== "transfer-encoding");

/** Sends requests with the platform's `fetch`, which changes some of what passes. */
export class FetchForwarder implements Forwarder {
  #client = reusingClient();
  // `fetch` repeats a request that has no body if a reused connection breaks. This client never reuses a connection.
  readonly #withoutReuse = withoutProxy(() =>
    Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 0 })
  );

  readonly #slowClients: SlowClients;
  readonly #budget: StreamBudget;
  readonly #isTraced: boolean;
  #isOver = false;

  /** @param isTraced Whether the platform's tracing is on. */
  constructor(slowClients: SlowClients, budget = new StreamBudget(), isTraced = false) {
    this.#slowClients = slowClients;
    this.#budget = budget;
    this.#isTraced = isTraced;
  }

  check({ method, target }: RequestHead): void {
    if (CASE_FOLDED.test(method) && method !== method.toUpperCase()) refuse("Methods are written in upper case");
    // `fetch` would turn a backslash into a slash.
    if (target.includes("\\")) refuse("cless does not pass on a target like that");
  }

  /**
   * See {@linkcode Forwarder.forward}. There are two differences. The signal does not abort the body of a response with
   * a known length of up to 64 KB, unless the upload is still arriving. A broken upload is a {@linkcode ForwardError}.
   */
  forward(
    origin: string,
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
    client?: Client,
  ): Promise<Response> {
    const { method, target } = head;
    // `fetch` adds its own, and does not replace one that is there.
    const headers = this.#isTraced ? head.headers.filter(([name]) => !TRACED.has(name)) : head.headers;
    return fetch(origin + target, {
      method,
      headers: [NO_DECODING, ...headers],
      body: upload === undefined ? null : bodyOf(upload),
      client: upload === undefined && !IDEMPOTENT.has(method) ? this.#withoutReuse : this.#client,
      redirect: "manual",
      signal,
    }).then((response) => {
      return this.#passOn(response, upload?.complete === false ? upload : undefined, signal, client);
    }, (error) => {
      if (signal.aborted) throw signal.reason;
      throw explain(error);
    });
  }

  /** Closes the idle connections to all apps: the platform cannot close those to one app. */
  leave(): void {
    if (this.#isOver) return;
    this.#client.close(); // requests in flight continue
    this.#client = reusingClient();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#client.close();
    this.#withoutReuse.close();
  }

  /**
   * The response without hop-by-hop headers. Returns the same object if it has none and is short, since a copy is
   * expensive.
   *
   * @param upload The request's body, if it has not arrived completely.
   */
  #passOn(response: Response, upload: Upload | undefined, signal: AbortSignal, client: Client | undefined): Response {
    const { status, headers } = response;
    let { body }: { body: ReadableStream | null } = response;
    if (status < 200 || status > 599) {
      body?.cancel().catch(() => {});
      throw new ForwardError("garbled", `status ${status}`);
    }
    // The platform writes no length for a 205, and clients would wait for its body for ever: RFC 9112, section 6.3.
    if (status === 205) {
      return new Response(null, { status: 204, headers: endToEnd(headers, headers.get("connection")) });
    }
    if (response.body !== null && (upload !== undefined || !isShort(headers))) {
      const options = { client, upload, slowClients: this.#slowClients, budget: this.#budget };
      body = new ReadableStream(new FetchBody(response.body, signal, options), { highWaterMark: 0 });
    } else if (!TO_DROP.some((name) => headers.has(name))) return response;
    return new Response(body, { status, headers: endToEnd(headers, headers.get("connection")) });
  }
}

function refuse(message: string): never {
  throw new ClessError("bad_request", message);
}

function isShort(headers: Headers): boolean {
  return parseInt(headers.get("content-length") ?? "", 10) <= SHORT_BYTES; // reads the first of several equal lengths
}

/** The body of a response of `fetch`. If the response ends before the upload, it ends the upload. */
class FetchBody extends PassedBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #signal: AbortSignal;
  readonly #client: Client | undefined;
  readonly #upload: Upload | undefined;
  #over = false;

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>, signal: AbortSignal, options: PassedBodyOptions) {
    super(options);
    this.#reader = body.getReader();
    this.#signal = signal;
    this.#client = options.client;
    this.#upload = options.upload;
    // The platform's stream ignores the signal. Without this listener, the body of a dead container might never end.
    signal.addEventListener("abort", this.#abort);
    if (signal.aborted) this.#abort();
  }

  /**
   * Does nothing. The platform chooses how much it reads at once, and reads no more until those bytes have been taken.
   */
  slowDown(): void {}

  protected async pass(controller: ReadableStreamDefaultController<Uint8Array>): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    if (this.#over) throw new Error("It was given up"); // a cancelled reader reports a normal end
    if (done) {
      await this.finish(true);
      controller.close();
      return true;
    }
    this.count(value.length);
    controller.enqueue(value);
    return value.length > 0;
  }

  protected async end(whole: boolean): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#abort);
    if (!whole) this.#reader.cancel().catch(() => {});
    this.#client?.appEnded();
    await this.#upload?.end(true);
  }

  readonly #abort = () => void this.fail("the app or its connection ended in mid-body");
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

// `allowHost`: the app gets the client's Host; otherwise `fetch` sets its own.
function reusingClient(): Deno.HttpClient {
  return withoutProxy(() =>
    Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 256, poolIdleTimeout: 4000 })
  );
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
