import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { Opcode } from "../../../src/http/websocket/frames.ts";
import { growth } from "../../support/flow.ts";
import { sameBytes, toBytes } from "../../support/http_message.ts";
import { ownProcessTest } from "../../support/own_process.ts";
import { arrivals, closeFrame, cut, decode, frame, head, singly, type Told } from "./frames.ts";

const { continuation, text, binary, close, ping, pong } = Opcode;
const MB = 1024 * 1024;
const part = { final: false };
const PROTOCOL_ERROR = 1002;
const NOT_TEXT = 1007;

/** The bytes of a text as UTF-8. */
function utf8(characters: string): Uint8Array {
  return new TextEncoder().encode(characters);
}

/** Bytes that differ from their neighbours. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at % 251);
}

for (
  const [name, frames, told] of [
    ["a text", [frame(text, utf8("Grüße 🎉"))], [{ text: "Grüße 🎉" }]],
    ["an empty text", [frame(text)], [{ text: "" }]],
    ["a text that begins with a byte order mark", [frame(text, utf8("\ufeffx"))], [{ text: "\ufeffx" }]],
    ["bytes", [frame(binary, "\0\xff\x80")], [{ binary: toBytes("\0\xff\x80") }]],
    ["no bytes", [frame(binary)], [{ binary: toBytes("") }]],
    ["a text in fragments", [frame(text, "one ", part), frame(continuation, "two")], [{ text: "one two" }]],
    [
      "bytes in many fragments",
      [frame(binary, "\xff", part), frame(continuation, "\0", part), frame(continuation, "\xfe")],
      [{ binary: toBytes("\xff\0\xfe") }],
    ],
    [
      "a message whose first and last fragments are empty",
      [frame(text, "", part), frame(continuation, "x", part), frame(continuation)],
      [{ text: "x" }],
    ],
    [
      "a message of empty fragments only",
      [frame(text, "", part), frame(continuation, "", part), frame(continuation)],
      [{ text: "" }],
    ],
    [
      "a character that is spread over fragments",
      [frame(text, "\xf0\x9f", part), frame(continuation, "\x8e", part), frame(continuation, "\x89")],
      [{ text: "🎉" }],
    ],
    [
      "control frames between fragments",
      [frame(text, "a", part), frame(ping, "\xff"), frame(pong, "x"), frame(ping), frame(continuation, "b")],
      [{ ping: toBytes("\xff") }, { ping: toBytes("") }, { text: "ab" }],
    ],
    [
      "messages of both kinds, one behind the other",
      [frame(text, "a"), frame(binary, "b", part), frame(continuation, "c"), frame(text), frame(binary, "d")],
      [{ text: "a" }, { binary: toBytes("bc") }, { text: "" }, { binary: toBytes("d") }],
    ],
    ["pings with 0 and with 125 bytes", [frame(ping), frame(ping, "x".repeat(125))], [
      { ping: toBytes("") },
      { ping: toBytes("x".repeat(125)) },
    ]],
    ["pongs, of which nothing is told", [frame(pong), frame(pong, "x".repeat(125)), frame(text, "a")], [{ text: "a" }]],
    ["a close without a code", [frame(text, "a"), frame(close)], [{ text: "a" }, { close: 1005, reason: "" }]],
    ["a close with a reason", [closeFrame(1000, "f\xc3\xbcr heute")], [{ close: 1000, reason: "für heute" }]],
    [
      "a close with a reason as long as can be",
      [closeFrame(1001, "x".repeat(123))],
      [{ close: 1001, reason: "x".repeat(123) }],
    ],
    [
      "a close between fragments",
      [frame(text, "a", part), closeFrame(1001)],
      [{ close: 1001, reason: "" }],
    ],
  ] satisfies [string, Uint8Array[], Told[]][]
) {
  Deno.test(`${name} is decoded the same wherever it is cut`, () => {
    for (const pieces of arrivals(concat(frames))) assertEquals(decode(pieces), told);
  });
}

for (const length of [1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 100_000]) {
  Deno.test(`a message of ${length} bytes is decoded the same wherever it is cut`, () => {
    const payload = pattern(length);
    const bytes = concat([frame(binary, payload), frame(text, "next")]);
    const told = [{ binary: payload }, { text: "next" }];
    assertEquals(decode([bytes]), told);
    assertEquals(decode(singly(bytes)), told);
    const nearHead = Array.from({ length: 12 }, (_, at) => at);
    const nearEnd = Array.from({ length: 8 }, (_, at) => bytes.length - at);
    for (const place of [...nearHead, ...nearEnd]) assertEquals(decode(cut(bytes, [place])), told);
  });
}

Deno.test("a frame is reported at its last byte", () => {
  for (const bytes of [frame(text, "hello"), frame(binary, "x".repeat(126)), frame(ping, "x"), closeFrame(1000, "x")]) {
    for (let length = 0; length < bytes.length; length++) assertEquals(decode([bytes.subarray(0, length)]), []);
    assertEquals(decode([bytes]).length, 1);
  }
});

Deno.test("the memory of a piece may be reused after it was decoded", () => {
  const reused = new Uint8Array(3);
  const pieces = function* () {
    for (const byte of concat([frame(text, "abc", part), frame(ping, "de"), frame(continuation, "fg")])) {
      yield reused.fill(byte).subarray(0, 1);
    }
  };
  assertEquals(decode(pieces()), [{ ping: toBytes("de") }, { text: "abcfg" }]);
});

for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
  Deno.test(`a close may have the code ${code}`, () => {
    assertEquals(decode([closeFrame(code)]), [{ close: code, reason: "" }]);
  });
}

for (
  const [name, rest] of [
    ["a message", frame(text, "late")],
    ["a ping", frame(ping)],
    ["another close", closeFrame(1001)],
    ["a frame that would be refused", frame(7)],
    ["half a frame", head(text, 5)],
  ] as const
) {
  Deno.test(`${name} behind a close is ignored`, () => {
    for (const pieces of arrivals(concat([closeFrame(1000), rest]))) {
      assertEquals(decode(pieces), [{ close: 1000, reason: "" }]);
    }
  });
}

Deno.test("a message may have 64 MB and no byte more", () => {
  assertEquals(decode([head(binary, 64 * MB)]), []);
  assertEquals(decode([head(binary, 64 * MB + 1)]), [{ refused: 1009 }]);
  assertEquals(decode([head(text, 2 ** 32)]), [{ refused: 1009 }]);
  assertEquals(decode([new Uint8Array([0x82, 127, ...new Array(8).fill(255)])]), [{ refused: 1009 }]);
});

Deno.test("the limit counts all fragments of a message, and no others", () => {
  const begun = frame(binary, new Uint8Array(MB), part);
  assertEquals(decode([begun, head(continuation, 63 * MB)]), []);
  assertEquals(decode([begun, head(continuation, 63 * MB + 1)]), [{ refused: 1009 }]);
  const told = decode([begun, frame(ping), frame(continuation, "x"), head(binary, 64 * MB)]);
  assertEquals(told.map((what) => Object.keys(what)), [["ping"], ["binary"]]);
});

Deno.test("a message of 64 MB is decoded correctly", () => {
  const piece = pattern(MB);
  const [told, ...more] = decode([head(binary, 64 * MB), ...new Array<Uint8Array>(64).fill(piece)]);
  const message = told !== undefined && "binary" in told ? told.binary : new Uint8Array(0);
  assertEquals([message.length, more], [64 * MB, []]);
  for (let at = 0; at < 64; at++) assertEquals(sameBytes(message.subarray(at * MB, (at + 1) * MB), piece), true);
});

for (const payload of ["", "x"]) {
  ownProcessTest(
    import.meta.url,
    `a message in a million fragments of ${payload.length} bytes takes little memory`,
    async () => {
      const thousand = concat(new Array(1000).fill(frame(continuation, payload, part)));
      const pieces = [frame(text, "", part), ...new Array<Uint8Array>(1000).fill(thousand), frame(continuation)];
      const grown = await growth(() => {
        assertEquals(decode(pieces), [{ text: payload.repeat(1_000_000) }]);
        return Promise.resolve();
      });
      assert(grown < 100 * MB, `grew by ${grown / MB} MB`);
    },
  );
}

Deno.test("any messages in any fragments with pings in between, cut anywhere, are decoded correctly", () => {
  const fragment = fc.record({
    payload: fc.uint8Array({ maxLength: 300 }),
    control: fc.constantFrom(undefined, ping, pong),
  });
  const message = fc.array(fragment, { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat()), (messages, places) => {
    const frames: Uint8Array[] = [];
    const told: Told[] = [];
    for (const fragments of messages) {
      for (const [at, { payload, control }] of fragments.entries()) {
        if (control !== undefined) frames.push(frame(control, "!"));
        if (control === ping) told.push({ ping: toBytes("!") });
        frames.push(frame(at === 0 ? binary : continuation, payload, { final: at === fragments.length - 1 }));
      }
      told.push({ binary: concat(fragments.map(({ payload }) => payload)) });
    }
    const bytes = concat(frames);
    const at = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
    assertEquals(decode(cut(bytes, at)), told);
  }));
});

/** Checks that frames are refused wherever they are cut, also behind a good message, and what is reported before. */
function assertRefused(frames: readonly Uint8Array[], code: number, told: readonly Told[] = []): void {
  for (const pieces of arrivals(concat(frames))) assertEquals(decode(pieces), [...told, { refused: code }]);
  for (const pieces of arrivals(concat([frame(text, "good"), ...frames]))) {
    assertEquals(decode(pieces), [{ text: "good" }, ...told, { refused: code }]);
  }
}

