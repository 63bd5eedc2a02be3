import { assert, assertEquals } from "@std/assert";
import { LogLines } from "../../../src/cli/top/log_lines.ts";

/** A log with this many lines, whose texts are their numbers. */
function newLog(count: number): LogLines {
  const log = new LogLines();
  for (let number = 0; number < count; number++) {
    log.push({ instance: "web-1", revision: "web-00001", stream: "stdout", time: undefined, text: String(number) });
  }
  return log;
}

const texts = (log: LogLines, last: number | undefined, count: number) =>
  log.upTo(last, count).map(({ text }) => text).join(" ");

Deno.test("lines are read from the newest one, or up to one that is held", () => {
  const log = newLog(10);
  assertEquals(texts(log, undefined, 3), "7 8 9");
  assertEquals(texts(log, 4, 3), "2 3 4");
  assertEquals(texts(log, 1, 3), "0 1");
  assertEquals(texts(log, undefined, 20), "0 1 2 3 4 5 6 7 8 9");
  assertEquals(texts(new LogLines(), undefined, 3), "");
});

Deno.test("only the newest lines are kept, under the numbers that they had", () => {
  const log = newLog(100_000);
  const { first, last } = log.bounds;
  assertEquals(last, 99_999);
  assert(last - first >= 1999 && last - first < 4000);
  assertEquals(texts(log, 99_000, 2), "98999 99000");
  assertEquals(texts(log, 5, 2), "", "what is held may be gone");
});

Deno.test("of a very long line, the beginning is kept", () => {
  const log = newLog(1);
  log.push({ ...log.upTo(0, 1)[0]!, text: "x".repeat(1e6) });
  assertEquals(texts(log, undefined, 1).length, 4000);
});

Deno.test("a log that begins again has no lines, and new numbers", () => {
  const log = newLog(3);
  log.clear();
  assertEquals(log.bounds, { first: 3, last: 2 });
  assertEquals(texts(log, undefined, 5), "");
});
