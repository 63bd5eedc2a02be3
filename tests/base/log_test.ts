import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import { jsonLine, logger, textLine } from "../../src/base/log.ts";
import { noRun } from "../support/permissions.ts";

/** A record of the library. */
function record(properties: Record<string, unknown> = {}, more: Partial<LogRecord> = {}): LogRecord {
  return {
    category: ["cless", "pool"],
    level: "info",
    message: ["instance ready"],
    rawMessage: "instance ready",
    timestamp: Date.UTC(2026, 0, 2, 3, 4, 5, 67),
    properties,
    ...more,
  };
}

/** The fields of a record in a line of text. */
function fields(properties: Record<string, unknown>): string {
  const line = textLine(record(properties), false);
  return line.slice("03:04:05.067 INFO instance ready ".length);
}

Deno.test("a JSON line has the time, the level, the part, the message and the fields", () => {
  assertEquals(
    jsonLine(record({ service: "golang", totalMs: 231, listen: ["a:1"] })),
    '{"time":"2026-01-02T03:04:05.067Z","level":"info","part":"pool","message":"instance ready",' +
      '"service":"golang","totalMs":231,"listen":["a:1"]}',
  );
});

Deno.test("a JSON line is one line, whatever is in it, and leaves out what is missing", () => {
  const line = jsonLine(record({ output: 'panic:\n\t"x"\u2028\x1b[31m', exitCode: undefined }));
  assert(!/\p{Cc}/u.test(line));
  assertEquals(JSON.parse(line).output, 'panic:\n\t"x"\u2028\x1b[31m');
  assertEquals("exitCode" in JSON.parse(line), false);
});

Deno.test("no field replaces the time, level, part or message of a line", () => {
  const line = JSON.parse(jsonLine(record({ time: 0, level: "none", message: "other", part: "other" })));
  assertEquals(line, {
    time: "2026-01-02T03:04:05.067Z",
    level: "info",
    part: "pool",
    message: "instance ready",
  });
});

Deno.test("a text line has the time of day, the level in four letters, the message and the fields", () => {
  assertEquals(
    textLine(record({ service: "golang", totalMs: 231 }), false),
    "03:04:05.067 INFO instance ready service=golang totalMs=231",
  );
  const levels = (["debug", "info", "warning", "error"] as const).map((level) =>
    textLine(record({}, { level }), false)
  );
  assertEquals(
    levels.map((line) => line.slice(13)),
    ["DEBU", "INFO", "WARN", "ERRO"].map((l) => `${l} instance ready`),
  );
});

Deno.test("a text line quotes what could be misread, and leaves out what is missing", () => {
  assertEquals(fields({ a: "two words", b: 'a"b', c: "a=b", d: undefined }), 'a="two words" b="a\\"b" c="a=b"');
  assertEquals(fields({ a: "", b: null, c: ["x", "y z"], d: true }), 'a="" b=null c=["x","y z"] d=true');
  assertEquals(fields({ a: "one\ntwo", b: "\u2028" }), 'a="one\\ntwo" b="\u2028"');
});

Deno.test("a text line has no control characters from fields", () => {
  assertEquals(fields({ output: "\x1b[2J", bell: "\x07" }), 'output="\\u001b[2J" bell="\\u0007"');
});

Deno.test("a text line has colours only if they are wanted", () => {
  assertEquals(textLine(record(), true), "03:04:05.067 \x1b[32mINFO\x1b[0m instance ready");
  assertEquals(textLine(record({}, { level: "error" }), true), "03:04:05.067 \x1b[31mERRO\x1b[0m instance ready");
});

Deno.test("a program that has not set up logging logs nothing", () => {
  logger("test").error("nobody reads this", { secret: true });
});

/** Starts a program that logs to a pipe; `wrapper` is a command that runs it. */
function logging(settings: { format: string; level: string }, body: string, wrapper: string[] = []): Deno.ChildProcess {
  const log = new URL("../../src/base/log.ts", import.meta.url).href;
  const code = `import { configureLogging, logger } from "${log}";
    const settings = ${JSON.stringify({ ...settings, colour: false })};
    configureLogging(settings);
    const log = logger("test");
    ${body}
    Deno.exit(7);`;
  const [command = "", ...args] = [...wrapper, Deno.execPath(), "eval", "--quiet", code];
  return new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
}

Deno.test({
  name: "no line is lost or broken on its way through a pipe, though the program ends at once",
  ignore: noRun,
  fn: async () => {
    const padding = "x".repeat(100);
    const body = `for (let n = 0; n < 10_000; n++) log.info("line", { n, padding: "${padding}" });`;
    const child = logging({ format: "json", level: "info" }, body);
    const { code, stderr } = await child.output();
    const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
    assertEquals(lines.length, 10_000);
    for (const [n, line] of lines.entries()) assertEquals(JSON.parse(line).n, n);
    assertEquals(code, 7);
  },
});

/** Whether there is no perl, which prepares a pipe. */
const noPerl = noRun || !await new Deno.Command("perl", { args: ["-e", "1"] }).output().then(() => true, () => false);

Deno.test({
  name: "no line is lost on a non-blocking pipe",
  ignore: noPerl,
  fn: async () => {
    const nonBlocking = ["perl", "-MFcntl", "-e", "fcntl(STDERR, F_SETFL, O_WRONLY | O_NONBLOCK); exec @ARGV"];
    const body = `for (let n = 0; n < 10_000; n++) log.info("line", { n, padding: "x".repeat(500) });`;
    const child = logging({ format: "json", level: "info" }, body, nonBlocking);
    const { code, stderr } = await child.output();
    const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
    assertEquals(lines.map((line) => JSON.parse(line).n), Array.from({ length: 10_000 }, (_, n) => n));
    assertEquals(code, 7);
  },
});

Deno.test({
  name: "a program goes on when the reader of its log has gone",
  ignore: noRun,
  fn: async () => {
    const child = logging(
      { format: "text", level: "info" },
      `for (let n = 0; n < 10_000; n++) log.info("line", { n });`,
    );
    await child.stderr.cancel();
    assertEquals((await child.status).code, 7);
  },
});

Deno.test({
  name: "lines below the level are not written",
  ignore: noRun,
  fn: async () => {
    const body = `for (const level of ["debug", "info", "warning", "error"]) log[level]("at " + level, {});`;
    const { stderr } = await logging({ format: "text", level: "warning" }, body).output();
    const text = new TextDecoder().decode(stderr);
    assertMatch(text, /^\S+ WARN at warning\n\S+ ERRO at error\n$/);
  },
});

Deno.test({
  name: "a log that is configured twice is written once, in the last format",
  ignore: noRun,
  fn: async () => {
    const body = `configureLogging({ ...settings, format: "json" }); log.info("once", { password: undefined });`;
    const { stderr } = await logging({ format: "text", level: "info" }, body).output();
    const text = new TextDecoder().decode(stderr);
    assertEquals(text.trimEnd().split("\n").length, 1);
    assertStringIncludes(text, '"message":"once"');
  },
});
