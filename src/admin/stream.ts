import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("admin");
const encoder = new TextEncoder();

/** Asks proxies of the kind of nginx to pass on what is there, and not to wait for more. */
export const NOT_HELD_BACK = { "x-accel-buffering": "no" };

/** Makes the pieces of a body; the signal is aborted when nobody reads any more. */
export type Source = (signal: AbortSignal) => AsyncIterable<string>;

/**
 * A body that is made as it is read: the next piece is asked for when the last one has gone, and the first not before.
 *
 * @param stopping Aborts the source's signal too, so that the body ends.
 */
export function streamOf(source: Source, stopping?: AbortSignal): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(new PulledSource(source, stopping), { highWaterMark: 0 });
}

/**
 * As {@linkcode streamOf}, but the first piece is there already.
 *
 * @throws Where that cannot be made, so that an answer can still say why.
 */
export async function begunStreamOf(source: Source): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const pulled = new PulledSource(source);
  await pulled.begin();
  return new ReadableStream(pulled, { highWaterMark: 0 });
}

class PulledSource implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  readonly #gone = new AbortController();
  readonly #source: Source;
  #pieces: AsyncIterator<string> | undefined;
  #first: IteratorResult<string> | undefined;
  readonly #stopping: AbortSignal[];

  constructor(source: Source, stopping?: AbortSignal) {
    this.#source = source;
    this.#stopping = stopping === undefined ? [] : [stopping];
  }

  async begin(): Promise<void> {
    this.#first = await this.#next();
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const { signal } = this.#gone;
    try {
      const { done, value } = await this.#next();
      if (signal.aborted) return;
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    } catch (error) {
      if (signal.aborted) return;
      log.warning("an answer of the API was cut", { reason: messageOf(error) });
      controller.error(error);
    }
  }

  cancel(): void {
    this.#gone.abort();
    // Where it waits for something, the signal ends that; where it waits to be asked, this does.
    this.#pieces?.return?.().catch(() => {});
  }

  #next(): Promise<IteratorResult<string>> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return Promise.resolve(first);
    this.#pieces ??= this.#source(AbortSignal.any([this.#gone.signal, ...this.#stopping]))[Symbol.asyncIterator]();
    return this.#pieces.next();
  }
}