for (const [name, opcode] of Object.entries(Opcode)) {
  const begin = opcode === continuation ? [frame(text, "a", part)] : [];

  Deno.test(`a ${name} frame with a reserved bit is refused`, () => {
    for (const reserved of [0x10, 0x20, 0x40, 0x70]) {
      assertRefused([...begin, frame(opcode, "", { reserved })], PROTOCOL_ERROR);
    }
  });

  Deno.test(`a ${name} frame that is masked is refused`, () => {
    assertRefused([...begin, frame(opcode, "", { masked: true })], PROTOCOL_ERROR);
    assertRefused([...begin, frame(opcode, "payload", { masked: true })], PROTOCOL_ERROR);
  });
}

for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  Deno.test(`a frame of the reserved kind ${opcode} is refused`, () => {
    assertRefused([frame(opcode)], PROTOCOL_ERROR);
    assertRefused([frame(opcode, "payload", part)], PROTOCOL_ERROR);
    assertRefused([frame(text, "a", part), frame(opcode)], PROTOCOL_ERROR);
  });
}

for (const [name, opcode] of Object.entries({ close, ping, pong })) {
  Deno.test(`a ${name} frame in fragments is refused`, () => {
    assertRefused([frame(opcode, "", part)], PROTOCOL_ERROR);
    assertRefused([frame(opcode, "\x03\xe8", part), frame(continuation)], PROTOCOL_ERROR);
    assertRefused([frame(text, "a", part), frame(opcode, "", part)], PROTOCOL_ERROR);
  });

  Deno.test(`a ${name} frame of more than 125 bytes is refused`, () => {
    for (const length of [126, 127, 65535, 65536, 2 ** 40]) assertRefused([head(opcode, length)], PROTOCOL_ERROR);
  });
}

