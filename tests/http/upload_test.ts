import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { StreamBudget } from "../../src/http/stream_budget.ts";
import { type Piece, Upload, UploadPauses } from "../../src/http/upload.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

type Kind = "bytes" | undefined;

const MB = 1024 * 1024;

/** A client's body that a test sends piece by piece. @param type The kind of stream. */
function source(type: Kind) {
  let controller!: ReadableByteStreamController;
  const start = (given: unknown) => void (controller = given as ReadableByteStreamController);
  const body = new ReadableStream<Piece>({ type, start } as UnderlyingSource<Piece>);
  return {
    body,
    controller,
    close: () => {
      controller.close();
      controller.byobRequest?.respond(0); // otherwise a pending read does not end
    },
  };
}

/**
 * A client's body that has always more to give.
 *
 * @param size How many bytes the next read gives, at most as many as there is room for; 0 ends the body.
 * @param fill Writes them; they are zeros without it.
 */
function endless(type: Kind, size: (room: number) => number, fill: (view: Uint8Array) => void = () => {}) {
  const pulled: number[] = [];
  let controller!: ReadableByteStreamController;
  const pull = (given: unknown) => {
    controller = given as ReadableByteStreamController;
    const view = controller.byobRequest?.view;
    const count = size(view?.byteLength ?? 65_536);
    if (count === 0) controller.close();
    pulled.push(count);
    if (view) {
      fill(new Uint8Array(view.buffer, view.byteOffset, count));
      controller.byobRequest!.respond(count);
    } else if (count > 0) {
      const piece = new Uint8Array(count);
      fill(piece);
      controller.enqueue(piece);
    }
  };
  const body = new ReadableStream<Piece>({ type, pull } as UnderlyingSource<Piece>, { highWaterMark: 0 });
  return { body, pulled, controller: () => controller };
}

/** @param length In bytes; `Infinity` if unknown. */
function uploadOf(body: ReadableStream<Piece>, length: number): Upload {
  return new Upload(body, length, new UploadPauses(systemClock));
}

/** A test with both kinds of body that the platform gives: a byte stream, or another stream if the body is complete. */
function uploadTest(name: string, fn: (type: Kind) => Promise<void>): void {
  Deno.test(name, () => fn("bytes"));
  Deno.test(`${name}, with a body that is not a byte stream`, () => fn(undefined));
}

function bytes(text: string): Piece {
  return new TextEncoder().encode(text);
}

/** The rest of the body. */
async function text(next: () => Promise<Piece | undefined>): Promise<string> {
  let whole = "";
  for (let piece = await next(); piece !== undefined; piece = await next()) whole += new TextDecoder().decode(piece);
  return whole;
}

uploadTest("a body is not read before its first piece is asked for", async (type) => {
  for (const length of [1_000_000, Infinity]) {
    const { body, pulled } = endless(type, () => 1);
    const upload = uploadOf(body, length);
    const next = upload.begin();
    await settle();
    assertEquals([pulled.length, upload.receivedBytes], [0, 0]);
    await next();
    assert(upload.receivedBytes > 0);
    // Only a byte stream of unknown length is read ahead.
    const most = type === "bytes" && length === Infinity ? 16 * 1024 : 1;
    assert(pulled.length <= most, `${pulled.length} reads`);
  }
});

Deno.test("a body of unknown length is read ahead, and read on only when all of that has been taken", async () => {
  const { body, pulled } = endless("bytes", (room) => room);
  const upload = uploadOf(body, Infinity);
  const next = upload.begin();
  let taken = 0;
  let bursts = 0;
  for (let reads = 0; taken < 8 * MB;) {
    taken += (await next())!.length;
    await settle();
    if (pulled.length === reads) continue;
    reads = pulled.length;
    bursts++;
    const ahead = pulled.reduce((sum, bytes) => sum + bytes, 0) - taken;
    // One read may go on after a burst.
    assert(ahead <= MB + 128 * 1024, `${ahead} bytes were read ahead`);
  }
  assert(bursts < 16, `${bursts} bursts`);
});

