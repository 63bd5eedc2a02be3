import { concat } from "@std/bytes/concat";

/** Most of what is read at once is shorter. */
const ROOM_BYTES = 4096;

/**
 * The bytes of a stream as they come; each piece is valid until the next one is asked for. All of them go through one small
 * buffer: the platform takes 64 KB for each read otherwise, of which a stream that is read for long leaves many behind.
 *
 * @param signal Ends the pieces, without an error. The signal of a `fetch` is not enough for that: the platform loses its
 * hold on the body of the response with the next garbage collection.
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

/** Reads a stream to its end, or until the signal is aborted. */
export async function readWhole(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(stream, signal)) pieces.push(piece.slice());
  return concat(pieces);
}

/** The lines of a stream of UTF-8 as they come, without their ends; also a last line that has no end. */
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
 * Reads a text of one JSON value per line. It skips lines that are no JSON, or that lack one of the fields, such as the
 * warnings of a wrapper around the docker command.
 */
export function jsonLines<T>(text: string, ...fields: (keyof T & string)[]): T[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{") && !line.startsWith("[")) return [];
    try {
      const value = JSON.parse(line);
      return fields.every((field) => field in value) ? [value as T] : [];
    } catch {
      return [];
    }
  });
}
