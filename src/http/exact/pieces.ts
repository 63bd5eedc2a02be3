import { Buffer } from "node:buffer";

/** How much of an answer passes in small pieces, which stay in the processor's caches, and how large they are, bytes. */
const SMALL_TOTAL = 2 * 1024 * 1024;
const SMALL_BYTES = 128 * 1024;

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

/** The pieces of memory through which one answer passes. None is used again by us: the platform may still be sending it. */
export class Pieces {
  #given = 0;
  #last: ArrayBuffer | undefined;

  /**
   * Where the next bytes go. The platform must have taken over what was in the piece before.
   *
   * @param length How many bytes are wanted at most; there may be fewer.
   */
  next(length: number): Uint8Array<ArrayBuffer> {
    // To give up our hold on memory at once is much cheaper than to leave it to the garbage collector.
    this.#last?.transfer(0);
    const piece = uncleared(this.#given < SMALL_TOTAL ? Math.min(length, SMALL_BYTES) : length);
    this.#given += piece.length;
    this.#last = piece.buffer;
    return piece;
  }
}
