import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("admin");
const encoder = new TextEncoder();

/** The header that asks proxies such as nginx not to buffer the answer. */
export const NO_BUFFERING = { "x-accel-buffering": "no" };

/** A stream asks again after this time whether its reader may go on. */
const CHECK_MS = 10_000;

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

/**
 * A body that ends when its reader may not have it any more, since the token was revoked or the session has ended. It
 * asks before a piece, so that a silent stream costs nothing.
 */
export function whileAllowed(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  isAllowed: () => Promise<boolean>,
  clock: Pick<Clock, "now">,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let checkedAt = clock.now();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      if (clock.now() - checkedAt >= CHECK_MS) {
        checkedAt = clock.now();
        if (!await isAllowed()) {
          await reader.cancel();
          return controller.close();
        }
      }
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
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
