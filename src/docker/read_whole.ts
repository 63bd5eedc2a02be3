import { concat } from "@std/bytes/concat";

/** Most of what a command says is shorter, bytes. */
const ROOM = 4096;

/** Reads a stream of bytes to its end, through one small piece of memory. */
export async function readWhole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader({ mode: "byob" });
  const pieces: Uint8Array[] = [];
  for (let room = new Uint8Array(ROOM);;) {
    const { done, value } = await reader.read(room);
    if (done) return concat(pieces);
    pieces.push(value.slice());
    room = new Uint8Array(value.buffer);
  }
}
