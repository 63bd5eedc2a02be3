import { assertEquals } from "@std/assert";
import * as log from "../../../src/admin/dashboard/ui/model/log_lines.js";
import * as cli from "../../../src/cli/text.ts";

const line = (text: string, instance = "a") => ({ instance, revision: "web-00001", stream: "stdout", text }) as const;

Deno.test("a line is whole however the stream is cut, and what is no JSON is skipped", () => {
  const text = `${JSON.stringify(line("one"))}\n\nbroken{\n${JSON.stringify(line("two"))}\n{"text":"unfinished`;
  for (let size = 1; size <= text.length; size += 7) {
    const splitter = new log.LineSplitter();
    const lines = [];
    for (let at = 0; at < text.length; at += size) lines.push(...splitter.push(text.slice(at, at + size)));
    assertEquals(lines.map(({ text }) => text), ["one", "two"]);
  }
});

Deno.test("old lines go when there are too many", () => {
  const many = Array.from({ length: log.MAX_LINES }, (_, at) => line(String(at)));
  const lines = log.merged(many, [line("new")]);
  assertEquals([lines.length, lines[0]?.text, lines.at(-1)?.text], [log.MAX_LINES, "1", "new"]);
});

Deno.test("the lines of several instances are in the order of their times, and those without a time stay in their place", () => {
  const at = (time: string, instance: string, text: string) => ({
    ...line(text, instance),
    time: `2026-11-30T05:${time}Z`,
  });
  const first = [at("00:01", "a", "1"), line("1, more"), at("00:05.12", "a", "4"), at("00:05.120000001", "a", "5")];
  const second = [at("00:02", "b", "2"), at("00:05.1", "b", "3"), at("00:05.12", "b", "4, b"), at("00:09", "b", "6")];
  const order = ["1", "1, more", "2", "3", "4", "4, b", "5", "6"];
  const lines = log.merged(log.merged([], first), second);
  assertEquals(lines.map(({ text }) => text), order);
  assertEquals(log.merged(lines, [at("00:03", "c", "late")]).map(({ text }) => text).slice(2, 5), ["2", "late", "3"]);
});

Deno.test("a search finds text in any case, in one instance or in all", () => {
  const lines = [line("Error: no"), line("fine"), line("an ERROR", "b")];
  const found = (text: string, instance = "") => log.matching(lines, text, instance).map(({ text }) => text);
  assertEquals(found("error"), ["Error: no", "an ERROR"]);
  assertEquals(found("error", "b"), ["an ERROR"]);
  assertEquals(found("", "a"), ["Error: no", "fine"]);
  assertEquals(log.matching(lines, "", ""), lines);
});

Deno.test("commands for terminals are left out, as the command line leaves them out", () => {
  for (const text of ["\x1b[31mred\x1b[0m", "a\tb", "bell\x07", "plain", "\x1b]0;title\x07x", "\x1b(Bx"]) {
    assertEquals(log.plainText(text), cli.plainText(text));
  }
});

Deno.test("an app cannot let its output run backwards", () => {
  assertEquals(log.plainText("a\u202eb\u2066c"), "abc");
});

Deno.test("of a failed app's output, the line is shown that most likely says why", () => {
  const python = ["Traceback (most recent call last):", '  File "/app.py", line 3', "ValueError: no port", ""];
  assertEquals(log.tellingLine(python), "ValueError: no port");
  const go = [
    "listening",
    "panic: no DATABASE_URL",
    "",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/app/main.go:18 +0x1d4",
  ];
  assertEquals(log.tellingLine(go), "panic: no DATABASE_URL");
  assertEquals(log.tellingLine(["starting", "bye", "   at the door"]), "bye");
  assertEquals(log.tellingLine(["  indented"]), "indented");
  assertEquals(log.tellingLine(["", " "]), "");
});
