import { ClessError, messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { CoarseTimeouts } from "../../base/coarse_timeouts.ts";
import { type Client, ForwardError } from "../forwarder.ts";
import { endToEnd } from "../headers.ts";
import type { RequestHead } from "../request_head.ts";
import type { StreamBudget } from "../stream_budget.ts";
import type { SlowClients } from "../slow_clients.ts";
import type { Upload } from "../upload.ts";
import { ChunkedDecoder, chunkOf } from "./chunked.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { LongBody, type Reading } from "./long_body.ts";
import { headEnd, Malformed, parseHead, requestText, type ResponseHead } from "./message_head.ts";

/** Limit for the head of a response. */
const MAX_HEAD_BYTES = 64 * 1024;
/** At most this many 1xx responses may precede the final one. */
const MAX_INFORMATIONAL = 16;
/** A body of up to this size is collected, and passed on in one piece. */
const COLLECTED_BYTES = 64 * 1024;
/** If collecting a body takes longer than this, the body is streamed instead. */
const COLLECT_MS = 100;
/** The same if the next bytes take longer than this. */
const COLLECT_PAUSE_MS = 50;

const NOTHING = new Uint8Array();
const NO_CONTENT = 204;
const RESET_CONTENT = 205;

/** A response's head. The bytes that arrived after it are in the connection's `incoming`, from `end` to `filled`. */
interface Arrived {
  readonly head: ResponseHead;
  readonly end: number;
  readonly filled: number;
}

/** A connection that has switched to another protocol. */
export interface Switched {
  readonly head: ResponseHead;
  readonly connection: Connection;
  /** The bytes that arrived directly after the head. */
  readonly begun: Uint8Array<ArrayBuffer>;
  readonly close: () => void;
}

/** The objects that all exchanges share. */
export interface ExchangeOptions {
  readonly clock: Clock;
  readonly timeouts: CoarseTimeouts;
  readonly slowClients: SlowClients;
  readonly budget: StreamBudget;
}

/** One request over a connection, and its response. */
export class Exchange {
  readonly #connection: Connection;
  readonly #pool: ConnectionPool;
  readonly #client: Client | undefined;
  readonly #clock: Clock;
  readonly #timeouts: CoarseTimeouts;
  readonly #slowClients: SlowClients;
  readonly #budget: StreamBudget;
  #upload: Upload | undefined;
  /** Whether the whole request has been written. */
  #written = false;
  /** Set when the client breaks off the upload. */
  #uploadError: ClessError | undefined;
  #over = false;

  constructor(connection: Connection, pool: ConnectionPool, client: Client | undefined, options: ExchangeOptions) {
    this.#connection = connection;
    this.#pool = pool;
    this.#client = client;
    this.#clock = options.clock;
    this.#timeouts = options.timeouts;
    this.#slowClients = options.slowClients;
    this.#budget = options.budget;
  }

  /** Sends the request and receives the response; call it once. See {@linkcode Forwarder.forward}. */
  async run(head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<Response> {
    const sent = this.#begin(head, upload, signal);
    try {
      return await this.#respond(await this.#readHead(head.method));
    } catch (error) {
      throw await this.#failure(error, sent, signal);
    }
  }

  /** Asks the app to switch to another protocol. Resolves with the connection if it does, else with its response. */
  async switchProtocols(head: RequestHead, signal: AbortSignal): Promise<Switched | Response> {
    const sent = this.#begin(head, undefined, signal);
    try {
      const arrived = await this.#readHead(head.method);
      if (arrived.head.status !== 101) {
        // A WebSocket request always opens a new connection, so this connection would never be used again.
        return await this.#respond({ ...arrived, head: { ...arrived.head, keepAlive: false } });
      }
      this.#over = true; // the connection belongs to the caller now
      const connection = this.#connection;
      const begun = connection.incoming.slice(arrived.end, arrived.filled);
      return { head: arrived.head, connection, begun, close: () => this.#pool.close(connection) };
    } catch (error) {
      throw await this.#failure(error, sent, signal);
    }
  }

  /** Starts to send the request; resolves when its head is written. */
  #begin(head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#release(false), { once: true });
    if (signal.aborted) this.#release(false);
    const sent = this.#connection.writeText(requestText(head, upload?.length === Infinity));
    sent.then(() => this.#written = upload === undefined, () => this.#release(false));
    this.#upload = upload;
    if (upload !== undefined) this.#send(upload, sent);
    return sent;
  }

  /** Why there is no response. */
  async #failure(error: unknown, sent: Promise<void>, signal: AbortSignal): Promise<unknown> {
    this.#release(false);
    if (signal.aborted) return signal.reason;
    if (this.#uploadError !== undefined) return this.#uploadError;
    this.#pool.doubt();
    // An app cannot act on an incomplete head.
    if (await sent.then(() => false, () => true)) return new ForwardError("unsent", "the connection was closed");
    // On a reused connection, the bytes may belong to the previous response.
    const isOwnResponse = error instanceof Malformed && !this.#connection.used;
    return new ForwardError(isOwnResponse ? "garbled" : "unanswered", messageOf(error));
  }

  async #send(upload: Upload, headSent: Promise<void>): Promise<void> {
    const { length } = upload;
    const next = upload.begin();
    // `next` also rejects when the attempt is over, but then the exchange has already ended.
    const broken = () => {
      this.#uploadError = new ClessError("bad_request", "The body of the request breaks off");
      this.#release(false);
      return undefined;
    };
    try {
      await headSent;
      for (let left = length; left > 0;) {
        const piece = await next().catch(broken);
        if (piece === undefined) {
          if (length < Infinity) broken();
          break;
        }
        if (piece.length === 0) continue; // an empty chunk would end the body
        left -= piece.length;
        await this.#connection.write(length === Infinity ? chunkOf(piece) : piece);
      }
      if (this.#uploadError !== undefined) return;
      if (length === Infinity) await this.#connection.writeText("0\r\n\r\n");
      this.#written = true;
      // The client's connection can only be reused if the body is read to its end.
      if (length < Infinity) await next();
    } catch {
      // The app no longer reads the request, but its response may still arrive.
    }
  }

  async #readHead(method: string): Promise<Arrived> {
    const connection = this.#connection;
    let filled = await connection.first ?? connectionEnded();
    for (let informational = 0; informational <= MAX_INFORMATIONAL; informational++) {
      let end = -1;
      for (let looked = 0; (end = headEnd(connection.incoming, looked, filled)) === -1;) {
        if (filled >= MAX_HEAD_BYTES) throw new Malformed("a head of more than 64 KB");
        looked = Math.max(0, filled - 1);
        filled += await connection.read(connection.makeRoom(filled)) || connectionEnded();
      }
      if (end > MAX_HEAD_BYTES) throw new Malformed("a head of more than 64 KB");
      const head = parseHead(connection.text(end), method);
      if (head.status === 101 || head.status >= 200) return { head, end, filled };
      connection.incoming.copyWithin(0, end, filled);
      filled -= end;
    }
    throw new Malformed("too many 1xx responses");
  }

  #respond({ head, end, filled }: Arrived): Response | Promise<Response> {
    const { framing, status } = head;
    if (status < 200 || status > 599) throw new Malformed(`status ${status}`);
    // The platform writes no length for a 205, so clients would wait for its body for ever: RFC 9112, section 6.3.
    if (status === RESET_CONTENT) return this.#whole({ ...head, status: NO_CONTENT, keepAlive: false }, NOTHING);
    const begun = this.#connection.incoming.subarray(end, filled);
    if (framing === "chunked") {
      const chunks = new ChunkedDecoder();
      const data = begun.subarray(0, chunks.decode(begun));
      return chunks.done ? this.#whole(head, data) : this.#long(head, chunks, data);
    }
    if (framing === "close") return this.#long(head, "close", begun);
    if (begun.length > framing) throw new Malformed("more bytes than the response has");
    if (begun.length === framing) return this.#whole(head, begun);
    if (framing > COLLECTED_BYTES) return this.#long(head, framing - begun.length, begun);
    return this.#collect(head, framing, end, filled);
  }

  /** Waits a short time for the rest of a short body: it is cheaper to pass on in one piece. */
  async #collect(head: ResponseHead, length: number, from: number, filled: number): Promise<Response> {
    const connection = this.#connection;
    const to = from + length;
    const deadlineMs = this.#clock.now() + COLLECT_MS;
    while (filled < to) {
      if (this.#clock.now() >= deadlineMs) {
        return this.#long(head, to - filled, connection.incoming.subarray(from, filled));
      }
      const into = connection.makeRoom(filled, to);
      const count = connection.read(into);
      const got = await this.#timeouts.within(count, COLLECT_PAUSE_MS);
      if (got === undefined) {
        const begun = connection.incoming.subarray(from, filled);
        connection.handOver(); // the pending read still writes to the old memory
        return this.#long(head, to - filled, begun, { into, count });
      }
      filled += got || connectionEnded();
    }
    if (filled > to) throw new Malformed("more bytes than the response has");
    return await this.#whole(head, connection.incoming.subarray(from, to));
  }

  /** @param body In the connection's memory; the `Response` copies it. */
  #whole(head: ResponseHead, body: Uint8Array<ArrayBuffer>): Response | Promise<Response> {
    const given = body.length === 0 ? nothing(head) : body;
    const response = toResponse(head, given);
    const ended = this.#end(head.keepAlive, given instanceof ReadableStream);
    return ended === undefined ? response : ended.then(() => response);
  }

  #long(
    head: ResponseHead,
    rest: number | ChunkedDecoder | "close",
    begun: Uint8Array<ArrayBuffer>,
    reading?: Reading,
  ): Response {
    const keepAlive = head.keepAlive && rest !== "close";
    const end = (whole: boolean) => this.#end(whole && keepAlive, true);
    const body = new LongBody({
      ...{ connection: this.#connection, rest, begun, reading, end },
      ...{
        client: this.#client,
        slowClients: this.#slowClients,
        budget: this.#budget,
        upload: this.#written ? undefined : this.#upload,
      },
    });
    return toResponse(head, new ReadableStream(body, { highWaterMark: 0 }));
  }

  /** Ends the exchange when its response ends, and with it the upload: see {@linkcode Upload.end}. */
  #end(keepAlive: boolean, isStreamed: boolean): Promise<void> | undefined {
    const upload = this.#written ? undefined : this.#upload;
    this.#release(keepAlive);
    this.#client?.appEnded();
    return upload?.end(isStreamed);
  }

  #release(keepAlive: boolean): void {
    if (this.#over) return;
    this.#over = true;
    if (keepAlive && this.#written) this.#pool.release(this.#connection, this.#clock.now());
    else this.#pool.close(this.#connection);
  }
}

/** Fails because the connection ended. Whether the app has handled the request is unknown. */
function connectionEnded(): never {
  throw new Error("the connection was closed");
}

/** An empty body. For a HEAD response without a length it must not be `null`: the platform would write 0. */
function nothing({ status, headers }: ResponseHead): ReadableStream | null {
  const isBodiless = status === NO_CONTENT || status === 304;
  if (isBodiless || headers.some(([name]) => name.toLowerCase() === "content-length")) return null;
  return new ReadableStream({ start: (controller) => controller.close() });
}

function toResponse(head: ResponseHead, body: Uint8Array<ArrayBuffer> | ReadableStream | null): Response {
  const { status, connection } = head;
  const headers = head.hopByHop ? endToEnd(head.headers, connection) : head.headers;
  try {
    return new Response(body, { status, headers });
  } catch {
    throw new Malformed("a header name or value that HTTP does not know");
  }
}
