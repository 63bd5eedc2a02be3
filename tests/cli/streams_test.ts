import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { eventsOf, linesOf } from "../../src/cli/streams.ts";

/** A body that arrives in these pieces. */
function bodyOf(...pieces: Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(pieces);
}

/** All items. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

Deno.test("lines are the same in whatever pieces they arrive", async () => {
  const bytes = new TextEncoder().encode("one\r\n\nzwölf €\nrest");
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
    const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    const pieces = at.slice(1).map((end, index) => bytes.slice(at[index], end));
    assertEquals(await all(linesOf(bodyOf(...pieces))), ["one", "", "zwölf €", "rest"]);
  }));
  assertEquals(await all(linesOf(bodyOf())), []);
});

Deno.test("events have a type and data, and malformed ones are skipped", async () => {
  const text = [
    ": cless\n\n",
    'id: 1\nevent: revision.ready\ndata: {"ms": 1}\n\n',
    ":\n\n",
    'data:{"a":\ndata: 2}\n\n',
    "event: broken\ndata: {\n\n",
    "event: number\ndata: 5\n\n",
    "retry\nevent: cut\ndata: {}\n",
  ].join("");
  assertEquals(await all(eventsOf(bodyOf(new TextEncoder().encode(text)))), [
    { type: "revision.ready", data: { ms: 1 } },
    { type: "message", data: { a: 2 } },
  ]);
});

Deno.test("a signal ends endless lines and events", async () => {
  const aborter = new AbortController();
  const body = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode("one\ntwo\nthr")) });
  const lines: string[] = [];
  for await (const line of linesOf(body, aborter.signal)) {
    lines.push(line);
    if (lines.length === 2) aborter.abort();
  }
  assertEquals(lines, ["one", "two"]);
  const events = new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode("data: {}\n\n")) });
  assertEquals(await all(eventsOf(events, AbortSignal.abort())), []);
});

Deno.test("lines come without their ends, wherever the pieces are cut", async () => {
  const pieces = ["on", "e\r\ntw", "o\n", "\nthree"].map((piece) => new TextEncoder().encode(piece));
  assertEquals(await all(linesOf(ReadableStream.from(pieces))), ["one", "two", "", "three"]);
});

Deno.test("a body that ends in the middle of a character shows that one is missing", async () => {
  const bytes = new TextEncoder().encode("one\n€").subarray(0, -1);
  assertEquals(await all(linesOf(ReadableStream.from([bytes]))), ["one", "\ufffd"]);
});

Deno.test("lines end with their signal, even if the body does not notice it", async () => {
  const aborter = new AbortController();
  const silent = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => new Promise(() => {}) });
  const reading = all(linesOf(silent, aborter.signal));
  aborter.abort();
  assertEquals(await reading, []);
});
