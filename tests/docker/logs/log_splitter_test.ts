import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { LogLine } from "../../../src/docker/engine_api.ts";
import { LogSplitter } from "../../../src/docker/logs/log_splitter.ts";
import { CODE_POINT } from "../../support/code_point.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const TIME = "2026-01-02T03:04:05.000000006Z";
const PART = 16 * 1024;
const LONGEST = 64 * 1024;

/** The bytes of a line as the engine writes it: in parts, with the time in front of each. */
function written(bytes: Uint8Array, time = TIME, end = "\n"): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += PART) {
    pieces.push(encoder.encode(`${time} `), bytes.slice(at, at + PART));
  }
  return concat(...pieces, encoder.encode(end));
}

function concat(...pieces: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The lines of bytes that come in chunks of these sizes, over and over. */
function split(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): LogLine[] {
  const splitter = new LogSplitter("stdout");
  const lines: LogLine[] = [];
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length]!;
    lines.push(...splitter.push(bytes.slice(at, at + size)));
    at += size;
  }
  return [...lines, ...splitter.end()];
}

function splitText(text: string): LogLine[] {
  return split(encoder.encode(text));
}

Deno.test("each line has its time in front of it", () => {
  const other = "2026-01-02T03:04:06.100000000+01:00";
  assertEquals(splitText(`${TIME} one\n${other} two words\n${TIME} \n`), [
    { stream: "stdout", time: TIME, text: "one" },
    { stream: "stdout", time: other, text: "two words" },
    { stream: "stdout", time: TIME, text: "" },
  ]);
  assertEquals(splitText(""), []);
});

Deno.test("a time that the app itself writes is its own", () => {
  assertEquals(splitText(`${TIME} ${TIME} one\n`), [{ stream: "stdout", time: TIME, text: `${TIME} one` }]);
});

Deno.test("a last line without an end is a line", () => {
  assertEquals(splitText(`${TIME} one\n${TIME} tw`), [
    { stream: "stdout", time: TIME, text: "one" },
    { stream: "stdout", time: TIME, text: "tw" },
  ]);
  assertEquals(splitText("short"), [{ stream: "stdout", text: "short" }]);
});

Deno.test("what has no time in front of it is the docker command's own", () => {
  assertEquals(splitText("Error response from daemon: No such container: x\n\n"), [
    { stream: "stdout", text: "Error response from daemon: No such container: x" },
    { stream: "stdout", text: "" },
  ]);
});

Deno.test("the end of a line may be that of other systems", () => {
  assertEquals(splitText(`${TIME} a\rb\r\n${TIME} \r\n`).map(({ text }) => text), ["a\rb", ""]);
});

Deno.test("the times within a long line are taken out", () => {
  for (const length of [PART - 1, PART, PART + 1, 3 * PART, LONGEST]) {
    const lines = split(concat(written(new Uint8Array(length).fill(97)), written(encoder.encode("next"))));
    assertEquals(lines.map(({ text, cut }) => [text.length, cut]), [[length, undefined], [4, undefined]], `${length}`);
    assert(/^a+$/.test(lines[0]!.text));
  }
});

Deno.test("a line of more than 64 KiB comes in pieces, all with its time", () => {
  const text = Array.from({ length: 2 * LONGEST + 5 }, (_, at) => String.fromCharCode(97 + at % 26)).join("");
  assertEquals(split(written(encoder.encode(text))), [
    { stream: "stdout", time: TIME, text: text.slice(0, LONGEST), cut: true },
    { stream: "stdout", time: TIME, text: text.slice(LONGEST, 2 * LONGEST), cut: true },
    { stream: "stdout", time: TIME, text: text.slice(2 * LONGEST) },
  ]);
});

Deno.test("a character that is cut in two is read as one", () => {
  const text = "a" + "ü€😀".repeat(20_000);
  const lines = split(written(encoder.encode(text)), [1000, 7]);
  assert(lines.length > 2);
  assertEquals(lines.map((line) => line.text).join(""), text);
});

Deno.test("bytes that are no text do not spoil the next line", () => {
  const lines = split(concat(written(Uint8Array.of(0xff, 0xe2, 0x82)), written(encoder.encode("ok"))));
  assertEquals(lines.map(({ text }) => text), ["\ufffd\ufffd", "ok"]);
});

Deno.test("a line without an end is not kept in memory", () => {
  const splitter = new LogSplitter("stdout");
  const chunk = new Uint8Array(100_000).fill(97);
  let length = 0;
  for (let n = 0; n < 100; n++) {
    for (const { text, cut } of splitter.push(chunk)) {
      assert(cut && text.length <= LONGEST);
      length += text.length;
    }
    assert((n + 1) * chunk.length - length <= LONGEST);
  }
});

Deno.test("the lines do not depend on how their bytes come", () => {
  const line = fc.oneof(
    fc.string({ unit: CODE_POINT }).map((text) => text.replaceAll(/[\r\n]/g, "")),
    fc.integer({ min: PART - 40, max: 5 * PART }).map((length) => "é".repeat(length / 2)),
  );
  const sizes = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), sizes, fc.boolean(), (texts, sizes, ended) => {
      const last = texts.length - 1;
      const bytes = concat(
        ...texts.map((text, at) => written(encoder.encode(text), TIME, at < last || ended ? "\n" : "")),
      );
      const lines = split(bytes, sizes);
      assertEquals(lines, split(bytes));
      const whole: string[] = [];
      let begun = "";
      for (const { text, cut } of lines) {
        begun += text;
        if (cut) continue;
        whole.push(begun);
        begun = "";
      }
      assertEquals(whole, texts.map((text) => decoder.decode(encoder.encode(text))));
    }),
    { numRuns: 50 },
  );
});
