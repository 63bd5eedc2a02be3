import { assertEquals, assertRejects } from "@std/assert";
import { jsonLines, linesOf, readText } from "../../src/docker/output.ts";

Deno.test("a stream is read to its end, in the order in which it came", async () => {
  const sizes = [1, 4096, 0, 4097, 20_000, 3];
  const pieces = sizes.map((size, at) => new TextEncoder().encode(`${at}`.repeat(size)));
  const euro = [[0xe2], [0x82, 0xac]].map((bytes) => new Uint8Array(bytes)); // one character in two pieces
  const expected = sizes.map((size, at) => `${at}`.repeat(size)).join("") + "€";
  assertEquals(await readText(streamOf([...pieces, ...euro])), expected);
});

Deno.test("an empty stream has no bytes", async () => {
  assertEquals(await readText(streamOf([])), "");
});

Deno.test("a stream that breaks off is an error", async () => {
  const broken = new ReadableStream<Uint8Array>({ type: "bytes", pull: () => Promise.reject(new Error("broken off")) });
  await assertRejects(() => readText(broken), Error, "broken off");
});

Deno.test("lines come without their ends, however their bytes are cut, also the last one without an end", async () => {
  const bytes = new TextEncoder().encode("one\ntwö\r\n\nlast 🦕");
  const expected = ["one", "twö", "", "last 🦕"];
  for (const size of [1, 2, 3, 100]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, n) => bytes.slice(n * size, (n + 1) * size),
    );
    assertEquals(await Array.fromAsync(linesOf(streamOf(pieces))), expected);
  }
});

Deno.test("only the lines of JSON in an output are read", () => {
  const same = (value: unknown) => value;
  assertEquals(
    jsonLines('WARNING: {"not": "json"}\n{"a":1}\n\n[{"b":2}]\n{broken\nWARNING: x\n"text"\nnull\n 3\n{"c":3}', same),
    [{ a: 1 }, [{ b: 2 }], { c: 3 }],
  );
  assertEquals(jsonLines('{"a":1}\r\n{"b":2}\r\n', same), [{ a: 1 }, { b: 2 }]);
  assertEquals(jsonLines("", same), []);
  assertEquals(jsonLines('{"level":"warn"}\n{"id":"a"}', ({ id }: { id: string }) => id, "id"), ["a"]);
  assertEquals(jsonLines('{"id":1}\n{"id":2}', ({ id }: { id: number }) => id === 1 ? undefined : id), [2]);
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
