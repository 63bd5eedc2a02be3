/** The head of a frame: its stream, three zeros, and the length of what follows. */
const HEAD_BYTES = 8;

/** A part of what a container or a command has written to one of its streams. */
export interface FramePart {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/**
 * Separates the two streams that the engine sends as frames over one connection, without a terminal:
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach
 *
 * @param pieces The connection's bytes. A frame may come in several pieces, and is then several parts.
 */
export async function* framesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<FramePart, void, void> {
  const head = new Uint8Array(HEAD_BYTES);
  let headBytes = 0;
  let left = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      if (left === 0) {
        const taken = piece.subarray(at, at + HEAD_BYTES - headBytes);
        head.set(taken, headBytes);
        headBytes += taken.length;
        at += taken.length;
        if (headBytes < HEAD_BYTES) break;
        headBytes = 0;
        left = new DataView(head.buffer).getUint32(4);
        continue;
      }
      const bytes = piece.subarray(at, at + left);
      at += bytes.length;
      left -= bytes.length;
      yield { stream: head[0] === 2 ? "stderr" : "stdout", bytes };
    }
  }
}