Deno.test("all uploads of unknown length pause together after so many reads", async () => {
  const clock = new FakeClock();
  const pauses = new UploadPauses(clock);
  const sources = [1, 2].map(() => endless("bytes", (room) => room));
  const uploads = sources.map(({ body }) => new Upload(body, Infinity, pauses).begin());
  const reads = () => sources.reduce((sum, { pulled }) => sum + pulled.length, 0);
  for (let pause = 0, before = 0; pause < 3; pause++) {
    const waiting = await Promise.all(uploads.map(async (next) => {
      for (;;) {
        let arrived = false;
        const piece = next().then(() => void (arrived = true));
        for (let turn = 0; turn < 10 && !arrived; turn++) await settle();
        if (!arrived) return { piece };
      }
    }));
    // Both may be in a burst when a pause is due.
    assert(reads() - before >= 256 && reads() - before <= 3 * 257, `${reads() - before} reads`);
    before = reads();
    await clock.advance(1);
    await Promise.all(waiting.map(({ piece }) => piece));
  }
});

Deno.test("a body of unknown length is read in windows that fit its chunks, and that stay small", async () => {
  for (const [chunk, largest] of [[100, 1040], [1024, 1040], [2048, 2064], [4096, 4112], [65_536, 4112]] as const) {
    const windows = new Set<number>();
    let left: number = chunk;
    // Like the platform: the line with the size comes out of the same window, and a read ends with its chunk.
    const { body } = endless("bytes", (room) => {
      windows.add(room);
      const given = Math.min(left, left === chunk ? room - 8 : room);
      left = left === given ? chunk : left - given;
      return given;
    });
    const next = uploadOf(body, Infinity).begin();
    for (let taken = 0; taken < MB;) taken += (await next())!.length;
    assertEquals(Math.max(...windows), largest, `chunks of ${chunk} bytes`);
  }
});

Deno.test("what has arrived of a body of unknown length is not held back until more comes", async () => {
  const { body, controller } = source("bytes");
  const next = uploadOf(body, Infinity).begin();
  for (const piece of ["one", "two", "x".repeat(100_000)]) {
    controller.enqueue(bytes(piece));
    let got = "";
    while (got.length < piece.length) got += new TextDecoder().decode(await next());
    assertEquals(got, piece);
  }
});

uploadTest("what arrives before a client breaks off is passed on", async (type) => {
  const { body, controller, pulled } = endless(type, (room) => Math.min(room, 4096));
  const next = uploadOf(body, Infinity).begin();
  let taken = 0;
  while (taken < 200_000) taken += (await next())!.length;
  await settle();
  controller().error(new Error("gone"));
  const before = pulled.reduce((sum, bytes) => sum + bytes, 0);
  const failed = await assertRejects(async () => {
    for (;;) taken += (await next())!.length;
  });
  assertEquals((failed as Error).message, "gone");
  // What is still in the stream itself is lost with it: one piece at most.
  assert(before - taken <= 4112, `${before - taken} bytes are missing`);
});

uploadTest("a long body of unknown length arrives whole and in order", async (type) => {
  let given = 0;
  const { body } = endless(type, (room) => Math.min(room, 1 + given % 5000, 3 * MB - given), (view) => {
    for (let at = 0; at < view.length; at++) view[at] = (given + at) % 251;
    given += view.length;
  });
  const next = uploadOf(body, Infinity).begin();
  let at = 0;
  for (let piece = await next(); piece !== undefined; piece = await next()) {
    for (const byte of piece) if (byte !== at++ % 251) throw new Error(`Wrong byte at ${at - 1}`);
    if (at % 3 === 0) await settle();
  }
  assertEquals(at, 3 * MB);
});

Deno.test("a body whose first piece is empty is not taken for an empty body", async () => {
  const { body, controller, close } = source(undefined);
  const upload = uploadOf(body, Infinity);
  const isEmpty = upload.isEmpty();
  controller.enqueue(bytes(""));
  await settle();
  controller.enqueue(bytes("x"));
  assertEquals(await isEmpty, false);
  close();
  assertEquals(await text(upload.begin()), "x");
});

uploadTest("a body of known length is complete at its last byte, any other one at its end", async (type) => {
  for (const length of [6, Infinity]) {
    const { body, controller, close } = source(type);
    const upload = uploadOf(body, length);
    const next = upload.begin();
    for (const piece of ["one", "two"]) {
      assert(!upload.complete);
      controller.enqueue(bytes(piece));
      await next();
    }
    assertEquals(upload.complete, length === 6);
    close();
    assertEquals(await next(), undefined);
    assert(upload.complete);
  }
});

