/** Most reads are shorter. */
const ROOM_BYTES = 4096;

/**
 * The bytes of a stream as they come; each piece is valid until the next one is requested. All pass through one small
 * buffer: otherwise the platform takes 64 KB for each read, and long-lived streams leave many such buffers behind.
 *
 * @param signal Ends the pieces without an error. A `fetch`'s signal is not enough: after a garbage collection the
 * platform no longer connects it with the response's body.
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
    await reader.cancel().catch(() => {}); // it has failed already, and that was reported
  }
}

/** Reads a UTF-8 stream to its end, or until the signal is aborted. */
export async function readText(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of piecesOf(stream, signal)) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/** The lines of a UTF-8 stream as they come, without their ends; a last line without an end counts. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of piecesOf(stream, signal)) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}

/**
 * Reads one JSON value per line. Skips lines that are not JSON or lack one of the fields, such as warnings of a wrapper
 * around the docker command.
 *
 * @param read Makes something of a value, or `undefined` to skip it.
 */
export function jsonLines<T, R>(
  text: string,
  read: (value: T) => R | undefined,
  ...fields: (keyof T & string)[]
): R[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{") && !line.startsWith("[")) return [];
    let value;
    try {
      value = JSON.parse(line);
    } catch {
      return [];
    }
    const result = fields.every((field) => field in value) ? read(value) : undefined;
    return result === undefined ? [] : [result];
  });
}
