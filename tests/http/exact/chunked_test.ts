import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ChunkedDecoder, chunkOf } from "../../../src/http/exact/chunked.ts";
import { Malformed } from "../../../src/http/exact/message_head.ts";
import { toBytes, toText } from "../../support/http_message.ts";

/** What decoding has led to. */
type Outcome = { data: string; end: "done" | "open" | "malformed" };

/** Decodes pieces, one after the other. */
function decode(pieces: readonly string[]): Outcome {
  const decoder = new ChunkedDecoder();
  let data = "";
  try {
    for (const piece of pieces) {
      const bytes = toBytes(piece);
      data += toText(bytes.subarray(0, decoder.decode(bytes)));
    }
  } catch (error) {
    assert(error instanceof Malformed, `${error}`);
    return { data, end: "malformed" };
  }
  return { data, end: decoder.done ? "done" : "open" };
}

/** A text, cut into pieces at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const all = [0, ...places, text.length];
  return all.slice(1).map((place, at) => text.slice(all[at], place));
}

const GOOD: readonly [body: string, data: string][] = [
  ["0\r\n\r\n", ""],
  ["5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"],
  ["1\r\n\r\r\n1\r\n\n\r\n2\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
  ["a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"],
  ["0000000000005\r\nhello\r\n000\r\n\r\n", "hello"],
  ['3;a=1;b="x;y"\r\nabc\r\n0;last\r\n\r\n', "abc"],
  ["3;\r\nabc\r\n0;\r\n\r\n", "abc"],
  ["3\r\nabc\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n", "abc"],
  ["3\r\n0\r\n\r\n0\r\n\r\n", "0\r\n"],
  ["2\r\n\xff\0\r\n0\r\n\r\n", "\xff\0"],
];

Deno.test("a chunked body is decoded the same wherever it is cut", () => {
  for (const [body, data] of GOOD) {
    const expected: Outcome = { data, end: "done" };
    assertEquals(decode([body]), expected, body);
    assertEquals(decode([...body]), expected, `${body}, byte by byte`);
    for (let first = 0; first <= body.length; first++) {
      for (let second = first; second <= body.length; second++) {
        assertEquals(decode(cut(body, [first, second])), expected, JSON.stringify([body, first, second]));
      }
    }
  }
});

Deno.test("a chunked body is done at its last byte, and accepts none after it", () => {
  for (const [body] of GOOD) {
    for (let length = 0; length < body.length; length++) {
      assertEquals(decode([body.slice(0, length)]).end, "open", JSON.stringify([body, length]));
    }
    for (const more of ["x", "\r\n", "0", "\0", "HTTP/1.1 200 OK\r\n\r\n"]) {
      assertEquals(decode([body + more]).end, "malformed");
      assertEquals(decode([body, more]).end, "malformed");
    }
  }
});

const BAD: readonly string[] = [
  "\r\nabc\r\n0\r\n\r\n",
  ";a\r\n",
  "-1\r\n",
  "+1\r\na",
  "0x5\r\nhello",
  "5h\r\n",
  "g\r\n",
  "\xb2\r\n",
  " 5\r\nhello",
  "5 \r\nhello",
  "5\t\r\nhello",
  "5\nhello",
  "5\r\r\nhello",
  "5\rhello",
  "5;a\nhello",
  "5;a\rb\r\nhello",
  "5;a\0b\r\n",
  "10000000000000\r\n",
  "00000000000005\r\n",
  "ffffffffffffffff\r\n",
  "ffffffffffffffffffffffffffffffff1\r\n",
  "3\r\nabcd\r\n",
  "3\r\nabc\n0\r\n\r\n",
  "3\r\nabc0\r\n\r\n",
  "3\r\nabc\r0\r\n\r\n",
  "3\r\nabc\r\n\r\n",
  "0\r\n\n",
  "0\r\n\rx",
  "0\r\nx: 1\n\r\n",
  "0\r\nx: 1\r\r\n",
  "0\r\nx: \0\r\n\r\n",
  "\n0\r\n\r\n",
];

Deno.test("malformed chunks are refused wherever they are cut", () => {
  for (const body of BAD) {
    assertEquals(decode([body]).end, "malformed", JSON.stringify(body));
    assertEquals(decode([...body]).end, "malformed", JSON.stringify(body));
    for (let place = 0; place <= body.length; place++) {
      assertEquals(decode(cut(body, [place])).end, "malformed", JSON.stringify([body, place]));
    }
  }
});

Deno.test("extensions and trailers may have 16 KB and no more", () => {
  const MOST = 16 * 1024;
  // The semicolon before an extension does not count.
  assertEquals(decode([`1;${"e".repeat(MOST)}\r\nx\r\n0\r\n\r\n`]), { data: "x", end: "done" });
  assertEquals(decode([`1;${"e".repeat(MOST + 1)}`]).end, "malformed");
  assertEquals(decode([`0;${"e".repeat(MOST)}\r\n${"t".repeat(MOST)}\r\n\r\n`]).end, "done");
  assertEquals(decode([`0\r\n${"t".repeat(MOST + 1)}`]).end, "malformed");
  assertEquals(decode([`0\r\n${"x: y\r\n".repeat(MOST / 4)}\r\n`]).end, "done");
  assertEquals(decode([`0\r\n${"x: y\r\n".repeat(MOST / 4 + 1)}\r\n`]).end, "malformed");
});

Deno.test("the largest size that is accepted is a safe integer", () => {
  const decoder = new ChunkedDecoder();
  decoder.decode(toBytes(`${"f".repeat(13)}\r\n`));
  for (let turn = 0; turn < 10; turn++) assertEquals(decoder.decode(new Uint8Array(1 << 16)), 1 << 16);
  assertEquals(decoder.done, false);
});

Deno.test("any data in any chunks, cut anywhere, is decoded correctly", () => {
  const chunk = fc.record({
    data: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    upper: fc.boolean(),
    zeros: fc.nat(5),
    extension: fc.constantFrom("", ";", ";a", ";a=b;c", ';q="\t\xe9"'),
  });
  fc.assert(fc.property(fc.array(chunk, { maxLength: 12 }), fc.array(fc.nat()), (chunks, places) => {
    let text = "";
    for (const { data, upper, zeros, extension } of chunks) {
      const size = data.length.toString(16);
      text += `${"0".repeat(zeros)}${upper ? size.toUpperCase() : size}${extension}\r\n${toText(data)}\r\n`;
    }
    text += "0\r\n\r\n";
    const at = places.map((place) => place % (text.length + 1)).sort((a, b) => a - b);
    const data = chunks.map((chunk) => toText(chunk.data)).join("");
    assertEquals(decode(cut(text, at)), { data, end: "done" });
  }));
});

Deno.test("any bytes are decoded or refused, the same wherever they are cut", () => {
  const byte = fc.constantFrom(..."0123afG;\r\n\r\n x\0");
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), fc.nat(40), (bytes, place) => {
      const text = bytes.join("");
      const [whole, halves] = [decode([text]), decode(cut(text, [Math.min(place, text.length)]))];
      assertEquals(halves.end, whole.end);
      if (whole.end !== "malformed") assertEquals(halves.data, whole.data);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("the data of a piece is moved to its start", () => {
  const bytes = toBytes("3\r\nabc\r\n3\r\ndef\r\n");
  assertEquals(new ChunkedDecoder().decode(bytes), 6);
  assertEquals(toText(bytes.subarray(0, 6)), "abcdef");
});

Deno.test("a piece becomes one chunk, with its size before it and a line break after it", () => {
  assertEquals(toText(chunkOf(toBytes("hello, hello, hello"))), "13\r\nhello, hello, hello\r\n");
  const bytes = toBytes("5\r\nhello\r\n1f\r\n");
  const decoder = new ChunkedDecoder();
  assertEquals([toText(bytes.subarray(0, decoder.decode(bytes))), decoder.done], ["hello", false]);
  const whole = new Uint8Array([...chunkOf(toBytes("a")), ...chunkOf(toBytes("b")), ...toBytes("0\r\n\r\n")]);
  const again = new ChunkedDecoder();
  assertEquals([toText(whole.subarray(0, again.decode(whole))), again.done], ["ab", true]);
});

Deno.test("the limits of a chunk's size and extension begin anew with each chunk", () => {
  const chunk = `00000001;${"x".repeat(10 * 1024)}\r\na\r\n`;
  const bytes = toBytes(`${chunk.repeat(4)}0\r\n\r\n`);
  const decoder = new ChunkedDecoder();
  assertEquals([toText(bytes.subarray(0, decoder.decode(bytes))), decoder.done], ["aaaa", true]);
});
