import { Malformed } from "./message_head.ts";

const LF = 10;
const CR = 13;
const SEMICOLON = 59;
/** A chunk size may have at most this many hexadecimal digits. A longer one might not be a safe integer. */
const MAX_DIGITS = 13;
/** Limit for the extensions of one chunk, and for all trailers. */
const MAX_EXTRA_BYTES = 16 * 1024;

/** If a state's name ends in `-cr` or `-lf`, the next byte must be CR or LF. */
type State =
  | "size"
  | "extension"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "line-start"
  | "trailer"
  | "trailer-lf"
  | "end-lf"
  | "done";

/** Decodes a chunked body that arrives in arbitrary pieces: RFC 9112, section 7.1. Drops extensions and trailers. */
export class ChunkedDecoder {
  #state: State = "size";
  /**
   * How many bytes of the present chunk are missing. While the chunk's size is being read, this is the value of the
   * digits read so far.
   */
  #left = 0;
  #digits = 0;
  #extra = 0;

  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes a piece in place, and moves its data to its start. Returns the number of data bytes.
   *
   * @throws {Malformed} If the encoding is wrong, or something follows the end.
   */
  decode(bytes: Uint8Array): number {
    let filled = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#state === "data") {
        const end = Math.min(at + this.#left, bytes.length);
        if (at > filled) bytes.copyWithin(filled, at, end);
        filled += end - at;
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = "data-cr";
      } else this.#step(bytes[at++]!);
    }
    return filled;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case "size":
        if (byte === CR || byte === SEMICOLON) {
          if (this.#digits === 0) throw new Malformed("a chunk without a size");
          this.#state = byte === CR ? "size-lf" : "extension";
        } else {
          const digit = hexDigit(byte);
          if (digit === -1 || ++this.#digits > MAX_DIGITS) throw new Malformed("a chunk's size is not a number");
          this.#left = this.#left * 16 + digit;
        }
        break;
      case "extension":
        if (byte === CR) this.#state = "size-lf";
        else this.#skip(byte);
        break;
      case "size-lf":
        this.#expect(byte, LF, this.#left === 0 ? "line-start" : "data");
        this.#digits = this.#extra = 0;
        break;
      case "data-cr":
        this.#expect(byte, CR, "data-lf");
        break;
      case "data-lf":
        this.#expect(byte, LF, "size");
        break;
      case "line-start":
        this.#state = byte === CR ? "end-lf" : "trailer";
        if (byte !== CR) this.#skip(byte);
        break;
      case "trailer":
        if (byte === CR) this.#state = "trailer-lf";
        else this.#skip(byte);
        break;
      case "trailer-lf":
        this.#expect(byte, LF, "line-start");
        break;
      case "end-lf":
        this.#expect(byte, LF, "done");
        break;
      default:
        throw new Malformed("more bytes than the response has");
    }
  }

  #expect(byte: number, expected: number, next: State): void {
    if (byte !== expected) throw new Malformed("a chunk does not end where its size says");
    this.#state = next;
  }

  #skip(byte: number): void {
    if (byte === LF || byte === 0) throw new Malformed("a control character between chunks");
    if (++this.#extra > MAX_EXTRA_BYTES) throw new Malformed("chunk extensions or trailers that are too long");
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Encodes a piece of a body as one chunk. */
export function chunkOf(piece: Uint8Array): Uint8Array {
  const size = new TextEncoder().encode(`${piece.length.toString(16)}\r\n`);
  const chunk = new Uint8Array(size.length + piece.length + 2);
  chunk.set(size);
  chunk.set(piece, size.length);
  chunk.set([CR, LF], size.length + piece.length);
  return chunk;
}
