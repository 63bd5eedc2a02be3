import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Piece, Upload } from "../../src/http/upload.ts";
import { settle } from "../support/fake_clock.ts";

type Kind = "bytes" | undefined;

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
  let pulls = 0;
  const body = new ReadableStream<Piece>({
    type,
    pull: (controller: ReadableStreamDefaultController<Piece>) => {
      pulls++;
      controller.enqueue(bytes("x"));
    },
  } as UnderlyingSource<Piece>, { highWaterMark: 0 });
  const upload = new Upload(body, Infinity);
  const next = upload.begin();
  await settle();
  assertEquals([pulls, upload.receivedBytes], [0, 0]);
  await next();
  assertEquals([pulls, upload.receivedBytes], [1, 1]);
});

Deno.test("a body is not empty because its first piece is", async () => {
  const { body, controller, close } = source(undefined);
  const upload = new Upload(body, Infinity);
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
    const upload = new Upload(body, length);
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
  const upload = new Upload(body, Infinity);
  controller.enqueue(bytes("one "));
  controller.enqueue(bytes("two"));
  close();
  assertEquals(await text(upload.begin()), "one two");
  assert(upload.replayable);
  assertEquals(await text(upload.begin()), "one two");
});

uploadTest("a body that was sent in part is sent again from its start and to its end", async (type) => {
  const { body, controller, close } = source(type);
  const upload = new Upload(body, Infinity);
  controller.enqueue(bytes("one "));
  await upload.begin()();
  upload.abandon();
  controller.enqueue(bytes("two"));
  close();
  assertEquals(await text(upload.begin()), "one two");
});

uploadTest("a piece that the first attempt was waiting for is not lost to the second", async (type) => {
  const { body, controller, close } = source(type);
  const upload = new Upload(body, Infinity);
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
    const upload = new Upload(body, Infinity);
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
    const upload = new Upload(body, Infinity);
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
  const upload = new Upload(body, Infinity);
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
  const next = new Upload(body, 10).begin();
  controller.enqueue(bytes("one"));
  await next();
  controller.error(new Error("gone"));
  await assertRejects(next, Error, "gone");
});

uploadTest("a piece that arrives between two attempts is not lost", async (type) => {
  const { body, controller, close } = source(type);
  const upload = new Upload(body, Infinity);
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

uploadTest(
  "an upload can be ended while a piece is awaited, and after the client has broken off",
  async (type) => {
    let cancelled = 0;
    const body = new ReadableStream<Piece>({ type, cancel: () => void cancelled++ } as UnderlyingSource<Piece>);
    const upload = new Upload(body, Infinity);
    const waiting = assertRejects(upload.begin(), Error, "is over");
    await settle();
    await upload.end();
    await waiting;
    assertEquals(cancelled, 1);
    const { body: broken, controller } = source(type);
    controller.error(new Error("gone"));
    await new Upload(broken, Infinity).end();
  },
);
