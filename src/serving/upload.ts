/** How many bytes of a body are kept so that it can be sent once more. */
const KEPT_BYTES = 64 * 1024;

/** A request's body on its way to an app: it tells whether it moves, and whether it can still be sent from its start. */
export class Upload {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #length: number;
  /** What has come and may still have to be sent. */
  readonly #kept: Uint8Array<ArrayBuffer>[] = [];
  #reading: Promise<void> | undefined;
  #attempt = 0;
  #moved = 0;
  #ended = false;

  /** @param length In bytes; `Infinity` when it is not known. */
  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>, length: number) {
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

  /** Gives up what has not been sent: the request has had its answer. */
  readonly end = (): Promise<void> => {
    this.abandon();
    return this.#reader.cancel().catch(() => {}); // it may have broken off already
  };

  /** The body from its start, for one attempt to send it; the attempt before is over. */
  open(): Blob | ReadableStream<Uint8Array<ArrayBuffer>> {
    const attempt = ++this.#attempt;
    let at = 0;
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        // An earlier attempt may be waiting for the same piece.
        if (at === this.#kept.length) await (this.#reading ??= this.#read());
        if (attempt !== this.#attempt) throw new Error("The attempt to send the body is over");
        const chunk = this.#kept[at++];
        if (chunk === undefined) return controller.close();
        if (this.replayable) return controller.enqueue(chunk.slice());
        this.#kept.splice(0, at);
        at = 0;
        controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
    return this.#length === Infinity ? stream : new SizedBody(stream, this.#length);
  }

  async #read(): Promise<void> {
    const { value, done } = await this.#reader.read();
    this.#reading = undefined;
    this.#ended = done;
    if (value === undefined) return;
    this.#moved += value.length;
    this.#kept.push(this.replayable ? value.slice() : value);
  }
}

/** A stream whose length is known. `fetch` sends a Content-Length for a Blob, and chunks for anything else that streams. */
class SizedBody extends Blob {
  readonly #stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #length: number;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>, length: number) {
    super();
    this.#stream = stream;
    this.#length = length;
  }

  override get size(): number {
    return this.#length;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#stream;
  }
}
