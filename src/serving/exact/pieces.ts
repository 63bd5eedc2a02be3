import { Buffer } from "node:buffer";

/** How large a piece is that is used again, bytes: larger ones leave the processor's caches, smaller ones cost more reads. */
const PIECE_BYTES = 256 * 1024;
/** How many wait for use at most. */
const MOST_WAITING = 64;
/** How many an answer may hold at once; what a longer one needs beyond is not kept. */
const MOST_HELD = 8;

const waiting: Uint8Array<ArrayBuffer>[] = [];

/** Memory that is not cleared; whoever takes it passes on only what it has written. */
export function uncleared(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/**
 * Bodies pass in pieces of memory that glibc would give back to the kernel and ask for again each time, which costs as
 * much as all the rest. It stops doing so, for the whole process, for pieces up to the size of the largest that it has
 * given back, and this one is never touched: mallopt(3), M_MMAP_THRESHOLD.
 */
export function keepFreedMemory(): void {
  new ArrayBuffer(16 * 1024 * 1024).transfer(0);
}

/** The pieces of memory through which one answer passes; they are used again by the next when it has been delivered. */
export class Pieces {
  readonly #held: Uint8Array<ArrayBuffer>[] = [];
  readonly #mostHeld: number;
  /** Memory of a piece that is not kept, as long as the platform may not have taken it over. */
  #passing: ArrayBuffer | undefined;

  /** @param delivered See `Forwarder.forward`; missing where that is not known. */
  constructor(delivered: Promise<unknown> | undefined) {
    delivered?.then(() => {
      for (const piece of this.#held) if (waiting.length < MOST_WAITING) waiting.push(piece);
    }, () => {});
    this.#mostHeld = delivered === undefined ? 0 : MOST_HELD;
  }

  /**
   * Where the next bytes go. The platform must have taken over what was in the piece before.
   *
   * @param length How many bytes are wanted at most; there may be fewer.
   */
  next(length: number): Uint8Array<ArrayBuffer> {
    // To give up our hold on memory at once is much cheaper than to leave it to the garbage collector.
    this.#passing?.transfer(0);
    this.#passing = undefined;
    if (length >= PIECE_BYTES && this.#held.length < this.#mostHeld) {
      const piece = waiting.pop() ?? uncleared(PIECE_BYTES);
      this.#held.push(piece);
      return piece;
    }
    const piece = uncleared(length);
    this.#passing = piece.buffer;
    return piece;
  }
}
