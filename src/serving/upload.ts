/** How many bytes of a body are kept so that it can be sent once more. */
const KEPT_BYTES = 64 * 1024;

/** A request's body on its way to an app: it tells whether it moves, and whether it can still be sent from its start. */
export class Upload {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #length: number;
  readonly #kept: Uint8Array<ArrayBuffer>[] = [];
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

  /** Whether all bytes that have come are still at hand. */
  get replayable(): boolean {
    return this.#moved <= KEPT_BYTES;
  }

  /** The body from its start, for one attempt to send it; the attempt before must have ended. */
  open(): Blob | ReadableStream<Uint8Array<ArrayBuffer>> {
    let at = 0;
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        const kept = this.#kept[at];
        const chunk = kept ?? await this.#read();
        at++;
        if (chunk === undefined) controller.close();
        else controller.enqueue(kept === undefined ? chunk : chunk.slice());
      },
    }, { highWaterMark: 0 });
    return this.#length === Infinity ? stream : new SizedBody(stream, this.#length);
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#ended) return undefined;
    const { value, done } = await this.#reader.read();
    this.#ended = done;
    if (value === undefined) return undefined;
    this.#moved += value.length;
    if (this.replayable) this.#kept.push(value.slice());
    else this.#kept.length = 0;
    return value;
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
