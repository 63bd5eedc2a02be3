import { assert, assertEquals } from "@std/assert";
import { EndedLogs, lastLines } from "../../../src/docker/logs/ended_logs.ts";
import type { LogLine, LogOptions } from "../../../src/docker/logs/logs.ts";

const START = Date.parse("2026-01-02T03:04:05Z");
const HOUR = 3_600_000;
const OF = { service: "app", revision: "app-00001" };

/** A line that was written so many ms after the start. */
function line(ms: number, text = `${ms}`, stream: LogLine["stream"] = "stdout"): LogLine {
  return { stream, time: new Date(START + ms).toISOString().replace("Z", "000000Z"), text };
}

/** Logs with a time that a test sets, and ways to fill and read them. */
function newLogs() {
  let now = START + 10_000;
  const logs = new EndedLogs(() => now);
  const keep = (id: string, lines: readonly LogLine[], of = OF) => {
    const last = lastLines();
    for (const line of lines) last.push(line);
    logs.keep(id, of, last);
  };
  const texts = async (id: string, options: LogOptions = {}) =>
    (await Array.fromAsync(logs.read(id, options))).map(({ text }) => text);
  return { logs, keep, texts, pass: (ms: number) => now += ms };
}

Deno.test("the lines of a container that is gone are kept in the order of their times", async () => {
  const { keep, logs, texts } = newLogs();
  keep("a", [line(1), line(4), line(2, "2", "stderr"), line(3, "3", "stderr")]);
  assertEquals(await texts("a"), ["1", "2", "3", "4"]);
  assertEquals(await texts("b"), []);
  assertEquals(await Array.fromAsync(logs.read("a", { tail: 1 })), [line(4)]);
});

Deno.test("what is read of kept lines is what docker logs would give", async () => {
  const { keep, texts } = newLogs();
  keep("a", [line(1000), line(2000), line(3000)]);
  assertEquals(await texts("a", { tail: 2 }), ["2000", "3000"]);
  assertEquals(await texts("a", { tail: 0 }), []);
  assertEquals(await texts("a", { tail: 9 }), ["1000", "2000", "3000"]);
  assertEquals(await texts("a", { since: "2026-01-02T04:04:07+01:00" }), ["2000", "3000"]);
  assertEquals(await texts("a", { follow: true }), ["1000", "2000", "3000"]);
  const over = AbortSignal.abort();
  assertEquals(await texts("a", { signal: over }), []);
});

Deno.test("a service's containers are listed, each with its end", () => {
  const { keep, logs } = newLogs();
  keep("a", [line(1)]);
  keep("b", [line(1)], { service: "other", revision: "other-00001" });
  keep("silent", []);
  assertEquals(logs.list("app"), [{ id: "a", revision: "app-00001", endedAt: START + 10_000 }]);
  assertEquals([logs.has("a"), logs.has("silent")], [true, false]);
});

Deno.test("after an hour nothing is left", async () => {
  const { keep, logs, pass, texts } = newLogs();
  keep("a", [line(1)]);
  pass(HOUR - 1);
  keep("b", [line(1)]);
  assertEquals(logs.list("app").map(({ id }) => id), ["a", "b"]);
  pass(1);
  assertEquals(logs.list("app").map(({ id }) => id), ["b"]);
  assertEquals([await texts("a"), await texts("b")], [[], ["1"]]);
});

Deno.test("of each container the last thousand lines are kept, and 256 KiB", async () => {
  const { keep, texts } = newLogs();
  keep("many", Array.from({ length: 3000 }, (_, n) => line(n)));
  assertEquals((await texts("many")).slice(0, 1), ["2000"]);
  keep("much", Array.from({ length: 100 }, (_, n) => line(n, `${n}`.padEnd(10_000))));
  const kept = await texts("much");
  assertEquals([kept.length, kept.at(-1)!.trim()], [26, "99"]);
});

Deno.test("of all containers the last 16 MiB are kept", () => {
  const { keep, logs } = newLogs();
  const large = Array.from({ length: 25 }, (_, n) => line(n, "x".repeat(10_000)));
  for (let n = 0; n < 100; n++) keep(`${n}`, large);
  const kept = logs.list("app").map(({ id }) => Number(id));
  assertEquals(kept.at(-1), 99);
  assert(kept.length > 60 && kept.length <= 67, `${kept.length}`);
});

Deno.test("a container that is kept again takes its own place", async () => {
  const { keep, logs, texts } = newLogs();
  keep("a", [line(1)]);
  keep("a", [line(2)]);
  assertEquals([await texts("a"), logs.list("app").length], [["2"], 1]);
});
