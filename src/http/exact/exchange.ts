import { ClessError, messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import { endToEnd, ForwardError } from "../forward.ts";
import type { RequestHead } from "../request_head.ts";
import type { Upload } from "../upload.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { LongBody, type Reading } from "./long_body.ts";
import { Malformed } from "./malformed.ts";
import type { Patience } from "./patience.ts";
import { requestText } from "./request_text.ts";
import { headEnd, parseHead, type ResponseHead } from "./response_head.ts";

/** How long the head of an answer may be, bytes. */
const MOST_HEAD_BYTES = 64 * 1024;
/** How many answers of the kind 1xx may come before the real one. */
const MOST_INFORMATIONAL = 16;
/** A body up to here is waited for, and passed on in one piece, bytes. */
const SHORT_BYTES = 64 * 1024;
/** For how long, ms. */
const SHORT_MS = 100;

const NOTHING = new Uint8Array();
const NO_CONTENT = 204;
const RESET_CONTENT = 205;

/** An answer's head, and where in the connection's incoming bytes what follows it begins and ends. */
interface Arrived {
  readonly head: ResponseHead;
  readonly end: number;
  readonly filled: number;
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
  #upload: Upload | undefined;
  /** Whether the whole request has been written. */
  #written = false;
  /** Why the client's body does not come to its end. */
  #uploadError: ClessError | undefined;
  #over = false;

  constructor(connection: Connection, connections: Connections, clock: Clock, patience: Patience) {
    this.#connection = connection;
    this.#connections = connections;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Does it; see `Forwarder.forward`. An exchange can be done once. */
  async run(head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<Response> {
    const sent = this.#begin(head, upload, signal);
    try {
      return await this.#answer(await this.#readHead(head.method));
    } catch (error) {
      throw await this.#failure(error, sent, signal);
    }
  }

  /** Asks for another protocol: resolves with the connection where the app agrees, else with its answer. */
  async switchProtocols(head: RequestHead, signal: AbortSignal): Promise<Switched | Response> {
    const sent = this.#begin(head, undefined, signal);
    try {
      const arrived = await this.#readHead(head.method);
      if (arrived.head.status !== 101) {
        // No other request for a WebSocket would use the connection again.
        return await this.#answer({ ...arrived, head: { ...arrived.head, keepAlive: false } });
      }
      this.#over = true; // the connection is another's from here on
      const connection = this.#connection;
      const begun = connection.incoming.slice(arrived.end, arrived.filled);
      return { head: arrived.head, connection, begun, close: () => this.#connections.close(connection) };
    } catch (error) {
      throw await this.#failure(error, sent, signal);
    }
  }

  /** Sends the request; resolves when its head is written. */
  #begin(head: RequestHead, upload: Upload | undefined, signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#release(false), { once: true });
    if (signal.aborted) this.#release(false);
    const sent = this.#connection.writeText(requestText(head, upload?.length === Infinity));
    sent.then(() => this.#written = upload === undefined, () => this.#release(false));
    if (upload !== undefined) this.#send(upload, sent);
    return sent;
  }

  /** Why there is no answer. */
  async #failure(error: unknown, sent: Promise<void>, signal: AbortSignal): Promise<unknown> {
    this.#release(false);
    if (signal.aborted) return signal.reason;
    if (this.#uploadError !== undefined) return this.#uploadError;
    this.#connections.doubt();
    // Without the whole head no app can have begun.
    if (await sent.then(() => false, () => true)) return new ForwardError("unsent", "the connection was closed");
    // What comes over a connection that was used before may belong to the answer before.
    const isItsAnswer = error instanceof Malformed && !this.#connection.used;
    return new ForwardError(isItsAnswer ? "garbled" : "unanswered", messageOf(error));
  }

  async #send(upload: Upload, headSent: Promise<void>): Promise<void> {
    this.#upload = upload;
    const { length } = upload;
    const next = upload.begin();
    // It rejects also when the attempt is over, but by then the exchange is too, and what it came to is known.
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
        if (piece.length === 0) continue; // as a chunk it would be the last
        left -= piece.length;
        await this.#connection.write(length === Infinity ? chunkOf(piece) : piece);
      }
      if (this.#uploadError !== undefined) return;
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
    let filled = await connection.first ?? connectionEnded();
    for (let informational = 0; informational <= MOST_INFORMATIONAL; informational++) {
      let end = -1;
      for (let looked = 0; (end = headEnd(connection.incoming, looked, filled)) === -1;) {
        if (filled >= MOST_HEAD_BYTES) throw new Malformed("a head that is too long");
        looked = Math.max(0, filled - 1);
        filled += await connection.read(connection.makeRoom(filled)) || connectionEnded();
      }
      if (end > MOST_HEAD_BYTES) throw new Malformed("a head that is too long");
      const head = parseHead(connection.text(end), method);
      if (head.status === 101 || head.status >= 200) return { head, end, filled };
      connection.incoming.copyWithin(0, end, filled);
      filled -= end;
    }
    throw new Malformed("no end of answers of the kind 1xx");
  }

  #answer({ head, end, filled }: Arrived): Response | Promise<Response> {
    const { framing, status } = head;
    if (status < 200 || status > 599) throw new Malformed(`status ${status}`);
    // The platform writes no length for a 205, and by RFC 9112, section 6.3, clients would wait for its body for ever.
    if (status === RESET_CONTENT) return this.#whole({ ...head, status: NO_CONTENT, keepAlive: false }, NOTHING);
    const begun = this.#connection.incoming.subarray(end, filled);
    if (framing === "chunked") {
      const chunks = new ChunkedDecoder();
      const data = begun.subarray(0, chunks.decode(begun));
      return chunks.done ? this.#whole(head, data) : this.#long(head, chunks, data);
    }
    if (framing === "close") return this.#long(head, "close", begun);
    if (begun.length > framing) throw new Malformed("more bytes than the answer has");
    if (begun.length === framing) return this.#whole(head, begun);
    if (framing > SHORT_BYTES) return this.#long(head, framing - begun.length, begun);
    return this.#collect(head, framing, end, filled);
  }

  /** Waits a little for the rest of a short body. */
  async #collect(head: ResponseHead, length: number, from: number, filled: number): Promise<Response> {
    const connection = this.#connection;
    const to = from + length;
    const deadline = this.#clock.now() + SHORT_MS;
    while (filled < to) {
      if (this.#clock.now() >= deadline) {
        return this.#long(head, to - filled, connection.incoming.subarray(from, filled));
      }
      const into = connection.makeRoom(filled, to);
      const count = connection.read(into);
      const got = await this.#patience.wait(count);
      if (got === undefined) {
        const begun = connection.incoming.subarray(from, filled);
        connection.handOver(); // the read goes on into it
        return this.#long(head, to - filled, begun, { into, count });
      }
      filled += got || connectionEnded();
    }
    if (filled > to) throw new Malformed("more bytes than the answer has");
    return await this.#whole(head, connection.incoming.subarray(from, to));
  }

  /** @param body In the connection's memory: of what is not a stream a `Response` makes its own copy. */
  #whole(head: ResponseHead, body: Uint8Array<ArrayBuffer>): Response | Promise<Response> {
    const response = toResponse(head, body.length === 0 ? nothing(head) : body);
    const ended = this.#end(head.keepAlive);
    return ended === undefined ? response : ended.then(() => response);
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
        end: (whole) => this.#end(whole && keepAlive),
      }),
    );
  }

  /** The answer is over, and with it the upload: see {@linkcode Upload.end}. */
  #end(keepAlive: boolean): Promise<void> | undefined {
    const upload = this.#written ? undefined : this.#upload;
    this.#release(keepAlive);
    return upload?.end();
  }

  #release(keepAlive: boolean): void {
    if (this.#over) return;
    this.#over = true;
    if (keepAlive && this.#written) this.#connections.keep(this.#connection, this.#clock.now());
    else this.#connections.close(this.#connection);
  }
}

/** The app, or somebody on the way, has ended the connection: nobody knows what became of the request. */
function connectionEnded(): never {
  throw new Error("the connection was closed");
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
