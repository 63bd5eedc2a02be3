import { assertEquals, assertRejects } from "@std/assert";
import { readWhole } from "../../src/docker/output_pieces.ts";

Deno.test("a stream is read to its end, in the order in which it came", async () => {
  const sizes = [1, 4096, 0, 4097, 20_000, 3];
  const pieces = sizes.map((size, at) => new Uint8Array(size).fill(at + 1));
  const whole = await readWhole(streamOf(pieces));
  assertEquals(whole, new Uint8Array(pieces.flatMap((piece) => [...piece])));
});

Deno.test("an empty stream has no bytes", async () => {
  assertEquals(await readWhole(streamOf([])), new Uint8Array());
});

Deno.test("a stream that breaks off is told", async () => {
  const broken = new ReadableStream<Uint8Array>({ type: "bytes", pull: () => Promise.reject(new Error("broken off")) });
  await assertRejects(() => readWhole(broken), Error, "broken off");
});

/** As the platform has those of a process: of bytes. */
function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
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
