import { ClessError, messageOf } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import { endToEnd, ForwardError } from "../forward.ts";
import type { RequestHead } from "../request_head.ts";
import type { Upload } from "../upload.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { LongBody, type Reading } from "./long_body.ts";
import { Malformed } from "./malformed.ts";
import type { Patience } from "./patience.ts";
import { uncleared } from "./pieces.ts";
import { requestText } from "./request_text.ts";
import { headEnd, parseHead, type ResponseHead } from "./response_head.ts";

/** How long the head of an answer may be, bytes. */
const MOST_HEAD_BYTES = 256 * 1024;
/** How many answers of the kind 1xx may come before the real one. */
const MOST_INFORMATIONAL = 16;
/** A body up to here is waited for, and passed on in one piece, bytes. */
const SHORT_BYTES = 64 * 1024;

/** An answer's head, and what of the connection's incoming bytes lies behind it. */
interface Arrived {
  readonly head: ResponseHead;
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** A connection that speaks another protocol from here on. */
export interface Switched {
  readonly head: ResponseHead;
  readonly connection: Connection;
  /** What came right behind the head. */
  readonly begun: Uint8Array<ArrayBuffer>;
  /** Ends it. */
  readonly close: () => void;
}

/** One request over a connection, and its answer. */
export class Exchange {
  readonly #connection: Connection;
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #patience: Patience;
  #delivered: Promise<unknown> | undefined;
  #http2 = false;
  #upload: Upload | undefined;
  /** Whether the whole request has been written. */
  #written = false;
  /** Why the client's body does not come to its end. */
  #brokenOff: ClessError | undefined;
  /** Whether anything of an answer has come. */
  #answered = false;
  #over = false;

  constructor(connection: Connection, connections: Connections, clock: Clock, patience: Patience) {
    this.#connection = connection;
    this.#connections = connections;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Does it; see `Forwarder.forward`. An exchange can be done once. */
  run(
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
    delivered: Promise<unknown>,
  ): Promise<Response> {
    this.#delivered = delivered;
    this.#http2 = head.http2;
    return this.#perform(head, upload, signal, (arrived) => this.#answer(arrived));
  }

  /** Asks for another protocol: resolves with the connection where the app agrees, else with its answer. */
  switchProtocols(head: RequestHead, signal: AbortSignal): Promise<Switched | Response> {
    return this.#perform<Switched | Response>(head, undefined, signal, (arrived) => {
      if (arrived.head.status !== 101) return this.#answer(arrived);
      this.#over = true; // the connection is another's from here on
      const close = () => this.#connections.close(this.#connection);
      return { head: arrived.head, connection: this.#connection, begun: arrived.rest.slice(), close };
    });
  }

