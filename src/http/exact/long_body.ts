import { ResponseCut } from "../forwarder.ts";
import { PassedBody, type PassedBodyOptions } from "../passed_body.ts";
import type { StreamBudget } from "../stream_budget.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { type Connection, uninitialized } from "./connection.ts";
import { Malformed } from "./message_head.ts";

/**
 * Bounds for the size of a read. The size grows when much arrives, since a few large reads cost far less than many
 * small ones.
 */
const MIN_BYTES_AT_ONCE = 16 * 1024;
const MAX_BYTES_AT_ONCE = 1024 * 1024;
/** The size of the first pieces of a body. Small pieces stay in the processor's caches, and the client may be slow. */
const SMALL_PIECE_BYTES = 128 * 1024;
/**
 * Pieces stay small until this total. The kernel buffers less than this, so a client that reads nothing never gets
 * large pieces.
 */
const SMALL_PIECES_TOTAL_BYTES = 8 * 1024 * 1024;

/**
 * Makes glibc keep the memory of freed body pieces, for the whole process. By default, it returns large pieces to the
 * kernel and requests them again, which costs as much as everything else. But it keeps pieces up to the size of the
 * largest one freed so far. So this allocates one large piece, and frees it without writing to it: mallopt(3),
 * M_MMAP_THRESHOLD.
 */
export function keepFreedMemory(): void {
  new ArrayBuffer(16 * 1024 * 1024).transfer(0);
}

/** A read that has begun. */
export interface Reading {
  readonly into: Uint8Array<ArrayBuffer>;
  readonly count: Promise<number>;
}

/** What a {@linkcode LongBody} is made from. */
export interface LongBodySource extends PassedBodyOptions {
  readonly connection: Connection;
  /** How the rest of the body ends: after this many bytes, with a last chunk, or with the connection. */
  readonly rest: number | ChunkedDecoder | "close";
  /** The bytes received so far. Their memory will be reused, unless a `reading` is under way. */
  readonly begun: Uint8Array<ArrayBuffer>;
  readonly reading: Reading | undefined;
  /** Called when the body has ended, before its reader notices. @param whole Whether it is complete and correct. */
  readonly end: (whole: boolean) => Promise<void> | void;
}

/** The body of a response from a connection. It reads from the app only when its reader wants more. */
export class LongBody extends PassedBody {
  readonly #connection: Connection;
  readonly #chunks: ChunkedDecoder | undefined;
  readonly #begun: Uint8Array<ArrayBuffer>;
  readonly #budget: StreamBudget;
  protected override readonly end: LongBodySource["end"];
  /** The number of missing bytes; `Infinity` if unknown. */
  #left: number;
  #reading: Reading | undefined;
  /** The unused rest of the last piece. */
  #room: Uint8Array<ArrayBuffer> | undefined;
  #readBytes = MIN_BYTES_AT_ONCE;
  #last: ArrayBuffer | undefined;
  #piecesBytes = 0;

  constructor(source: LongBodySource) {
    super(source);
    const { connection, rest, begun, reading, end, budget } = source;
    this.#connection = connection;
    this.#chunks = rest instanceof ChunkedDecoder ? rest : undefined;
    this.#left = typeof rest === "number" ? rest : Infinity;
    this.#reading = reading;
    this.end = end;
    this.#budget = budget;
    if (typeof rest === "number") this.#readBytes = MAX_BYTES_AT_ONCE;
    this.#begun = reading === undefined && begun.length > 0 ? this.#keep(begun) : begun;
  }

  override start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    super.start(controller);
    if (this.#begun.length > 0) controller.enqueue(this.#begun);
  }

  slowDown(): void {
    this.#readBytes = MIN_BYTES_AT_ONCE;
  }

  protected async pass(controller: ReadableStreamDefaultController<Uint8Array>): Promise<boolean> {
    const { into, count } = this.#reading ?? this.#read();
    this.#reading = undefined;
    const got = await count;
    if (got === 0) {
      if (this.#chunks !== undefined || this.#left < Infinity) throw new ResponseCut("the response breaks off");
      await this.finish(true);
      controller.close();
      return true;
    }
    this.count(got);
    this.#adapt(got, into.length);
    const data = this.#chunks === undefined ? got : this.#decode(this.#chunks, into.subarray(0, got));
    if (got > this.#left) throw new ResponseCut("more bytes than the response has");
    this.#left -= got;
    if (data > 0) controller.enqueue(into.subarray(0, data));
    if (this.#left > 0 && this.#chunks?.done !== true) return data > 0;
    await this.finish(true);
    controller.close();
    return true;
  }

  /** @throws {ResponseCut} If the chunks are malformed. */
  #decode(chunks: ChunkedDecoder, bytes: Uint8Array<ArrayBuffer>): number {
    try {
      return chunks.decode(bytes);
    } catch (error) {
      throw error instanceof Malformed ? new ResponseCut(error.message) : error;
    }
  }

  /** Copies bytes into a new piece, which has room for more. */
  #keep(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const piece = this.#nextPiece(Math.max(this.#readBytes, 2 * bytes.length), bytes.length + 1);
    piece.set(bytes);
    this.#room = piece.subarray(bytes.length);
    return piece.subarray(0, bytes.length);
  }

  #read(): Reading {
    const into = this.#room ?? this.#nextPiece(this.#readBytes);
    this.#room = undefined;
    return { into, count: this.#connection.read(into) };
  }

  #adapt(got: number, room: number): void {
    if (got === room) this.#readBytes = Math.min(4 * this.#readBytes, MAX_BYTES_AT_ONCE);
    else if (got < room / 8) this.#readBytes = Math.max(this.#readBytes / 2, MIN_BYTES_AT_ONCE);
  }

  /**
   * Allocates memory for the next bytes, at most `length`. Call it once the platform has taken the previous piece. This
   * drops our reference to that piece. Its memory is freed as soon as the platform has sent it. A piece is not reused,
   * since the platform may still be sending it.
   */
  #nextPiece(length: number, least = 0): Uint8Array<ArrayBuffer> {
    this.#last?.transfer(0); // freeing memory at once is much cheaper than leaving it to the garbage collector
    const isEarly = this.#piecesBytes < SMALL_PIECES_TOTAL_BYTES;
    const wantedBytes = isEarly ? Math.min(length, SMALL_PIECE_BYTES) : length;
    const piece = uninitialized(Math.max(this.#budget.share(wantedBytes, MIN_BYTES_AT_ONCE), least));
    this.#piecesBytes += piece.length;
    this.#last = piece.buffer;
    return piece;
  }
}
