import { assert, assertEquals } from "@std/assert";
import { Upload } from "../../src/serving/upload.ts";
import { settle } from "../support/fake_clock.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A client's body that a test hands out piece by piece. */
function source(): { body: ReadableStream<Bytes>; controller: ReadableStreamDefaultController<Bytes> } {
  let controller!: ReadableStreamDefaultController<Bytes>;
  const body = new ReadableStream<Bytes>({ start: (given) => void (controller = given) });
  return { body, controller };
}

function bytes(text: string): Bytes {
  return new TextEncoder().encode(text);
}

function open(upload: Upload): ReadableStreamDefaultReader<Bytes> {
  const opened = upload.open();
  return (opened instanceof Blob ? opened.stream() : opened).getReader();
}

async function text(reader: ReadableStreamDefaultReader<Bytes>): Promise<string> {
  let whole = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return whole;
    whole += new TextDecoder().decode(value);
  }
}

Deno.test("a body of known length is a Blob of that size, any other is a stream", () => {
  const known = new Upload(source().body, 12).open();
  assert(known instanceof Blob);
  assertEquals(known.size, 12);
  assert(new Upload(source().body, Infinity).open() instanceof ReadableStream);
});

Deno.test("nothing is read of a body before somebody asks for it", async () => {
  let pulls = 0;
  const body = new ReadableStream<Bytes>({
    pull: (controller) => {
      pulls++;
      controller.enqueue(bytes("x"));
    },
  }, { highWaterMark: 0 });
  const upload = new Upload(body, Infinity);
  const reader = open(upload);
  await settle();
  assertEquals([pulls, upload.moved], [0, 0]);
  await reader.read();
  assertEquals([pulls, upload.moved], [1, 1]);
});

Deno.test("a small body is sent again from its start", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  controller.enqueue(bytes("one "));
  controller.enqueue(bytes("two"));
  controller.close();
  assertEquals(await text(open(upload)), "one two");
  assert(upload.replayable);
  assertEquals(await text(open(upload)), "one two");
});

Deno.test("a body that was sent in part is sent again from its start and to its end", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  controller.enqueue(bytes("one "));
  const first = open(upload);
  await first.read();
  await first.cancel();
  controller.enqueue(bytes("two"));
  controller.close();
  assertEquals(await text(open(upload)), "one two");
});

Deno.test("a piece that the first attempt still waited for is not lost to the second", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  const first = open(upload);
  first.read().catch(() => {});
  await settle();
  const second = text(open(upload));
  await settle();
  for (const piece of ["one ", "two ", "three"]) {
    controller.enqueue(bytes(piece));
    await settle();
  }
  controller.close();
  assertEquals(await second, "one two three");
});

Deno.test("a piece too large to be kept, that the first attempt still waited for, is not lost to the second", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  const first = open(upload);
  controller.enqueue(bytes("one "));
  await first.read();
  first.read().catch(() => {});
  await settle();
  const second = open(upload);
  const large = "x".repeat(70_000);
  controller.enqueue(bytes(large));
  await settle();
  controller.enqueue(bytes(" end"));
  controller.close();
  assertEquals(await text(second), `one ${large} end`);
});

Deno.test("a chunk that its receiver has changed is still sent again as it came", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  controller.enqueue(bytes("one"));
  controller.close();
  for (let turn = 0; turn < 3; turn++) {
    const { value } = await open(upload).read();
    assertEquals(new TextDecoder().decode(value), "one");
    value!.fill(0);
  }
});

Deno.test("a body beyond 64 KB cannot be sent again", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  const reader = open(upload);
  controller.enqueue(new Uint8Array(64 * 1024));
  await reader.read();
  assert(upload.replayable);
  controller.enqueue(new Uint8Array(1));
  await reader.read();
  assert(!upload.replayable);
  assertEquals(upload.moved, 64 * 1024 + 1);
});

Deno.test("a body that breaks off breaks off for its receiver too", async () => {
  const { body, controller } = source();
  const reader = open(new Upload(body, 10));
  controller.enqueue(bytes("one"));
  await reader.read();
  controller.error(new Error("gone"));
  assertEquals(await reader.read().catch((error) => error.message), "gone");
});

Deno.test("what comes after an attempt was given up, and before the next one begins, is not lost", async () => {
  const { body, controller } = source();
  const upload = new Upload(body, Infinity);
  const first = open(upload);
  controller.enqueue(bytes("one "));
  await first.read();
  first.read().catch(() => {});
  await settle();
  upload.abandon();
  const large = "x".repeat(70_000);
  controller.enqueue(bytes(large));
  controller.close();
  await settle();
  assertEquals(await text(open(upload)), `one ${large}`);
});