  async #perform<T>(
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
    proceed: (arrived: Arrived) => T | Promise<T>,
  ): Promise<T> {
    if (signal.aborted) {
      this.#finish(false);
      throw signal.reason;
    }
    signal.addEventListener("abort", () => this.#finish(false), { once: true });
    const sent = this.#connection.writeText(requestText(head));
    sent.then(() => this.#written = upload === undefined, () => this.#finish(false));
    if (upload !== undefined) this.#send(upload, head.bodyLength, sent);
    try {
      return await proceed(await this.#readHead(head.method));
    } catch (error) {
      this.#finish(false);
      if (signal.aborted) throw signal.reason;
      if (this.#brokenOff !== undefined) throw this.#brokenOff;
      this.#connections.closeIdle(); // the app may have been replaced, or be out of step
      // Without the whole head no app can have begun.
      const unsent = await sent.then(() => false, () => true);
      throw unsent ? new ForwardError("unsent", "the connection was closed") : this.#explain(error);
    }
  }

  async #send(upload: Upload, length: number, headSent: Promise<void>): Promise<void> {
    this.#upload = upload;
    const next = upload.begin();
    const broken = () => {
      this.#brokenOff = new ClessError("bad_request", "The body of the request breaks off");
      this.#finish(false);
      return undefined;
    };
    try {
      await headSent;
      for (let left = length; left > 0;) {
        const piece = await next().catch(broken);
        if (piece === undefined) break;
        if (piece.length === 0) continue; // as a chunk it would be the last
        left -= piece.length;
        await this.#connection.write(length === Infinity ? chunkOf(piece) : piece);
      }
      if (this.#brokenOff !== undefined) return;
      if (length === Infinity) await this.#connection.writeText("0\r\n\r\n");
      this.#written = true;
      // A body that has not been read to its very end costs the client its connection.
      if (length < Infinity) await next();
    } catch {
      // The app takes no more; its answer may be there all the same.
    }
  }

  /** Waits for the head of the real answer. */
  async #readHead(method: string): Promise<Arrived> {
    const connection = this.#connection;
    let filled = await connection.first();
    this.#answered = filled > 0;
    for (let informational = 0; informational <= MOST_INFORMATIONAL; informational++) {
      let end = -1;
      for (let looked = 0; (end = headEnd(connection.incoming, looked, filled)) === -1;) {
        if (filled >= MOST_HEAD_BYTES) throw new Malformed("a head that is too long");
        looked = Math.max(0, filled - 1);
        const got = await connection.more(filled);
        if (got === 0) throw new Malformed("the connection was closed");
        filled += got;
      }
      const { incoming } = connection;
      const head = parseHead(connection.text(end), method);
      if (head.status === 101 || head.status >= 200) return { head, rest: incoming.subarray(end, filled) };
      incoming.copyWithin(0, end, filled);
      filled -= end;
    }
    throw new Malformed("no end of answers of the kind 1xx");
  }

  async #answer({ head, rest }: Arrived): Promise<Response> {
    const { framing, status } = head;
    if (status < 200 || status > 599) throw new Malformed(`status ${status}`);
    if (status === 205) {
      // A body would mean nothing, and the platform takes none: RFC 9110, section 15.3.6.
      const headers = head.headers.filter(([name]) => name.toLowerCase() !== "content-length");
      await this.#end(false);
      return toResponse({ ...head, headers }, null);
    }
    if (framing === "chunked") {
      const chunks = new ChunkedDecoder();
      const begun = rest.slice();
      const data = begun.subarray(0, chunks.decode(begun));
      return chunks.done ? await this.#short(head, data) : this.#long(head, chunks, data);
    }
    if (framing === "close") return this.#long(head, "close", rest.slice());
    if (rest.length > framing) throw new Malformed("more bytes than the answer has");
    if (rest.length === framing) return await this.#short(head, rest.slice());
    if (framing > SHORT_BYTES) return this.#long(head, framing - rest.length, rest.slice());
    return await this.#collect(head, framing, rest);
  }

  /** Waits a little for the rest of a short body. */
  async #collect(head: ResponseHead, length: number, rest: Uint8Array): Promise<Response> {
    // One byte more, so that what does not belong to it is seen.
    const body = uncleared(length + 1);
    body.set(rest);
    let filled = rest.length;
    while (filled < length) {
      const into = body.subarray(filled);
      const count = this.#connection.read(into);
      const got = await this.#patience.wait(count);
      if (got === undefined) return this.#long(head, length - filled, body.slice(0, filled), { into, count });
      if (got === 0) throw new Malformed("the answer breaks off");
      filled += got;
    }
    if (filled > length) throw new Malformed("more bytes than the answer has");
    // To give up our hold on it is cheaper than to leave it to the garbage collector, as in `Pieces`.
    const free = () => void body.buffer.transfer(0);
    this.#delivered?.then(free, free);
    return await this.#short(head, body.subarray(0, length));
  }

  async #short(head: ResponseHead, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    const response = toResponse(head, body.length === 0 ? nothing(head) : body);
    await this.#end(head.keepAlive);
    return response;
  }

  #long(
    head: ResponseHead,
    rest: number | ChunkedDecoder | "close",
    begun: Uint8Array<ArrayBuffer>,
    reading?: Reading,
  ): Response {
    const keepAlive = head.keepAlive && rest !== "close";
    return toResponse(
      head,
      LongBody.stream({
        connection: this.#connection,
        rest,
        begun,
        ...(reading === undefined ? {} : { reading }),
        delivered: this.#http2 ? undefined : this.#delivered, // over HTTP/2 the platform may keep what it has
        end: (whole) => this.#end(whole && keepAlive),
      }),
    );
  }

  /** The answer is over, and with it the upload: see {@linkcode Upload.end}. */
  #end(keepAlive: boolean): Promise<void> | void {
    const upload = this.#written ? undefined : this.#upload;
    this.#finish(keepAlive);
    return upload?.end();
  }

  #finish(keepAlive: boolean): void {
    if (this.#over) return;
    this.#over = true;
    if (keepAlive && this.#written) this.#connections.keep(this.#connection, this.#clock.now());
    else this.#connections.close(this.#connection);
  }

  #explain(error: unknown): ForwardError {
    // What comes over a connection that was used before may belong to the answer before.
    const isItsAnswer = this.#answered && !this.#connection.used;
    return new ForwardError(isItsAnswer ? "garbled" : "unanswered", messageOf(error));
  }
}

/** A piece of a body as a chunk: RFC 9112, section 7.1. */
function chunkOf(piece: Uint8Array): Uint8Array {
  const size = new TextEncoder().encode(`${piece.length.toString(16)}\r\n`);
  const chunk = new Uint8Array(size.length + piece.length + 2);
  chunk.set(size);
  chunk.set(piece, size.length);
  chunk.set([13, 10], size.length + piece.length);
  return chunk;
}

/** An empty body. Where an answer to a HEAD says no length, the platform must not either: for `null` it writes 0. */
function nothing({ status, headers }: ResponseHead): ReadableStream | null {
  const isBodiless = status === 204 || status === 205 || status === 304;
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
