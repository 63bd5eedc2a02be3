import { assertEquals } from "@std/assert";
import {
  age,
  ago,
  atHeading,
  indented,
  pairs,
  plainText,
  sizeText,
  table,
  timeText,
  until,
} from "../../src/cli/text.ts";

Deno.test("a column is as wide as its widest cell, and no line ends with spaces", () => {
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

Deno.test("values are in one column beside their names", () => {
  assertEquals(pairs([["A", "1"], ["Long", "2"], ["C", ""]]), "A:     1\nLong:  2\nC:");
});

Deno.test("every line that is not empty is indented", () => {
  assertEquals(indented("a\n\n  b"), "  a\n\n    b");
});

Deno.test("a foreign text has nothing that a terminal would obey", () => {
  assertEquals(plainText("\x1b[31mred\x1b[0m \x1b]0;title\x07\r\x00é\tend"), "red é\tend");
});

const NOW = Date.parse("2027-01-31T12:00:00Z");

Deno.test("a moment of another day has its date beside the time of day", () => {
  const now = new Date(2027, 0, 31, 12, 0, 0);
  assertEquals(timeText(new Date(2027, 0, 31, 0, 3, 7).toISOString(), now.getTime()), "00:03:07");
  assertEquals(timeText(new Date(2027, 0, 30, 23, 59, 9).toISOString(), now.getTime()), "2027-01-30 23:59:09");
  assertEquals(timeText("none", now.getTime()), "-");
  assertEquals(atHeading(), `AT (${new Intl.DateTimeFormat().resolvedOptions().timeZone})`);
});

Deno.test("a past time is written as how long ago it was, in its largest unit", () => {
  const cases: [seconds: number, text: string][] = [
    [-5, "now"],
    [0, "now"],
    [0.9, "now"],
    [1, "1s ago"],
    [59.9, "59s ago"],
    [60, "1m ago"],
    [3599, "59m ago"],
    [3600, "1h ago"],
    [86_399, "23h ago"],
    [86_400, "1d ago"],
    [400 * 86_400, "400d ago"],
  ];
  for (const [seconds, text] of cases) {
    assertEquals(ago(new Date(NOW - seconds * 1000).toISOString(), NOW), text);
  }
  assertEquals(age("2027-01-31T11:00:00Z", NOW), "1h");
});

Deno.test("a future time is written as how long it takes, a past one as how long ago", () => {
  assertEquals(until("2027-02-02T12:00:00Z", NOW), "in 2d");
  assertEquals(until("2027-01-31T12:00:00.001Z", NOW), "in 0s");
  assertEquals(until("2027-01-31T11:59:00Z", NOW), "1m ago");
});

Deno.test("anything that is no time is a hyphen", () => {
  for (const at of [undefined, "", "soon"]) assertEquals([ago(at, NOW), age(at, NOW), until(at, NOW)], ["-", "-", "-"]);
});

Deno.test("a size is written in the unit that fits", () => {
  const sizes: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1_396_736, "1.3 MiB"],
    [99.9 * 1024 ** 2, "99.9 MiB"],
    [99.96 * 1024 ** 2, "100 MiB"],
    [1023.4 * 1024 ** 2, "1023 MiB"],
    [1023.6 * 1024 ** 2, "1.0 GiB"],
    [2048 * 1024 ** 4, "2048 TiB"],
  ];
  for (const [bytes, text] of sizes) assertEquals(sizeText(Math.round(bytes)), text);
});
