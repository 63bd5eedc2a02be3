/** A body up to this size is kept, so that it can be sent again. */
const KEPT_BYTES = 64 * 1024;
/** How much of a long body is read at once. */
const MOST_BYTES_AT_ONCE = 256 * 1024;

/** A piece of a body. */
export type Piece = Uint8Array<ArrayBuffer>;

/** A request's body on its way to an app. It counts what arrives, and can be sent again while all of it is kept. */
export class Upload {
  readonly #reader: Reader;
  /** In bytes; `Infinity` if unknown. */
  readonly length: number;
  /** What has arrived and may have to be sent again. */
  readonly #kept: Piece[] = [];
  #reading: Promise<void> | undefined;
  #attempt = 0;
  #receivedBytes = 0;
  #ended = false;

  /** @param length In bytes; `Infinity` if unknown. */
  constructor(body: ReadableStream<Piece>, length: number) {
    this.#reader = readerOf(body, length);
    this.length = length;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get complete(): boolean {
    return this.#ended || this.#receivedBytes === this.length;
  }

  /** Whether everything that has arrived is still kept. */
  get replayable(): boolean {
    return this.#receivedBytes <= KEPT_BYTES;
  }

  /** Whether the body is empty, once its first byte or its end arrives. Rejects if the client breaks off. */
  async isEmpty(): Promise<boolean> {
    while (!this.#ended && this.#receivedBytes === 0) await (this.#reading ??= this.#read());
    return this.#receivedBytes === 0;
  }

  /** Ends the present attempt; what arrives later is for the next one. */
  abandon(): void {
    this.#attempt++;
  }

  /**
   * Drops the unsent rest. Must be called before the response ends: if a response ended during a read of the body, the
   * platform would neither reuse the client's connection nor close it.
   */
  readonly end = (): Promise<void> => {
    this.abandon();
    return this.#reader.cancel().catch(() => {}); // the client may have broken off already
  };

  /**
   * Begins an attempt to send the body from its start, and ends the one before.
   *
   * @returns Gives the next piece, or `undefined` at the end. A piece must not be changed, and is valid until the next
   * call. Rejects if the client breaks off, or another attempt has begun.
   */
  begin(): () => Promise<Piece | undefined> {
    const attempt = ++this.#attempt;
    let at = 0;
    return async () => {
      // An earlier attempt may be waiting for the same piece.
      if (at === this.#kept.length && !this.#ended) await (this.#reading ??= this.#read());
      if (attempt !== this.#attempt) throw new Error("The attempt to send the body is over");
      const piece = this.#kept[at++];
      if (piece === undefined || this.replayable) return piece;
      this.#kept.splice(0, at);
      at = 0;
      return piece;
    };
  }

  async #read(): Promise<void> {
    try {
      const piece = await this.#reader.read();
      this.#ended = piece === undefined;
      if (piece === undefined) return;
      this.#receivedBytes += piece.length;
      this.#kept.push(this.replayable ? piece.slice() : piece);
    } finally {
      this.#reading = undefined;
    }
  }
}

/** Reads a body piece by piece; each piece is valid until the next one is asked for. */
interface Reader {
  read(): Promise<Piece | undefined>;
  cancel(): Promise<void>;
}

function readerOf(body: ReadableStream<Piece>, length: number): Reader {
  if (length > KEPT_BYTES) {
    try {
      return sharingReader(body.getReader({ mode: "byob" }));
    } catch {
      // The platform has the whole body already.
    }
  }
  const reader = body.getReader();
  return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
}

/** Reuses its memory. */
function sharingReader(reader: ReadableStreamBYOBReader): Reader {
  let room = new Uint8Array(KEPT_BYTES);
  return {
    async read() {
      const { value, done } = await reader.read(room);
      if (done) return undefined;
      // The memory comes back with the piece. If all of it was filled, more may be read at once.
      const isFull = value.length === value.buffer.byteLength && value.length === KEPT_BYTES;
      room = isFull ? new Uint8Array(MOST_BYTES_AT_ONCE) : new Uint8Array(value.buffer);
      return value;
    },
    cancel: () => reader.cancel(),
  };
}
