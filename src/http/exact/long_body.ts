import { AnswerCut } from "../forward.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { Connection } from "./connection.ts";
import { Malformed } from "./malformed.ts";
import { Pieces } from "./pieces.ts";

/** How much is read at once: little where little comes, bytes. Fewer, larger reads cost less by far. */
const LEAST_AT_ONCE = 16 * 1024;
const MOST_AT_ONCE = 1024 * 1024;

/** A read that has begun. */
export interface Reading {
  readonly into: Uint8Array<ArrayBuffer>;
  readonly count: Promise<number>;
}

/** What a {@linkcode LongBody} works with. */
export interface LongBodyParts {
  readonly connection: Connection;
  /** How the rest of it ends: the number of bytes, with a last chunk, or with the connection. */
  readonly rest: number | ChunkedDecoder | "close";
  /** What of it has come already, in memory that will be used again; but where something is being read, its own. */
  readonly begun: Uint8Array<ArrayBuffer>;
  /** What is being read already. */
  readonly reading?: Reading;
  /** Is told that it is over, before whoever reads it is. @param whole Whether it came to its end, and nothing was wrong. */
  readonly end: (whole: boolean) => Promise<void> | void;
}

/** The body of an answer that is passed on while it comes; no more is read than is taken. */
export class LongBody implements UnderlyingDefaultSource<Uint8Array> {
  readonly #connection: Connection;
  readonly #chunks: ChunkedDecoder | undefined;
  readonly #begun: Uint8Array<ArrayBuffer>;
  readonly #pieces = new Pieces();
  readonly #end: LongBodyParts["end"];
  /** How many bytes are still to come, as far as that is known. */
  #left: number;
  #reading: Reading | undefined;
  /** What a piece still has room for. */
  #room: Uint8Array<ArrayBuffer> | undefined;
  #size = LEAST_AT_ONCE;

  private constructor({ connection, rest, begun, reading, end }: LongBodyParts) {
    this.#connection = connection;
    this.#chunks = rest instanceof ChunkedDecoder ? rest : undefined;
    this.#left = typeof rest === "number" ? rest : Infinity;
    this.#reading = reading;
    this.#end = end;
    if (typeof rest === "number") this.#size = MOST_AT_ONCE;
    this.#begun = reading === undefined && begun.length > 0 ? this.#keep(begun) : begun;
  }

  /** The body as a stream. It fails with {@linkcode AnswerCut} where it does not come to its end. */
  static stream(parts: LongBodyParts): ReadableStream<Uint8Array> {
    return new ReadableStream(new LongBody(parts), { highWaterMark: 0 });
  }

  /** Part of the stream. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#begun.length > 0) controller.enqueue(this.#begun);
  }

  /** Part of the stream. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      while (!await this.#pass(controller));
    } catch (error) {
      await this.#end(false);
      const reason = error instanceof Malformed ? error.message : "the app or its connection ended in mid-body";
      controller.error(new AnswerCut(reason));
    }
  }

  /** Part of the stream: nobody wants the rest. */
  async cancel(): Promise<void> {
    await this.#end(false);
  }

  /** Reads once; whether there was anything to pass on. */
  async #pass(controller: ReadableStreamDefaultController<Uint8Array>): Promise<boolean> {
    const { into, count } = this.#reading ?? this.#read();
    this.#reading = undefined;
    const got = await count;
    if (got === 0) {
      if (this.#chunks !== undefined || this.#left < Infinity) throw new Malformed("the answer breaks off");
      await this.#end(true);
      controller.close();
      return true;
    }
    this.#adapt(got, into.length);
    const data = this.#chunks === undefined ? got : this.#chunks.decode(into.subarray(0, got));
    if (got > this.#left) throw new Malformed("more bytes than the answer has");
    this.#left -= got;
    if (data > 0) controller.enqueue(into.subarray(0, data));
    if (this.#left > 0 && this.#chunks?.done !== true) return data > 0;
    await this.#end(true);
    controller.close();
    return true;
  }

  /** Takes bytes over into a piece of our own, where there is room for more. */
  #keep(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const piece = this.#pieces.next(Math.max(this.#size, 2 * bytes.length));
    piece.set(bytes);
    this.#room = piece.subarray(bytes.length);
    return piece.subarray(0, bytes.length);
  }

  #read(): Reading {
    const into = this.#room ?? this.#pieces.next(this.#size);
    this.#room = undefined;
    return { into, count: this.#connection.read(into) };
  }

  #adapt(got: number, room: number): void {
    if (got === room) this.#size = Math.min(4 * this.#size, MOST_AT_ONCE);
    else if (got < room / 8) this.#size = Math.max(this.#size / 2, LEAST_AT_ONCE);
  }
}
