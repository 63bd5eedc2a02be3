import { assertEquals } from "@std/assert";
import { eventsOf } from "../../src/cli/streams.ts";
import { byteStreamOf } from "../support/byte_stream.ts";

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
  assertEquals(await Array.fromAsync(eventsOf(byteStreamOf([new TextEncoder().encode(text)]))), [
    { type: "revision.ready", data: { ms: 1 } },
    { type: "message", data: { a: 2 } },
  ]);
});

Deno.test("a signal ends endless events", async () => {
  const events = new ReadableStream({
    type: "bytes",
    start: (stream) => stream.enqueue(new TextEncoder().encode("data: {}\n\n")),
  });
  assertEquals(await Array.fromAsync(eventsOf(events, AbortSignal.abort())), []);
});
