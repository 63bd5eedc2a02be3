import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { Opcode } from "../../../src/http/websocket/frame.ts";
import { arrivals, closeFrame, decode, frame, head, type Told } from "./frames.ts";

const { continuation, text, binary, close, ping, pong } = Opcode;
const PROTOCOL_ERROR = 1002;
const NOT_TEXT = 1007;
const part = { final: false };

/** Frames are refused wherever they are cut, also behind a good message, and what is told before stays told. */
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

Deno.test("a continuation of nothing is refused", () => {
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
  Deno.test(`a text with ${name} is refused, in one frame or several`, () => {
    assertRefused([frame(text, bytes)], NOT_TEXT);
    for (let place = 0; place <= bytes.length; place++) {
      assertRefused([frame(text, bytes.slice(0, place), part), frame(continuation, bytes.slice(place))], NOT_TEXT);
    }
  });

  Deno.test(`a close whose reason has ${name} is refused`, () => {
    assertRefused([closeFrame(1000, bytes)], NOT_TEXT);
  });
}

Deno.test("a close with half a code is refused", () => {
  assertRefused([frame(close, "\x03")], PROTOCOL_ERROR);
});

for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
  Deno.test(`a close with the code ${code} is refused`, () => {
    assertRefused([closeFrame(code)], PROTOCOL_ERROR);
    assertRefused([closeFrame(code, "reason")], PROTOCOL_ERROR);
  });
}

Deno.test("a frame is refused by its head, before its payload comes", () => {
  for (const bytes of [head(text, 1000, { masked: true }), head(binary, 1000, { reserved: 0x40 }), head(3, 1000)]) {
    assertEquals(decode([bytes]), [{ refused: PROTOCOL_ERROR }]);
  }
});
