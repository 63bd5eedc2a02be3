import { assertEquals } from "@std/assert";
import { indented, pairs, plainText, table } from "../../../src/cli/output/table.ts";

Deno.test("a column is as wide as what is in it, and no line ends in spaces", () => {
  assertEquals(
    table(["NAME", "AGE"], [["a-long-name", "1d"], ["b", ""], ["c"]]),
    [
      "NAME         AGE",
      "a-long-name  1d",
      "b",
      "c",
    ].join("\n"),
  );
  assertEquals(table(["NAME", "AGE"], []), "NAME  AGE");
});

Deno.test("values stand in one column beside their names", () => {
  assertEquals(pairs([["A", "1"], ["Long", "2"], ["C", ""]]), "A:     1\nLong:  2\nC:");
});

Deno.test("every line is moved to the right, but for empty ones", () => {
  assertEquals(indented("a\n\n  b"), "  a\n\n    b");
});

Deno.test("of a text from elsewhere, a terminal has nothing to obey", () => {
  assertEquals(plainText("\x1b[31mred\x1b[0m \x1b]0;title\x07\r\x00é\tend"), "red ]0;titleé\tend");
});
