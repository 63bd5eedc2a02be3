/** How many bytes of a body are kept so that it can be sent once more. */
const KEPT_BYTES = 64 * 1024;
/** How much of a long body is read at once, bytes. */
const MOST_AT_ONCE = 256 * 1024;

/** A piece of a body. */
export type Piece = Uint8Array<ArrayBuffer>;

/** A request's body on its way to an app: it tells whether it moves, and whether it can still be sent from its start. */
export class Upload {
  readonly #reader: Reader;
  /** In bytes; `Infinity` when it is not known. */
  readonly length: number;
  /** What has come and may still have to be sent. */
  readonly #kept: Piece[] = [];
  #reading: Promise<void> | undefined;
  #attempt = 0;
  #moved = 0;
  #ended = false;

  /** @param length In bytes; `Infinity` when it is not known. */
  constructor(body: ReadableStream<Piece>, length: number) {
    this.#reader = readerOf(body, length);
    this.length = length;
  }

  /** How many bytes have come from the client. */
  get moved(): number {
    return this.#moved;
  }

  /** Whether the whole body has come. */
  get complete(): boolean {
    return this.#ended || this.#moved === this.length;
  }

  /** Whether all bytes that have come are still at hand. */
  get replayable(): boolean {
    return this.#moved <= KEPT_BYTES;
  }

  /** Whether it ends before anything of it has come. It rejects when the client breaks off. */
  async isEmpty(): Promise<boolean> {
    while (!this.#ended && this.#moved === 0) await (this.#reading ??= this.#read());
    return this.#moved === 0;
  }

  /** Ends the attempt to send it: what still comes is for the next one. */
  abandon(): void {
    this.#attempt++;
  }

  /**
   * Gives up what has not been sent: the request has had its answer. To be called before an answer's end: were that over
   * while the body is being read, the platform would neither go on with the client's connection nor ever close it.
   */
  readonly end = (): Promise<void> => {
    this.abandon();
    return this.#reader.cancel().catch(() => {}); // it may have broken off already
  };

  /**
   * Begins an attempt to send the body, from its start; the attempt before is over.
   *
   * @returns What gives the next piece, and `undefined` when there is none left. A piece is not to be changed, and holds
   * only until the next is asked for. It rejects when the client breaks off, and when the attempt is over.
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
      this.#moved += piece.length;
      this.#kept.push(this.replayable ? piece.slice() : piece);
    } finally {
      this.#reading = undefined;
    }
  }
}

/** Gives the pieces of a body; each holds until the next is asked for. */
interface Reader {
  read(): Promise<Piece | undefined>;
  cancel(): Promise<void>;
}

function readerOf(body: ReadableStream<Piece>, length: number): Reader {
  return length > KEPT_BYTES && sharingReader(body) || plainReader(body);
}

function plainReader(body: ReadableStream<Piece>): Reader {
  const reader = body.getReader();
  return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
}

/** A reader that uses the same memory again; `undefined` where the stream is of the wrong kind: it has come whole. */
function sharingReader(body: ReadableStream<Piece>): Reader | undefined {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
  let room = new Uint8Array(KEPT_BYTES);
  return {
    async read() {
      const { value, done } = await reader.read(room);
      if (done) return undefined;
      // The memory comes back with the piece; where all of it was used, more may be had at once.
      const isFull = value.length === value.buffer.byteLength && value.length === KEPT_BYTES;
      room = isFull ? new Uint8Array(MOST_AT_ONCE) : new Uint8Array(value.buffer);
      return value;
    },
    cancel: () => reader.cancel(),
  };
}