uploadTest("a small body is sent again from its start", async (type) => {
  const { body, controller, close } = source(type);
  const upload = uploadOf(body, Infinity);
  controller.enqueue(bytes("one "));
  controller.enqueue(bytes("two"));
  close();
  assertEquals(await text(upload.begin()), "one two");
  assert(upload.replayable);
  assertEquals(await text(upload.begin()), "one two");
});

uploadTest("a body that was sent in part is sent again from its start and to its end", async (type) => {
  const { body, controller, close } = source(type);
  const upload = uploadOf(body, Infinity);
  controller.enqueue(bytes("one "));
  await upload.begin()();
  upload.abandon();
  controller.enqueue(bytes("two"));
  close();
  assertEquals(await text(upload.begin()), "one two");
});

uploadTest("a piece that the first attempt was waiting for is not lost to the second", async (type) => {
  const { body, controller, close } = source(type);
  const upload = uploadOf(body, Infinity);
  const first = upload.begin();
  const waiting = assertRejects(first, Error, "is over");
  await settle();
  const second = text(upload.begin());
  await settle();
  for (const piece of ["one ", "two ", "three"]) {
    controller.enqueue(bytes(piece));
    await settle();
  }
  close();
  assertEquals(await second, "one two three");
  await waiting;
});

uploadTest(
  "a piece too large to be kept that the first attempt was waiting for is not lost to the second",
  async (type) => {
    const { body, controller, close } = source(type);
    const upload = uploadOf(body, Infinity);
    const first = upload.begin();
    controller.enqueue(bytes("one "));
    await first();
    const waiting = assertRejects(first, Error, "is over");
    await settle();
    const second = upload.begin();
    const large = "x".repeat(70_000);
    controller.enqueue(bytes(large));
    await settle();
    controller.enqueue(bytes(" end"));
    close();
    assertEquals(await text(second), `one ${large} end`);
    await waiting;
  },
);

uploadTest("an attempt that is over gives no more pieces", async (type) => {
  for (const finish of [(upload: Upload) => upload.abandon(), (upload: Upload) => void upload.begin()]) {
    const { body, controller } = source(type);
    const upload = uploadOf(body, Infinity);
    const next = upload.begin();
    controller.enqueue(bytes("one"));
    await next();
    finish(upload);
    const late = assertRejects(next, Error, "is over");
    controller.enqueue(bytes("two"));
    await late;
  }
});

uploadTest("a body beyond 64 KB cannot be sent again", async (type) => {
  const { body, controller } = source(type);
  const upload = uploadOf(body, Infinity);
  const next = upload.begin();
  controller.enqueue(new Uint8Array(64 * 1024));
  await next();
  assert(upload.replayable);
  controller.enqueue(new Uint8Array(1));
  await next();
  assert(!upload.replayable);
  assertEquals(upload.receivedBytes, 64 * 1024 + 1);
});

uploadTest("an attempt rejects if the client breaks off", async (type) => {
  const { body, controller } = source(type);
  const next = uploadOf(body, 10).begin();
  controller.enqueue(bytes("one"));
  await next();
  controller.error(new Error("gone"));
  await assertRejects(next, Error, "gone");
});

uploadTest("a piece that arrives between two attempts is not lost", async (type) => {
  const { body, controller, close } = source(type);
  const upload = uploadOf(body, Infinity);
  const first = upload.begin();
  controller.enqueue(bytes("one "));
  await first();
  const waiting = assertRejects(first, Error, "is over");
  await settle();
  upload.abandon();
  const large = "x".repeat(70_000);
  controller.enqueue(bytes(large));
  close();
  await settle();
  assertEquals(await text(upload.begin()), `one ${large}`);
  await waiting;
});

/** A body whose client has sent nothing yet, and an upload of it that waits for the first piece. */
function waitingUpload(type: Kind) {
  const clock = new FakeClock();
  const seen = { cancelled: 0, ended: false };
  let controller!: ReadableByteStreamController;
  const start = (given: unknown) => void (controller = given as ReadableByteStreamController);
  const body = new ReadableStream<Piece>(
    { type, start, cancel: () => void seen.cancelled++ } as UnderlyingSource<Piece>,
  );
  const upload = new Upload(body, Infinity, new UploadPauses(clock));
  const attempt = assertRejects(upload.begin(), Error, "is over");
  const end = () => upload.end().then(() => void (seen.ended = true));
  return { attempt, clock, controller, end, seen, upload };
}

