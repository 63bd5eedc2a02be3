import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Key, lateKeys, readKeys } from "../../../src/cli/top/keys.ts";

const encoder = new TextEncoder();

/** The keys as words; a text as itself. */
function words(keys: readonly Key[]): string[] {
  return keys.map((key) => key.name === "text" ? key.text : `<${key.name}>`);
}

function read(text: string): string[] {
  const { keys, rest } = readKeys(encoder.encode(text));
  return [...words(keys), ...words(lateKeys(rest))];
}

Deno.test("keys are told apart, in the forms of several terminals", () => {
  assertEquals(read("aé世\r\n"), ["a", "é", "世", "<enter>", "<enter>"]);
  assertEquals(read("\x1b[A\x1bOB\x1b[C\x1bOD"), ["<up>", "<down>", "<right>", "<left>"]);
  assertEquals(read("\x1b[5~\x1b[6~\x1b[H\x1b[4~\x1bOF\x1b[1~"), [
    ...["<pageUp>", "<pageDown>", "<home>", "<end>", "<end>", "<home>"],
  ]);
  assertEquals(read("\x03\x1a\x0c\x15\x7f\x08"), [
    ...["<interrupt>", "<suspend>", "<redraw>", "<eraseLine>", "<backspace>", "<backspace>"],
  ]);
});

Deno.test("unknown sequences and control characters are no keys", () => {
  assertEquals(read("\x1b[1;5A\x1b[200~\x00\x01x\xff"), ["x", "ÿ"]);
  assertEquals(words(readKeys(Uint8Array.of(0xff, 0x80, 0x78)).keys), ["x"]);
});

Deno.test("Escape is what nothing follows", () => {
  assertEquals(words(readKeys(encoder.encode("\x1b")).keys), []);
  assertEquals(read("\x1b"), ["<escape>"]);
  assertEquals(read("\x1b\x1b"), ["<escape>", "<escape>"]);
  assertEquals(read("\x1bq"), ["<escape>", "q"]);
  assertEquals(read("\x1b["), ["<escape>", "["]);
});

Deno.test("keys are the same however the bytes are cut into pieces", () => {
  const unit = fc.constantFrom("a", "é", "世", "👍", "\x1b[A", "\x1bOB", "\x1b[5~", "\r", "\x7f");
  fc.assert(fc.property(fc.array(unit), fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (parts, lengths) => {
    const bytes = encoder.encode(parts.join(""));
    const keys: Key[] = [];
    let rest = new Uint8Array();
    for (let at = 0; at < bytes.length;) {
      const end = at + lengths.next().value!;
      const got = readKeys(Uint8Array.from([...rest, ...bytes.subarray(at, end)]));
      keys.push(...got.keys);
      rest = Uint8Array.from(got.rest);
      at = end;
    }
    assertEquals([keys, rest.length], [readKeys(bytes).keys, 0]);
  }));
});
