/** The size of the buffer. Most reads are shorter. */
const ROOM_BYTES = 4096;

/**
 * The bytes of a stream as they come. Each piece is valid until the next one is requested. All pass through one small
 * buffer: otherwise the platform allocates 64 KB for each read, which adds up with many long-lived streams.
 *
 * @param signal Ends the iteration without an error. The signal given to `fetch` is not enough: after a garbage
 * collection, it no longer affects the response's body.
 */
export async function* piecesOf(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader({ mode: "byob" });
  const cancel = () => void reader.cancel().catch(() => {});
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for (let room = new Uint8Array(ROOM_BYTES);;) {
      const { done, value } = await reader.read(room);
      if (done) return;
      yield value;
      room = new Uint8Array(value.buffer);
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    await reader.cancel().catch(() => {}); // it has failed already, which was reported
  }
}

/** Reads at most so many bytes from the beginning of a stream, and drops the rest. */
export async function firstBytes(stream: ReadableStream<Uint8Array>, bytes: number): Promise<Uint8Array> {
  const first = new Uint8Array(bytes);
  let filled = 0;
  for await (const piece of piecesOf(stream)) {
    const taken = piece.subarray(0, bytes - filled);
    first.set(taken, filled);
    filled += taken.length;
    if (filled === bytes) break;
  }
  return first.subarray(0, filled);
}

/** Reads a UTF-8 stream to its end, or until the signal is aborted. */
export async function readText(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of piecesOf(stream, signal)) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/**
 * The lines of a UTF-8 stream as they come, without line ends. The last line may lack its end.
 *
 * @param signal Ends the iteration without an error, and without a line that is not complete yet.
 */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const piece of piecesOf(stream, signal)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield line.replace(/\r$/, "");
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  rest += decoder.decode();
  if (rest !== "" && !signal?.aborted) yield rest;
}
