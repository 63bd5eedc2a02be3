/** How many bytes of a body are kept so that it can be sent once more. */
const KEPT_BYTES = 64 * 1024;

/** A piece of a body. */
export type Piece = Uint8Array<ArrayBuffer>;

/** A request's body on its way to an app: it tells whether it moves, and whether it can still be sent from its start. */
export class Upload {
  readonly #reader: ReadableStreamDefaultReader<Piece>;
  readonly #length: number;
  /** What has come and may still have to be sent. */
  readonly #kept: Piece[] = [];
  #reading: Promise<void> | undefined;
  #attempt = 0;
  #moved = 0;
  #ended = false;

  /** @param length In bytes; `Infinity` when it is not known. */
  constructor(body: ReadableStream<Piece>, length: number) {
    this.#reader = body.getReader();
    this.#length = length;
  }

  /** How many bytes have come from the client. */
  get moved(): number {
    return this.#moved;
  }

  /** Whether the whole body has come. */
  get complete(): boolean {
    return this.#ended || this.#moved === this.#length;
  }

  /** Whether all bytes that have come are still at hand. */
  get replayable(): boolean {
    return this.#moved <= KEPT_BYTES;
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
   * @returns What gives the next piece, and `undefined` when there is none left. It rejects when the client breaks off,
   * and when the attempt is over. Only while the body is replayable must a piece be left as it is.
   */
  begin(): () => Promise<Piece | undefined> {
    const attempt = ++this.#attempt;
    let at = 0;
    return async () => {
      // An earlier attempt may be waiting for the same piece.
      if (at === this.#kept.length) await (this.#reading ??= this.#read());
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
      const { value, done } = await this.#reader.read();
      this.#ended = done;
      if (value === undefined) return;
      this.#moved += value.length;
      this.#kept.push(this.replayable ? value.slice() : value);
    } finally {
      this.#reading = undefined;
    }
  }
}
