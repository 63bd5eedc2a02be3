import { assert, assertEquals } from "@std/assert";
import { messageOf } from "../../src/base/errors.ts";
import { packed, Unpacker } from "../../src/peers/pieces.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { Random } from "../support/random.ts";

const SIGN_OF_LIFE = [0, 0, 0, 0];

/** A stream that a test feeds, packed. */
function feed() {
  const clock = new FakeClock();
  const gone = new AbortController();
  let source!: ReadableStreamDefaultController<Uint8Array>;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => void (source = controller),
    cancel: () => void (isCancelled = true),
  });
  const options = { clock, gone, refusalOf: (error: unknown) => ({ reason: messageOf(error) }) };
  const reader = packed(Promise.resolve(stream), options).getReader();
  return { clock, gone, source, reader, isCancelled: () => isCancelled };
}

async function bytesOf(read: Promise<ReadableStreamReadResult<Uint8Array>>): Promise<number[]> {
  return [...(await read).value!];
}

/** Unpacks bytes that arrive in these parts. */
function unpack(unpacker: Unpacker, parts: readonly Uint8Array[]): number[] {
  return parts.flatMap((part) => {
    const bytes = part.slice();
    return [...bytes.subarray(0, unpacker.unpack(bytes))];
  });
}

Deno.test("a stream that is silent for minutes gives a sign of life each second, as long as somebody waits", async () => {
  const { clock, reader, source } = feed();
  for (let second = 0; second < 300; second++) {
    const next = bytesOf(reader.read());
    await clock.advance(1000);
    assertEquals(await next, SIGN_OF_LIFE);
  }
  const next = bytesOf(reader.read());
  source.enqueue(Uint8Array.of(7, 8));
  assertEquals(await next, [0, 0, 0, 2, 7, 8]);
  source.close();
  assert((await reader.read()).done);
  assertEquals(clock.timers, 0);
});

Deno.test("a reader that does not wait gets no signs of life, however long that takes", async () => {
  const { clock, reader, source } = feed();
  await clock.advance(600_000);
  source.enqueue(Uint8Array.of(7));
  assertEquals(await bytesOf(reader.read()), [0, 0, 0, 1, 7]);
  // It has waited once, and then reads no more: one sign of life lies there for it.
  const waiting = bytesOf(reader.read());
  await clock.advance(1000);
  assertEquals(await waiting, SIGN_OF_LIFE);
  await clock.advance(600_000);
  source.enqueue(Uint8Array.of(8));
  await settle();
  assertEquals(await bytesOf(reader.read()), SIGN_OF_LIFE);
  assertEquals(await bytesOf(reader.read()), [0, 0, 0, 1, 8]);
  await reader.cancel();
});

Deno.test("who leaves ends the stream, and no timer stays", async () => {
  const { clock, gone, isCancelled, reader } = feed();
  const next = reader.read();
  await settle();
  await reader.cancel();
  assert((await next).done);
  await settle();
  assert(gone.signal.aborted);
  assert(isCancelled());
  assertEquals(clock.timers, 0);
});

Deno.test("a failure is told after what came before it", async () => {
  const { clock, reader, source } = feed();
  source.enqueue(Uint8Array.of(7));
  const first = (await reader.read()).value!;
  source.error(new Error("the disk is full: ä"));
  const second = (await reader.read()).value!;
  assert((await reader.read()).done);
  assertEquals(clock.timers, 0);
  for (const cut of [1, 4, 6, second.length - 3]) {
    const unpacker = new Unpacker();
    assertEquals(unpack(unpacker, [first, second.subarray(0, cut), second.subarray(cut)]), [7]);
    assertEquals(JSON.parse(unpacker.reason!), { reason: "the disk is full: ä" });
  }
});

Deno.test("pieces are unpacked exactly, wherever they are cut, and a cut in the midst of one is noticed", () => {
  const random = new Random(11);
  for (let round = 0; round < 200; round++) {
    const pieces = Array.from(
      { length: random.between(1, 8) },
      () => random.bytes(random.pick([0, 0, 1, 3, 256, 5000])),
    );
    const sent = pieces.flatMap((piece) => [0, 0, piece.length >> 8, piece.length & 255, ...piece]);
    const wire = Uint8Array.from(sent);
    const cuts = [0, ...random.cuts(random.below(12), wire.length), wire.length];
    const unpacker = new Unpacker();
    const parts = cuts.slice(1).map((cut, at) => wire.subarray(cuts[at], cut));
    assertEquals(unpack(unpacker, parts), pieces.flatMap((piece) => [...piece]));
    assert(unpacker.isWhole);
    assertEquals(unpacker.reason, undefined);
    const short = new Unpacker();
    unpack(short, [wire.subarray(0, -1)]);
    assert(!short.isWhole);
  }
});
