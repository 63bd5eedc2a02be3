import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { CommandApi } from "../../../src/docker/command_api.ts";
import type { LogLine, LogOptions } from "../../../src/docker/engine_api.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { ContainerOutputs } from "../../../src/docker/logs/outputs.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type Answer, dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const NOW = 1_700_000_000_000;
const OWNER = { service: "app", revision: "app-00001" };
const GONE: Answer = { stderr: "Error response from daemon: No such container: one\n", code: 1 };

function time(nanos: number): string {
  return `2026-01-02T03:04:05.${String(nanos).padStart(9, "0")}Z`;
}

function newOutputs(docker: FakeDocker): ContainerOutputs {
  return new ContainerOutputs(new CommandApi(docker.command), systemClock, () => NOW);
}

async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  return (await Array.fromAsync(lines)).map(({ text }) => text);
}

dockerTest("what a container has written before its removal can be read after it", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n${time(3)} more\n`, stderr: `${time(2)} err\n` }, GONE);
  assertEquals(outputs.list("app"), [{ id: "one", revision: "app-00001" }]);
  await outputs.retain("one");
  assertEquals(outputs.list("app"), [{ id: "one", revision: "app-00001", endedAt: NOW }]);
  assertEquals(await Array.fromAsync(outputs.read("one", { endedAt: NOW, tail: 2 })), [
    { stream: "stderr", time: time(2), text: "err" },
    { stream: "stdout", time: time(3), text: "more" },
  ]);
  assertEquals(await docker.calls(), [["logs", "--timestamps", "--tail=1000", "one"]]);
  assertEquals(await outputs.lastLines("one", 1), "more");
});

dockerTest("a container that runs is read from the engine", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n` });
  assertEquals(await Array.fromAsync(outputs.read("one", {})), [{ stream: "stdout", time: time(1), text: "out" }]);
  await docker.on("logs", GONE);
  await assertRejects(() => texts(outputs.read("one", {})), EngineError, "No such container");
  await assertRejects(() => outputs.lastLines("one", 1), EngineError, "No such container");
});

dockerTest("a container that is removed while its log is read is read from the retained lines", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  const gate = await docker.gate();
  await docker.on("logs", { gate, ...GONE }, { stdout: `${time(1)} last words\n` });
  const read = texts(outputs.read("one", { follow: true }));
  await gate.reached();
  await outputs.retain("one");
  await gate.open();
  assertEquals(await read, ["last words"]);
});

Deno.test("no line comes twice when a container is removed while its log is read", async () => {
  const removed = Promise.withResolvers<void>();
  const line = (text: string, nanos: number): LogLine => ({ stream: "stdout", time: time(nanos), text });
  const logs = async function* (_: string, { follow = false }: LogOptions = {}) {
    yield line("first", 1);
    if (follow) {
      await removed.promise;
      throw new EngineError("gone", "No such container: one");
    }
    yield line("last", 2);
  };
  const outputs = new ContainerOutputs({ logs }, new FakeClock(), () => NOW);
  outputs.started("one", OWNER);
  const lines = outputs.read("one", { follow: true });
  assertEquals((await lines.next()).value?.text, "first");
  await outputs.retain("one");
  removed.resolve();
  assertEquals(await texts(lines), []); // whoever follows reads the retained lines from there on
  assertEquals(await texts(outputs.read("one", {})), ["first", "last"]);
});

dockerTest("no log is read of containers that have never run or were forgotten", async (docker) => {
  const outputs = newOutputs(docker);
  await outputs.retain("unknown");
  outputs.started("one", OWNER);
  outputs.forget("one");
  await outputs.retain("one");
  assertEquals([outputs.list("app"), await docker.calls()], [[], []]);
});

