/** A stream of bytes that arrives in these pieces, such as the body of an answer or the output of a process. */
export function byteStreamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  const left = pieces.filter(({ length }) => length > 0).map((piece) => piece.slice());
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const next = left.shift();
      if (next === undefined) {
        controller.close();
        controller.byobRequest?.respond(0);
      } else {
        controller.enqueue(next as Uint8Array<ArrayBuffer>);
      }
    },
  });
}
