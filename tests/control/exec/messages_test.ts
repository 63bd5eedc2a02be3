import { assertEquals } from "@std/assert";
import {
  bytesMessage,
  cut,
  jsonMessage,
  KIND,
  MAX_PIECE_BYTES,
  readSize,
  readTaken,
  resizeMessage,
  takenMessage,
} from "../../../src/control/exec/messages.ts";

Deno.test("a message begins with its kind, and its bytes are a copy", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const message = bytesMessage(KIND.stdout, bytes);
  bytes.fill(9);
  assertEquals(message, new Uint8Array([1, 1, 2, 3]));
  assertEquals(bytesMessage(KIND.stdin, new Uint8Array()), new Uint8Array([0]));
  assertEquals(jsonMessage(KIND.exit, { code: 7 }), new Uint8Array([4, ...new TextEncoder().encode('{"code":7}')]));
});

Deno.test("numbers are big-endian, and are read as they were written", () => {
  assertEquals(takenMessage(0x01020304), new Uint8Array([5, 1, 2, 3, 4]));
  assertEquals(readTaken(takenMessage(1_000_000).subarray(1)), 1_000_000);
  assertEquals(resizeMessage({ columns: 258, rows: 3 }), new Uint8Array([6, 1, 2, 0, 3]));
  assertEquals(readSize(resizeMessage({ columns: 132, rows: 50 }).subarray(1)), { columns: 132, rows: 50 });
});

Deno.test("content of a wrong length says nothing, and no terminal is without a width or a height", () => {
  assertEquals([readTaken(new Uint8Array(3)), readTaken(new Uint8Array(5))], [undefined, undefined]);
  assertEquals([readSize(new Uint8Array(0)), readSize(new Uint8Array([0, 0, 0, 1]))], [undefined, undefined]);
  assertEquals(readSize(new Uint8Array([0, 1, 0, 0])), undefined);
});

Deno.test("data is cut into pieces that fit in messages, and nothing is lost", () => {
  assertEquals([...cut(new Uint8Array())], []);
  const bytes = crypto.getRandomValues(new Uint8Array(1024));
  assertEquals([...cut(bytes)], [bytes]);
  const much = new Uint8Array(2 * MAX_PIECE_BYTES + 1);
  assertEquals([...cut(much)].map(({ length }) => length), [MAX_PIECE_BYTES, MAX_PIECE_BYTES, 1]);
});