dockerTest("two removals of a container at the same time read its lines once", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n` });
  await Promise.all([outputs.retain("one"), outputs.retain("one")]);
  await outputs.retain("one");
  assertEquals([(await docker.calls()).length, await texts(outputs.read("one", {}))], [1, ["out"]]);
});

dockerTest("lines that cannot be read keep nothing from being removed", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stderr: "Error response from daemon: no luck\n", code: 1 });
  await outputs.retain("one");
  assertEquals(outputs.list("app"), []);
});

Deno.test("lines that take too long keep nothing from being removed, and those that came are retained", async () => {
  const clock = new FakeClock();
  const api = {
    logs: async function* (_: string, { signal }: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
      yield { stream: "stdout", time: time(1), text: "out" };
      await new Promise((resolve) => signal!.addEventListener("abort", resolve));
    },
  };
  const outputs = new ContainerOutputs(api, clock, () => NOW);
  outputs.started("one", OWNER);
  let retained = false;
  const retaining = outputs.retain("one").then(() => retained = true);
  await clock.advance(1999);
  assertEquals(retained, false);
  await clock.advance(1);
  await retaining;
  assertEquals(await texts(outputs.read("one", { endedAt: NOW })), ["out"]);
  assertEquals(clock.timers, 0);
});

dockerTest("after close nothing is retained", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  outputs.close();
  await outputs.retain("one");
  assertEquals([outputs.list("app"), await docker.calls()], [[], []]);
});

dockerTest("a watcher of a service is called once for each of its containers, and for no others", (docker) => {
  const outputs = newOutputs(docker);
  const told: string[] = [];
  const unwatch = outputs.watch("app", ({ id, revision }) => told.push(`${id} ${revision}`));
  outputs.started("one", OWNER);
  outputs.started("one", OWNER);
  outputs.started("two", { service: "other", revision: "other-00001" });
  unwatch();
  outputs.started("three", OWNER);
  assertEquals(told, ["one app-00001"]);
  return Promise.resolve();
});

const START = Date.parse("2026-01-02T03:04:05Z");
const HOUR = 3_600_000;

/** A line that was written so many ms after the start. */
Deno.test("the last lines of a container are given up after two seconds, with those that came", async () => {
  const clock = new FakeClock();
  const logs = async function* (_: string, { signal }: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    yield line(1, "first");
    // So does a Swarm whose node is lost: it promises lines that never come.
    await new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
  };
  const outputs = new ContainerOutputs({ logs }, clock, () => NOW);
  const read = outputs.lastLines("one", 10);
  await clock.advance(2000);
  assertEquals(await read, "first");
});

function line(ms: number, text = `${ms}`, stream: LogLine["stream"] = "stdout"): LogLine {
  return { stream, time: new Date(START + ms).toISOString().replace("Z", "000000Z"), text };
}

/** Outputs with a time that a test sets, and ways to fill and read them. */
function newLogs() {
  let now = START + 10_000;
  let written: readonly LogLine[] | undefined;
  const api = {
    logs: async function* (): AsyncGenerator<LogLine, void, void> {
      if (written === undefined) throw new EngineError("gone", "No such container");
      yield* written;
    },
  };
  const logs = new ContainerOutputs(api, systemClock, () => now);
  const retain = async (id: string, lines: readonly LogLine[], of = OWNER) => {
    written = lines;
    logs.started(id, of);
    await logs.retain(id);
    written = undefined;
  };
  const run = (id: string, lines: readonly LogLine[]) => {
    written = lines;
    logs.started(id, OWNER);
  };
  const textsOf = async (id: string, options: LogOptions & { readonly endedAt?: number } = {}) =>
    await texts(logs.read(id, options));
  return { logs, retain, run, textsOf, pass: (ms: number) => now += ms };
}

Deno.test("the lines of a removed container are retained in the order of their times", async () => {
  const { retain, logs, textsOf } = newLogs();
  await retain("a", [line(1), line(4), line(2, "2", "stderr"), line(3, "3", "stderr")]);
  assertEquals(await textsOf("a"), ["1", "2", "3", "4"]);
  await assertRejects(() => textsOf("b"), EngineError, "No such container");
  assertEquals(await Array.fromAsync(logs.read("a", { tail: 1 })), [line(4)]);
});

Deno.test("retained lines are selected as docker logs selects them", async () => {
  const { retain, textsOf } = newLogs();
  await retain("a", [line(1000), line(2000), line(3000)]);
  assertEquals(await textsOf("a", { tail: 2 }), ["2000", "3000"]);
  assertEquals(await textsOf("a", { tail: 0 }), []);
  assertEquals(await textsOf("a", { tail: 9 }), ["1000", "2000", "3000"]);
  assertEquals(await textsOf("a", { since: "2026-01-02T04:04:07+01:00" }), ["2000", "3000"]);
  assertEquals(await textsOf("a", { follow: true }), ["1000", "2000", "3000"]);
  const over = AbortSignal.abort();
  assertEquals(await textsOf("a", { signal: over }), []);
});

Deno.test("a service's containers are listed, each with its end", async () => {
  const { retain, logs } = newLogs();
  await retain("a", [line(1)]);
  await retain("b", [line(1)], { service: "other", revision: "other-00001" });
  await retain("silent", []);
  assertEquals(logs.list("app"), [{ id: "a", revision: "app-00001", endedAt: START + 10_000 }]);
});

Deno.test("after an hour nothing is left", async () => {
  const { retain, logs, pass, textsOf } = newLogs();
  await retain("a", [line(1)]);
  pass(HOUR - 1);
  await retain("b", [line(1)]);
  assertEquals(logs.list("app").map(({ id }) => id), ["a", "b"]);
  pass(1);
  assertEquals(logs.list("app").map(({ id }) => id), ["b"]);
  await assertRejects(() => textsOf("a"), EngineError);
  assertEquals(await textsOf("b"), ["1"]);
});

Deno.test("of each container the last thousand lines are kept, and 256 KiB", async () => {
  const { retain, textsOf } = newLogs();
  await retain("many", Array.from({ length: 3000 }, (_, n) => line(n)));
  assertEquals((await textsOf("many")).slice(0, 1), ["2000"]);
  await retain("much", Array.from({ length: 100 }, (_, n) => line(n, `${n}`.padEnd(10_000))));
  const kept = await textsOf("much");
  assertEquals([kept.length, kept.at(-1)!.trim()], [26, "99"]);
});

Deno.test("of all containers the last 16 MiB are kept", async () => {
  const { retain, logs } = newLogs();
  const large = Array.from({ length: 25 }, (_, n) => line(n, "x".repeat(10_000)));
  for (let n = 0; n < 100; n++) await retain(`${n}`, large);
  const kept = logs.list("app").map(({ id }) => Number(id));
  assertEquals(kept.at(-1), 99);
  assert(kept.length > 60 && kept.length <= 67, `${kept.length}`);
});

Deno.test("lines that are retained again replace the earlier ones of the same container", async () => {
  const { retain, logs, textsOf } = newLogs();
  await retain("a", [line(1)]);
  await retain("a", [line(1), line(2)]);
  assertEquals([await textsOf("a"), logs.list("app").length], [["1", "2"], 1]);
});

Deno.test("several containers that had the same name one after the other are kept apart", async () => {
  const { retain, run, logs, textsOf, pass } = newLogs();
  const started: string[] = [];
  logs.watch("app", ({ id }) => started.push(id));
  await retain("a", [line(1)]);
  pass(1);
  await retain("a", [line(2)]);
  run("a", [line(3)]);
  const [first, second, third] = logs.list("app");
  assertEquals([first!.endedAt, second!.endedAt, third!.endedAt], [START + 10_000, START + 10_001, undefined]);
  const read = [await textsOf("a", first), await textsOf("a", second), await textsOf("a", third)];
  assertEquals(read, [["1"], ["2"], ["3"]]);
  const retaining = logs.retain("a");
  run("a", [line(3)]); // another one, before the lines of this one are retained
  await retaining;
  assertEquals(logs.list("app").map(({ endedAt }) => endedAt), [
    START + 10_000,
    START + 10_001,
    START + 10_001,
    undefined,
  ]);
  assertEquals(started, ["a", "a", "a", "a"]);
});
