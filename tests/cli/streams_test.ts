import { assertEquals, assertRejects } from "@std/assert";
import { eventsOf, untilInterrupted } from "../../src/cli/streams.ts";
import { byteStreamOf } from "../support/byte_stream.ts";

Deno.test("events have an id, a type and data, and malformed ones are skipped", async () => {
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
    { id: "1", type: "revision.ready", data: { ms: 1 } },
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

Deno.test("at the end of a command, whether it succeeds or fails, what it has open is closed", async () => {
  let given: AbortSignal | undefined;
  const run = (outcome: () => number) =>
    untilInterrupted(async (signal) => {
      given = signal;
      assertEquals(signal.aborted, false);
      return await Promise.resolve(outcome());
    });
  assertEquals([await run(() => 3), given?.aborted], [3, true]);
  await assertRejects(() =>
    run(() => {
      throw new RangeError("no");
    }), RangeError);
  assertEquals(given?.aborted, true);
});
