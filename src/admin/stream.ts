import { messageOf } from "../errors.ts";
import { logger } from "../log.ts";

const log = logger("admin");
const encoder = new TextEncoder();

/**
 * A body that is made as it is read: the next piece is asked for when the last one has gone, and nothing before the first
 * is wanted.
 *
 * @param source Makes the pieces; the signal is aborted when nobody reads any more.
 */
export function streamOf(
  source: (signal: AbortSignal) => AsyncIterable<string>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const gone = new AbortController();
  let pieces: AsyncIterator<string> | undefined;
  return new ReadableStream({
    async pull(controller) {
      try {
        pieces ??= source(gone.signal)[Symbol.asyncIterator]();
        const { done, value } = await pieces.next();
        if (gone.signal.aborted) return;
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        if (gone.signal.aborted) return;
        log.warning("an answer of the API was cut", { reason: messageOf(error) });
        controller.error(error);
      }
    },
    cancel() {
      gone.abort();
      pieces?.return?.().catch(() => {}); // where it waits for something, the signal ends that
    },
  }, { highWaterMark: 0 });
}