uploadTest("an upload that ends while a piece is awaited takes that piece before it cancels the body", async (type) => {
  const { attempt, clock, controller, end, seen } = waitingUpload(type);
  await settle();
  const ending = end();
  await clock.advance(99);
  assertEquals(seen, { cancelled: 0, ended: false });
  controller.enqueue(bytes("x"));
  await ending;
  await attempt;
  assertEquals([seen.cancelled, clock.timers], [1, 0]);
});

uploadTest(
  "if the awaited piece does not come, the body is read and dropped to its end, and not cancelled",
  async (type) => {
    for (const how of ["end", "discard"] as const) {
      const { attempt, clock, controller, end, seen, upload } = waitingUpload(type);
      await settle();
      if (how === "discard") upload.discard();
      const ending = end();
      if (how === "end") await clock.advance(100);
      await ending;
      assertEquals(clock.timers, 0);
      for (let piece = 0; piece < 500; piece++) {
        controller.enqueue(new Uint8Array(5000));
        await clock.advance(1);
      }
      await attempt;
      await clock.advance(1);
      assertEquals([controller.desiredSize! >= 0, seen.cancelled], [true, 0], how);
      controller.error(new Error("gone"));
      await upload.end();
    }
  },
);

Deno.test("a body that is dropped counts in the budget until its client has gone, and its pieces are read without a pause", async () => {
  for (const length of [MB, Infinity]) {
    const clock = new FakeClock();
    const budget = new StreamBudget(64 * MB);
    const first = Promise.withResolvers<void>();
    let pieces = 0;
    const pull = async (controller: ReadableByteStreamController) => {
      await first.promise;
      if (++pieces > 5000) return controller.error(new Error("gone"));
      new Uint8Array(controller.byobRequest!.view!.buffer)[0] = 1;
      controller.byobRequest!.respond(1);
    };
    const body = new ReadableStream<Piece>({ type: "bytes", pull } as UnderlyingSource<Piece>, { highWaterMark: 0 });
    const upload = new Upload(body, length, new UploadPauses(clock, budget));
    const attempt = assertRejects(upload.begin(), Error, "over");
    await settle();
    upload.discard();
    await attempt;
    assert(budget.usedBytes > 0 && budget.usedBytes <= 64 * 1024, `${budget.usedBytes}`);
    first.resolve();
    // Where a read has had to wait, it may pause; the clock stands still, so it would not go on.
    for (let turn = 0; turn < 10 && pieces <= 5000; turn++) await settle();
    assertEquals([pieces, budget.usedBytes], [5001, 0]);
  }
});

uploadTest("a body that nobody reads is cancelled at the end, also if the client has broken off", async (type) => {
  let cancelled = 0;
  const body = new ReadableStream<Piece>({ type, cancel: () => void cancelled++ } as UnderlyingSource<Piece>);
  const upload = uploadOf(body, Infinity);
  await upload.end();
  await upload.end();
  assertEquals(cancelled, 1);
  await assertRejects(upload.begin(), Error, "over");
  const { body: broken, controller } = source(type);
  controller.error(new Error("gone"));
  await uploadOf(broken, Infinity).end();
});

Deno.test("a long upload gives its memory back when it ends, whether it was read to its end, broken off or cancelled", async () => {
  for (const length of [MB, Infinity]) {
    for (const how of ["whole", "broken off", "cancelled"] as const) {
      const budget = new StreamBudget(64 * MB);
      let left = MB;
      const { body, controller } = endless("bytes", (room) => {
        const count = Math.min(room, left);
        left -= count;
        return count;
      });
      const upload = new Upload(body, length, new UploadPauses(systemClock, budget));
      const next = upload.begin();
      for (let piece = 0; piece < 5; piece++) await next();
      assert(budget.usedBytes > 0);
      if (how === "whole") await text(next);
      if (how === "broken off") {
        controller().error(new Error("gone"));
        await assertRejects(() => text(next), Error, "gone");
      }
      await upload.end();
      assertEquals(budget.usedBytes, 0, `${length} bytes, ${how}`);
    }
  }
});
