import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import type { Access } from "../../src/proxy/access_line.ts";
import { type AccessFile, AccessLog, openAccessFile } from "../../src/proxy/access_log.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { noRead, noWrite } from "../support/permissions.ts";

/** A request whose line is known by its target, and is long enough if that is. */
function access(target: string): Access {
  return {
    ...{ client: "192.0.2.1", host: "app.localhost", method: "GET", target, protocol: "HTTP/1.1", status: 200 },
    ...{ bytes: 2, headersMs: 1, totalMs: 2, service: "app", revision: "app-00001", instance: "one" },
    ...{ start: undefined, user: undefined, error: undefined, headers: [] },
  };
}

/** A file in memory. */
class FakeFile implements AccessFile {
  text = "";
  writes = 0;
  closed = false;
  /** What becomes of the next writes; they take everything if this is empty. */
  readonly next: ((bytes: Uint8Array) => number | Promise<number>)[] = [];

  async write(bytes: Uint8Array): Promise<number> {
    this.writes++;
    const count = await (this.next.shift() ?? (({ length }) => length))(bytes);
    this.text += new TextDecoder().decode(bytes.subarray(0, count));
    return count;
  }

  close(): void {
    this.closed = true;
  }

  /** The targets of its lines; fails if one of them is not whole. */
  get targets(): string[] {
    assert(this.text === "" || this.text.endsWith("\n"), this.text.slice(-100));
    return this.text.split("\n").slice(0, -1).map((line) => JSON.parse(line).target);
  }
}

function fails(error: Error): () => number {
  return () => {
    throw error;
  };
}

function full(): () => number {
  return fails(new Error("No space left on device (os error 28)"));
}

async function setUp() {
  const clock = new FakeClock();
  const files: FakeFile[] = [];
  const opening: { fails: boolean } = { fails: false };
  const log = await AccessLog.begin({
    ...{ clock, now: () => 0, format: "json", withQuery: false },
    open() {
      if (opening.fails) return Promise.reject(new OperatorError("cannot open the access log"));
      files.push(new FakeFile());
      return Promise.resolve(files.at(-1)!);
    },
  });
  return { clock, files, log, opening, file: files[0]! };
}

/** Collects what is logged meanwhile, as messages with their fields. */
async function logged(work: () => Promise<void>): Promise<[message: string, fields: Record<string, unknown>][]> {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [
      { category: "cless", lowestLevel: "info", sinks: ["all"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
    ],
  });
  try {
    await work();
  } finally {
    resetSync();
  }
  return records.map(({ message, properties }) => [message.join(""), properties]);
}

const TROUBLE = "the access log cannot be written; lines wait in memory, and are lost if they become too many";

Deno.test("lines are written together, a second after the first of them", async () => {
  const { clock, file, log } = await setUp();
  for (const target of ["/1", "/2", "/3"]) log.write(access(target));
  await clock.advance(999);
  assertEquals(file.writes, 0);
  await clock.advance(1);
  assertEquals([file.writes, file.targets], [1, ["/1", "/2", "/3"]]);
  await clock.advance(10_000);
  assertEquals([file.writes, clock.timers], [1, 0]);
});

Deno.test("many lines are written at once, without a second's wait, and one write follows the other", async () => {
  const { clock, file, log } = await setUp();
  const slow = Promise.withResolvers<number>();
  file.next.push(() => slow.promise);
  const long = "/" + "x".repeat(70_000);
  log.write(access(long));
  log.write(access(`${long}2`));
  log.write(access("/3"));
  await clock.advance(5000);
  assertEquals([file.writes, file.text], [1, ""]);
  slow.resolve(70_000); // not all of the first line
  await settle();
  assertEquals([file.writes, file.targets], [3, [long, `${long}2`, "/3"]]);
});

Deno.test("while the disk is full, lines wait and the operator is told once; then none is lost or torn", async () => {
  const { clock, file, log } = await setUp();
  const told = await logged(async () => {
    file.next.push(() => 10, full(), full(), full());
    log.write(access("/1"));
    await clock.advance(2000);
    log.write(access("/2"));
    await clock.advance(1000);
    assertEquals([file.writes, file.text.length], [4, 10]);
    await clock.advance(1000);
    assertEquals(file.targets, ["/1", "/2"]);
  });
  assertEquals(told, [
    [TROUBLE, { reason: "No space left on device" }],
    ["the access log is written again", { lost: 0 }],
  ]);
});

Deno.test("a file that hangs takes a bounded part of the memory, and what is lost is counted", async () => {
  const { clock, file, log } = await setUp();
  const told = await logged(async () => {
    const hanging = Promise.withResolvers<number>();
    file.next.push(() => hanging.promise);
    log.write(access("/first"));
    await clock.advance(1000);
    const long = "x".repeat(100_000);
    for (let line = 0; line < 100; line++) log.write(access(`/${line}-${long}`));
    hanging.resolve(0); // it takes nothing, and then everything
    await settle();
    const { targets } = file;
    assertEquals(targets.slice(0, 2).map((target) => target.slice(0, 6)), ["/first", "/0-xxx"]);
    assert(file.text.length < 2.2 * 1024 ** 2, String(file.text.length));
    assertEquals(targets.length, 1 + 21);
    assertEquals(log.lost, 100 - 21);
  });
  assertEquals(told, [
    [TROUBLE, { reason: "it takes the lines too slowly" }],
    ["the access log is written again", { lost: 100 - 21 }],
  ]);
});

