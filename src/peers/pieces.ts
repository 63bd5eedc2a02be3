import type { Clock } from "../base/clock.ts";
import { type Refusal, SIGN_OF_LIFE_MS } from "./messages.ts";

/** The bytes of the number before each piece. */
const LENGTH_BYTES = 4;
/** In place of a length: the stream has failed, and the reason follows. No piece is that long. */
const FAILED = 2 ** 32 - 1;
/** The longest reason that is kept, characters. */
const MAX_REASON = 4096;

const SIGN_OF_LIFE = new Uint8Array(LENGTH_BYTES);
const encoder = new TextEncoder();

/** How a stream is packed. */
export interface PackOptions {
  /** Aborted when nobody reads the stream any more. */
  readonly gone: AbortController;
  readonly clock: Clock;
  /** How the reader is told why the stream has failed. */
  readonly refusalOf: (error: unknown) => Refusal;
}

/**
 * Packs a stream into pieces: each is preceded by its length as a number of 32 bits, the most significant first. One of
 * length 0 has no bytes of the stream: it is a sign of life, sent while the reader waits and there is nothing else. A
 * failure is the number {@linkcode FAILED}, and then a {@linkcode Refusal} as JSON. So a reader knows four things apart,
 * whatever the bytes are: the stream goes on, is silent, has ended, has failed.
 *
 * A reader that is slow gets no signs of life, and needs none: it has what it has not read yet.
 *
 * @param opening Resolves with the stream when that begins. Signs of life are sent before, too.
 */
export function packed(
  opening: Promise<ReadableStream<Uint8Array>>,
  { clock, gone, refusalOf }: PackOptions,
): ReadableStream<Uint8Array> {
  let isWaiting = false;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let stop = () => {};
  return new ReadableStream<Uint8Array>({
    start(controller) {
      stop = clock.every(SIGN_OF_LIFE_MS, () => {
        // One that has not been read yet is enough.
        if (isWaiting && controller.desiredSize === 0) controller.enqueue(SIGN_OF_LIFE.slice());
      });
    },
    async pull(controller) {
      isWaiting = true;
      try {
        const stream = await opening;
        if (gone.signal.aborted) return;
        reader ??= stream.getReader();
        const { done, value } = await reader.read();
        if (gone.signal.aborted) return;
        if (!done) return controller.enqueue(pieceOf(value.length, value));
      } catch (error) {
        if (gone.signal.aborted) return;
        controller.enqueue(pieceOf(FAILED, encoder.encode(JSON.stringify(refusalOf(error)))));
      } finally {
        isWaiting = false;
      }
      stop();
      controller.close();
    },
    cancel() {
      stop();
      gone.abort();
      const cancelled = reader === undefined ? opening.then((stream) => stream.cancel()) : reader.cancel();
      cancelled.catch(() => {}); // nobody wants to know any more
    },
  }, { highWaterMark: 0 });
}

/** The length and the bytes, together, since the platform's server would wait for an acknowledgement between them. */
function pieceOf(length: number, bytes: Uint8Array): Uint8Array {
  const piece = new Uint8Array(LENGTH_BYTES + bytes.length);
  new DataView(piece.buffer).setUint32(0, length);
  piece.set(bytes, LENGTH_BYTES);
  return piece;
}

/** Unpacks what {@linkcode packed} has packed, however it is cut on its way. */
export class Unpacker {
  /** How many bytes of the present piece are missing. */
  #left = 0;
  /** The present length, as far as it was read. */
  #length = 0;
  #lengthBytes = 0;
  readonly #decoder = new TextDecoder();
  #reason: string | undefined;

  /** Why the stream has failed, as JSON, as far as it was read; `undefined` if it has not. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Whether the stream may end here. */
  get isWhole(): boolean {
    return this.#left === 0 && this.#lengthBytes === 0;
  }

  /** Unpacks bytes in place: moves those of the stream to their beginning, and returns how many these are. */
  unpack(bytes: Uint8Array): number {
    let filled = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#reason !== undefined) {
        this.#reason = (this.#reason + this.#decoder.decode(bytes.subarray(at), { stream: true })).slice(0, MAX_REASON);
        break;
      }
      if (this.#left > 0) {
        const end = Math.min(at + this.#left, bytes.length);
        bytes.copyWithin(filled, at, end);
        filled += end - at;
        this.#left -= end - at;
        at = end;
      } else this.#count(bytes[at++]!);
    }
    return filled;
  }

  /** Takes a byte of a length. */
  #count(byte: number): void {
    this.#length = this.#length * 256 + byte;
    if (++this.#lengthBytes < LENGTH_BYTES) return;
    if (this.#length === FAILED) this.#reason = "";
    else this.#left = this.#length;
    this.#length = this.#lengthBytes = 0;
  }
}
