import { assertEquals } from "@std/assert";
import { glyphsOf } from "../../../src/cli/top/glyphs.ts";

/** Each character with its columns. */
function columns(text: string): string {
  return glyphsOf(text).map(({ text, columns }) => `${text}${columns}`).join(" ");
}

Deno.test("letters take one column; ideographs, emoji and flags take two", () => {
  assertEquals(columns("aé█"), "a1 é1 █1");
  assertEquals(columns("世界"), "世2 界2");
  assertEquals(columns("👍🏽👩‍💻🇩🇪❤️"), "👍🏽2 👩‍💻2 🇩🇪2 ❤️2");
  assertEquals(columns("e\u0301한"), "e\u03011 한2", "an accent belongs to its letter");
});

Deno.test("what controls a terminal, hides or turns around a text is left out", () => {
  assertEquals(columns("a\x1b[2Jb\x1b]0;title\x07c\x1b(Bd\r\ne\x9bf"), "a1 b1 c1 d1 e1 f1");
  assertEquals(columns("a\u202eb\u200bc\u2028d\ufeffe"), "a1 b1 c1 d1 e1");
  assertEquals(columns("\u0301x\u200d"), "x\u200d1", "an accent without a letter has no column");
});

Deno.test("a tab is four spaces, and half a character of UTF-16 a replacement", () => {
  assertEquals(columns("\t"), " 1  1  1  1");
  assertEquals(columns("\ud83d"), "\ufffd1");
});
