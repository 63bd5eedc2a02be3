import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("admin");
const encoder = new TextEncoder();

/** The header that asks proxies such as nginx not to buffer the answer. */
export const NO_BUFFERING = { "x-accel-buffering": "no" };

/** Gives the pieces of a body. The signal is aborted when the client has gone. */
export type Source = (signal: AbortSignal) => AsyncIterable<string>;

/**
 * A body that is made on demand, piece by piece. @param stopping Also aborts the source's signal, so that the body
 * ends.
 */
export function streamOf(source: Source, stopping?: AbortSignal): ReadableStream<Uint8Array<ArrayBuffer>> {
  const gone = new AbortController();
  const signal = stopping === undefined ? gone.signal : AbortSignal.any([gone.signal, stopping]);
  return readable(source(signal)[Symbol.asyncIterator](), gone);
}

/** Like {@linkcode streamOf}, but waits for the first piece, so that an error before it can become a status. */
export async function begunStreamOf(source: Source): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const gone = new AbortController();
  const pieces = source(gone.signal)[Symbol.asyncIterator]();
  return readable(pieces, gone, await pieces.next());
}

function readable(pieces: AsyncIterator<string>, gone: AbortController, first?: IteratorResult<string>) {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = first ?? await pieces.next();
        first = undefined;
        if (gone.signal.aborted) return;
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        if (gone.signal.aborted) return;
        log.warning("an answer of the API was cut off", { reason: messageOf(error) });
        controller.error(error);
      }
    },
    cancel() {
      gone.abort();
      // The signal ends a source that waits for something. This call ends one that waits for its reader.
      pieces.return?.().catch(() => {});
    },
  }, { highWaterMark: 0 });
}