Deno.test("a pipe that is full is tried again soon, and nobody is told", async () => {
  const { clock, file, log } = await setUp();
  const told = await logged(async () => {
    file.next.push(...Array.from({ length: 5 }, () => fails(new Deno.errors.WouldBlock("os error 11"))));
    log.write(access("/1"));
    await clock.advance(1000 + 50);
    assertEquals([file.writes, file.targets], [6, ["/1"]]);
  });
  assertEquals(told, []);
});

Deno.test("after it was renamed, the file is opened again, and what waits goes to the new one", async () => {
  const { clock, files, log } = await setUp();
  log.write(access("/1"));
  await clock.advance(1000);
  log.write(access("/2"));
  log.reopen();
  await settle();
  assertEquals(files.map(({ closed }) => closed), [true, false]);
  log.write(access("/3"));
  await clock.advance(1000);
  assertEquals(files.map(({ targets }) => targets), [["/1"], ["/2", "/3"]]);
});

Deno.test("a new file has no half of a line, and is opened without a wait for the disk of the old one", async () => {
  const { clock, file, files, log } = await setUp();
  const told = await logged(async () => {
    file.next.push(() => 10, full());
    log.write(access("/torn"));
    log.write(access("/2"));
    await clock.advance(1000);
    log.reopen();
    await settle();
  });
  assertEquals([file.text.length, files.map(({ closed }) => closed)], [10, [true, false]]);
  assertEquals(files[1]!.targets, ["/2"]);
  assertEquals(told.at(-1), ["the access log is written again", { lost: 1 }]);
});

Deno.test("if the file cannot be opened again, the lines go on to the old one", async () => {
  const { clock, file, log, opening } = await setUp();
  const told = await logged(async () => {
    opening.fails = true;
    log.reopen();
    log.write(access("/1"));
    await clock.advance(1000);
  });
  assertEquals([file.closed, file.targets], [false, ["/1"]]);
  assertEquals(told, [["cannot open the access log again; the lines go on to the old file", {
    reason: "cannot open the access log",
  }]]);
});

Deno.test("at the end, what waits is written, and a file that hangs does not keep the program", async () => {
  const { clock, file, log } = await setUp();
  log.write(access("/1"));
  await log[Symbol.asyncDispose]();
  assertEquals([file.closed, file.targets, clock.timers], [true, ["/1"], 0]);
  log.write(access("/late"));
  await log[Symbol.asyncDispose]();
  assertEquals([file.writes, clock.timers], [1, 0]);

  const other = await setUp();
  const told = await logged(async () => {
    other.file.next.push(() => new Promise(() => {}));
    other.log.write(access("/1"));
    await other.clock.until(other.log[Symbol.asyncDispose]());
  });
  assertEquals([other.file.closed, told], [true, [["the last lines of the access log are lost", {}]]]);
});

Deno.test("at the end, a full disk does not keep the program either", async () => {
  const { clock, file, log } = await setUp();
  const told = await logged(async () => {
    file.next.push(full(), full());
    log.write(access("/1"));
    await clock.advance(1000);
    await log[Symbol.asyncDispose]();
  });
  assertEquals([file.closed, clock.timers], [true, 0]);
  assertEquals(told.map(([message]) => message), [TROUBLE, "the last lines of the access log are lost"]);
});

/** A test with a folder of its own. */
function folderTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "access-log-" });
      await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
    },
  });
}

async function append(path: string, text: string): Promise<void> {
  const file = await openAccessFile(path);
  await file.write(new TextEncoder().encode(text));
  file.close();
}

folderTest(
  "a new file is readable by its owner and group, whatever the umask, and an old one is kept",
  async (folder) => {
    const path = `${folder}/access.log`;
    const before = Deno.umask(0o077);
    try {
      await append(path, "one\n");
    } finally {
      Deno.umask(before);
    }
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o640);
    await Deno.chmod(path, 0o600);
    await append(path, "two\n");
    assertEquals([await Deno.readTextFile(path), (await Deno.stat(path)).mode! & 0o777], ["one\ntwo\n", 0o600]);
  },
);

Deno.test({
  name: "a disk that is full in truth is told of in one line, and keeps nobody waiting",
  ignore: noRead || noWrite || !await Deno.stat("/dev/full").then(() => true, () => false),
  fn: async () => {
    const clock = new FakeClock();
    const open = () => openAccessFile("/dev/full");
    const told = await logged(async () => {
      const log = await AccessLog.begin({ clock, now: () => 0, format: "combined", withQuery: false, open });
      log.write(access("/1"));
      await clock.until(log[Symbol.asyncDispose]());
    });
    assertEquals(told, [
      [TROUBLE, { reason: "No space left on device" }],
      ["the last lines of the access log are lost", {}],
    ]);
  },
});

folderTest("a file that cannot be opened is an error that names it and the flag", async (folder) => {
  for (const path of [folder, `${folder}/none/access.log`]) {
    const error = await assertRejects(() => openAccessFile(path), OperatorError);
    assert(error.message.startsWith(`cannot open the access log ${path}: `), error.message);
    assert(error.message.endsWith("; see --access-log"), error.message);
    assert(!error.message.includes("\n") && !error.message.includes("os error"), error.message);
  }
});
