import { assertEquals } from "@std/assert";
import { linesOf } from "../../src/cli/lines.ts";

const encoder = new TextEncoder();

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  return await Array.fromAsync(lines);
}

Deno.test("lines come without their ends, however what arrives is cut up", async () => {
  const pieces = ["on", "e\r\ntw", "o\n", "\nthree"].map((piece) => encoder.encode(piece));
  assertEquals(await all(linesOf(ReadableStream.from(pieces))), ["one", "two", "", "three"]);
});

Deno.test("lines end with their signal, also where what they are read from does not notice", async () => {
  const aborter = new AbortController();
  const silent = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => new Promise(() => {}) });
  const reading = all(linesOf(silent, aborter.signal));
  aborter.abort();
  assertEquals(await reading, []);
});
