import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { linesOf, readText } from "../../src/base/streams.ts";
import { byteStreamOf } from "../support/byte_stream.ts";

Deno.test("a stream is read to its end, in the order in which it came", async () => {
  const sizes = [1, 4096, 0, 4097, 20_000, 3];
  const pieces = sizes.map((size, at) => new TextEncoder().encode(`${at}`.repeat(size)));
  const euro = [[0xe2], [0x82, 0xac]].map((bytes) => new Uint8Array(bytes)); // one character in two pieces
  const expected = sizes.map((size, at) => `${at}`.repeat(size)).join("") + "€";
  assertEquals(await readText(byteStreamOf([...pieces, ...euro])), expected);
});

Deno.test("an empty stream has no bytes", async () => {
  assertEquals(await readText(byteStreamOf([])), "");
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
    assertEquals(await Array.fromAsync(linesOf(byteStreamOf(pieces))), expected);
  }
});

Deno.test("lines are the same in whatever pieces they arrive", async () => {
  const bytes = new TextEncoder().encode("one\r\n\nzwölf €\nrest");
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
    const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    const pieces = at.slice(1).map((end, index) => bytes.slice(at[index], end));
    assertEquals(await Array.fromAsync(linesOf(byteStreamOf(pieces))), ["one", "", "zwölf €", "rest"]);
  }));
  assertEquals(await Array.fromAsync(linesOf(byteStreamOf([]))), []);
});

Deno.test("a signal ends endless lines", async () => {
  const aborter = new AbortController();
  const body = new ReadableStream({
    type: "bytes",
    start: (stream) => stream.enqueue(new TextEncoder().encode("one\ntwo\nthr")),
  });
  const lines: string[] = [];
  for await (const line of linesOf(body, aborter.signal)) {
    lines.push(line);
    if (lines.length === 2) aborter.abort();
  }
  assertEquals(lines, ["one", "two"]);
});

Deno.test("lines come without their ends, wherever the pieces are cut", async () => {
  const pieces = ["on", "e\r\ntw", "o\n", "\nthree"].map((piece) => new TextEncoder().encode(piece));
  assertEquals(await Array.fromAsync(linesOf(byteStreamOf(pieces))), ["one", "two", "", "three"]);
});

Deno.test("a stream that ends in the middle of a character shows that one is missing", async () => {
  const bytes = new TextEncoder().encode("one\n€").subarray(0, -1);
  assertEquals(await Array.fromAsync(linesOf(byteStreamOf([bytes]))), ["one", "\ufffd"]);
});

Deno.test("lines end with their signal, even if the stream does not notice it", async () => {
  const aborter = new AbortController();
  const silent = new ReadableStream({ type: "bytes", cancel: () => new Promise(() => {}) });
  const reading = Array.fromAsync(linesOf(silent, aborter.signal));
  aborter.abort();
  assertEquals(await reading, []);
});