Deno.test("a continuation without a message is refused", () => {
  assertRefused([frame(continuation)], PROTOCOL_ERROR);
  assertRefused([frame(continuation, "a", part)], PROTOCOL_ERROR);
  assertRefused([frame(pong), frame(continuation, "a")], PROTOCOL_ERROR);
  assertRefused([frame(text, "a", part), frame(continuation, "b"), frame(continuation, "c")], PROTOCOL_ERROR, [
    { text: "ab" },
  ]);
});

Deno.test("a message that begins inside another is refused", () => {
  for (const outer of [text, binary]) {
    for (const inner of [text, binary]) {
      assertRefused([frame(outer, "a", part), frame(inner, "b")], PROTOCOL_ERROR);
      assertRefused([frame(outer, "", part), frame(inner, "b", part)], PROTOCOL_ERROR);
      assertRefused([frame(outer, "a", part), frame(continuation, "b", part), frame(inner)], PROTOCOL_ERROR);
    }
  }
});

for (
  const [name, bytes] of [
    ["a byte that is in no character", "a\xffb"],
    ["a lone continuation", "a\x80b"],
    ["a longer form than is needed", "\xc0\xaf"],
    ["a surrogate", "\xed\xa0\x80"],
    ["a character above the last", "\xf4\x90\x80\x80"],
    ["a character that is broken off", "\xe2\x82a"],
    ["an end within a character", "a\xf0\x9f\x8e"],
  ] as const
) {
  Deno.test(`a text with ${name} is refused, in one frame or in several`, () => {
    assertRefused([frame(text, bytes)], NOT_TEXT);
    for (let place = 0; place <= bytes.length; place++) {
      assertRefused([frame(text, bytes.slice(0, place), part), frame(continuation, bytes.slice(place))], NOT_TEXT);
    }
  });

  Deno.test(`a close whose reason has ${name} is refused`, () => {
    assertRefused([closeFrame(1000, bytes)], NOT_TEXT);
  });
}

Deno.test("a close with one byte of a code is refused", () => {
  assertRefused([frame(close, "\x03")], PROTOCOL_ERROR);
});

for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
  Deno.test(`a close with the code ${code} is refused`, () => {
    assertRefused([closeFrame(code)], PROTOCOL_ERROR);
    assertRefused([closeFrame(code, "reason")], PROTOCOL_ERROR);
  });
}

Deno.test("a frame is refused by its header, before its payload arrives", () => {
  for (const bytes of [head(text, 1000, { masked: true }), head(binary, 1000, { reserved: 0x40 }), head(3, 1000)]) {
    assertEquals(decode([bytes]), [{ refused: PROTOCOL_ERROR }]);
  }
});
