import { within } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { ChunkedDecoder } from "../http/exact/chunked.ts";
import { Connection } from "../http/exact/connection.ts";
import { headEnd, parseHead, type ResponseHead } from "../http/exact/message_head.ts";
import { type Endpoint, formatEndpoint } from "../model/host.ts";
import { PEER_NAME } from "./certificate.ts";
import type { PeerIdentity } from "./identity.ts";
import { PeerAway } from "./peer_error.ts";

/** A machine that has gone neither accepts nor refuses a connection. */
const CONNECT_MS = 1000;
/** Limit for the head of an answer. */
const MAX_HEAD_BYTES = 16 * 1024;

const encoder = new TextEncoder();

/**
 * Connects to a peer, and checks that it has the identity's certificate.
 *
 * @throws {PeerAway} If it does not answer within a second, or is somebody else. @throws The signal's reason.
 */
export async function connectPeer(
  { hostname, port }: Endpoint,
  { certificate }: Pick<PeerIdentity, "certificate">,
  clock: Clock,
  signal: AbortSignal,
): Promise<Connection> {
  const where = formatEndpoint({ hostname, port });
  const over = new AbortController();
  let tls: Deno.TlsConn | undefined;
  const connect = async () => {
    const tcp = await Deno.connect({ hostname, port, signal: AbortSignal.any([signal, over.signal]) });
    tcp.setNoDelay();
    tls = await Deno.startTls(tcp, { hostname: PEER_NAME, caCerts: [certificate], alpnProtocols: ["http/1.1"] });
    if (over.signal.aborted || signal.aborted) throw new Error("it came too late");
    await tls.handshake();
    return tls;
  };
  const end = () => {
    over.abort();
    close(tls); // a handshake that has begun fails with it
  };
  signal.addEventListener("abort", end, { once: true });
  const connected = connect();
  connected.catch(() => close(tls));
  try {
    const made = await within(connected, clock, CONNECT_MS);
    if (made !== undefined && !signal.aborted) return new Connection(made);
    end();
    signal.throwIfAborted();
    throw new PeerAway(`the cless at ${where} does not answer within ${CONNECT_MS / 1000} s`, { isUnsent: true });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PeerAway) throw error;
    const message = `the cless at ${where} cannot be reached: ${plainMessageOf(error)}`;
    throw new PeerAway(message, { cause: error, isUnsent: true });
  } finally {
    signal.removeEventListener("abort", end);
  }
}

function close(conn: Deno.TlsConn | undefined): void {
  try {
    conn?.close();
  } catch {
    // It is closed already.
  }
}

/** A request to a peer over a connection, and its answer. */
export class PeerExchange {
  readonly #connection: Connection;
  #head: ResponseHead | undefined;
  /** Decodes the body, or counts what is left of it. */
  #rest: ChunkedDecoder | number = 0;
  /** What has arrived of the body with the head. */
  #begun: Uint8Array | undefined;
  #hasBegun = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Whether any byte of the answer has arrived. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Whether another request may follow on the connection. */
  get isReusable(): boolean {
    return this.#head?.keepAlive === true && this.#isWhole;
  }

  /** Sends the request, and resolves with the answer's status once its head is there. */
  async send(path: string, secret: string, body: Uint8Array): Promise<number> {
    const head = `POST ${path} HTTP/1.1\r\nhost: ${PEER_NAME}\r\nauthorization: Bearer ${secret}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const connection = this.#connection;
    // In one piece, since it then needs one packet.
    const request = new Uint8Array(head.length + body.length);
    encoder.encodeInto(head, request);
    request.set(body, head.length);
    await connection.write(request);
    let filled = await connection.first ?? ended();
    this.#hasBegun = true;
    let end = -1;
    for (let looked = 0; (end = headEnd(connection.incoming, looked, filled)) === -1;) {
      if (filled >= MAX_HEAD_BYTES) throw new Error("its answer is no answer of a cless");
      looked = Math.max(0, filled - 1);
      filled += await connection.read(connection.makeRoom(filled)) || ended();
    }
    const { framing } = this.#head = parseHead(connection.text(end), "POST");
    this.#rest = framing === "chunked" ? new ChunkedDecoder() : framing === "close" ? Infinity : framing;
    this.#begun = connection.incoming.slice(end, filled);
    return this.#head.status;
  }

  /** The next piece of the body; `undefined` at its end. The memory belongs to the caller. */
  async read(): Promise<Uint8Array | undefined> {
    while (!this.#isWhole) {
      const piece = await this.#next();
      if (piece === undefined) return undefined;
      const data = this.#decoded(piece);
      if (data.length > 0) return data;
    }
    return undefined;
  }

  get #isWhole(): boolean {
    return typeof this.#rest === "number" ? this.#rest === 0 : this.#rest.done;
  }

  /** @returns `undefined` at the end of the connection, where that ends the body. */
  async #next(): Promise<Uint8Array | undefined> {
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun !== undefined && begun.length > 0) return begun;
    const room = this.#connection.makeRoom(0);
    const count = await this.#connection.read(room);
    if (count === 0 && this.#rest === Infinity) return undefined;
    return room.slice(0, count || ended());
  }

  #decoded(piece: Uint8Array): Uint8Array {
    if (typeof this.#rest !== "number") return piece.subarray(0, this.#rest.decode(piece));
    if (piece.length > this.#rest) throw new Error("its answer is longer than it says");
    this.#rest -= piece.length;
    return piece;
  }
}

function ended(): never {
  throw new Error("the connection was closed");
}

/** The error for an exchange that has failed. */
export function brokenOff(endpoint: Endpoint, error: unknown): PeerAway {
  if (error instanceof PeerAway) return error;
  return new PeerAway(`the cless at ${formatEndpoint(endpoint)} does not answer: ${messageOf(error)}`, {
    cause: error,
  });
}
