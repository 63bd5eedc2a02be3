import { concat } from "@std/bytes/concat";

/** Most of what a command says at once is shorter, bytes. */
const ROOM = 4096;

/**
 * What a command writes, as it comes; each piece holds until the next is asked for. All go through one small piece of
 * memory: the platform itself takes 64 KB for each read, and what listens for long would leave many behind.
 */
export async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader({ mode: "byob" });
  try {
    for (let room = new Uint8Array(ROOM);;) {
      const { done, value } = await reader.read(room);
      if (done) return;
      yield value;
      room = new Uint8Array(value.buffer);
    }
  } finally {
    await reader.cancel().catch(() => {}); // it has failed already, and that was told
  }
}

/** Reads what a command writes to its end. */
export async function readWhole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(stream)) pieces.push(piece.slice());
  return concat(pieces);
}
