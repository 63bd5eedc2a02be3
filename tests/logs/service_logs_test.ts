import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InvalidError } from "../../src/control/schema/invalid.ts";
import type { ServiceLogLine } from "../../src/logs/instance_output.ts";
import { type ServiceLogOptions, ServiceLogs } from "../../src/logs/service_logs.ts";
import { settle } from "../support/fake_clock.ts";
import { at, FakeOutputs } from "./fake_outputs.ts";

const NOW = Date.parse("2026-01-02T03:04:06Z");

/** The logs of instances that a test makes. */
function newLogs() {
  const outputs = new FakeOutputs();
  const logs = new ServiceLogs(outputs, () => NOW);
  const read = (options: Partial<ServiceLogOptions> = {}) =>
    logs.read("app", { follow: false, signal: never(), ...options });
  const texts = async (options: Partial<ServiceLogOptions> = {}) =>
    (await Array.fromAsync(read(options))).map(({ text }) => text);
  /** The next lines that are followed. */
  const take = async (lines: AsyncIterator<ServiceLogLine>, count: number) => {
    const taken: string[] = [];
    for (let n = 0; n < count; n++) taken.push((await lines.next()).value?.text ?? "end");
    return taken;
  };
  /** Checks that nothing is left running. */
  const assertOver = () => assertEquals([outputs.readers, outputs.watchers.size], [0, 0]);
  return { outputs, read, texts, take, assertOver };
}

const never = () => new AbortController().signal;

Deno.test("the lines of the instances come one instance after the other, in order, each with its instance", async () => {
  const { outputs, read, assertOver } = newLogs();
  outputs.add("a", [[1, "a1"], [4, "a4"]]);
  outputs.add("b", [[2, "b2"], [3, "!b3"], [5, "b5"]], { revision: "app-00002" });
  outputs.add("c", [[6, "another service"]], { service: "other" });
  const lines = await Array.fromAsync(read());
  assertEquals(lines.map(({ text }) => text), ["a1", "a4", "b2", "!b3", "b5"]);
  assertEquals(lines[3], { instance: "b", revision: "app-00002", stream: "stderr", time: at(3), text: "!b3" });
  assertOver();
});

Deno.test("the lines of an instance's two streams are put in order of time", async () => {
  const { outputs, texts } = newLogs();
  outputs.add("a", [[1, "1"], [4, "4"], [5, "5"], [2, "!2"], [3, "!3"], [6, "!6"]]);
  assertEquals(await texts(), ["1", "!2", "!3", "4", "5", "!6"]);
});

Deno.test("the lines of an instance's two streams are put in order of time after much output too", async () => {
  const { outputs, texts } = newLogs();
  const much = Array.from({ length: 1000 }, (_, n): [nanos: number, text: string] => [n, "x".repeat(1024)]);
  outputs.add("a", [...much, [1001, "1001"], [1000, "!1000"]]);
  assertEquals((await texts()).slice(-2), ["!1000", "1001"]);
});

Deno.test("lines with the same time keep their order", async () => {
  const { outputs, texts } = newLogs();
  outputs.add("a", [[1, "1"], [1, "2"], [1, "3"]]);
  assertEquals(await texts(), ["1", "2", "3"]);
});

Deno.test("the number of last lines is for each instance", async () => {
  const { outputs, texts } = newLogs();
  outputs.add("a", [[1, "a1"], [3, "a3"], [5, "a5"]]);
  assertEquals(await texts({ tail: 2 }), ["a3", "a5"]);
  outputs.add("b", [[2, "b2"], [4, "b4"]]);
  assertEquals(await texts({ tail: 1 }), ["a5", "b4"]);
  assertEquals(await texts({ tail: 99 }), ["a1", "a3", "a5", "b2", "b4"]);
  outputs.reads.length = 0;
  assertEquals(await texts({ tail: 0 }), []);
  assertEquals(outputs.reads, []);
});

Deno.test("only lines since a time, or since a duration ago, are read", async () => {
  const { outputs, texts } = newLogs();
  outputs.add("a", [[1, "1"], [2, "2"]]);
  assertEquals(await texts({ since: "2026-01-02T05:04:05.000000002+02:00" }), ["2"]);
  assertEquals(await texts({ since: "1s" }), ["1", "2"]);
  assertEquals(await texts({ since: "999ms" }), []);
  assertEquals(outputs.reads.map(({ options }) => options.since), [
    at(2),
    "2026-01-02T03:04:05.000000000Z",
    "2026-01-02T03:04:05.001000000Z",
  ]);
});

Deno.test("a wrong time is refused before anything is read", () => {
  const { read } = newLogs();
  for (const since of ["", "0", "yesterday", "1.5h", "--tail=1", "2026-01-02"]) {
    assertThrows(() => read({ since }), InvalidError, "since: must be a time");
  }
});

Deno.test("the lines of one revision can be read alone, also of instances that start later", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "old"]]);
  outputs.add("b", [[2, "new"]], { revision: "app-00002" });
  const lines = read({ revision: "app-00002", follow: true });
  assertEquals(await take(lines, 1), ["new"]);
  const next = take(lines, 1);
  outputs.start("c");
  outputs.write("c", 3, "old again");
  outputs.start("d", { revision: "app-00002" });
  outputs.write("d", 4, "newer");
  assertEquals(await next, ["newer"]);
  await lines.return();
});

Deno.test("an instance that has ended is shown, and not followed", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("ended", [[2, "ended"]], { endedAt: NOW - 1 });
  outputs.add("runs", [[3, "runs"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 2), ["ended", "runs"]);
  const next = take(lines, 1);
  await settle();
  outputs.write("runs", 4, "more");
  assertEquals(await next, ["more"]);
  assertEquals(outputs.reads.filter(({ options }) => options.follow).map(({ id }) => id), ["runs"]);
  await lines.return();
});

Deno.test("following continues after the lines that were read, without a gap and no line twice", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  outputs.add("a", [[1, "1"], [3, "3"], [3, "3 too"], [2, "!2"]]);
  const lines = read({ follow: true, tail: 3 });
  assertEquals(await take(lines, 3), ["!2", "3", "3 too"]);
  outputs.write("a", 3, "3 as well"); // between the two passes
  outputs.write("a", 4, "!4");
  assertEquals(await take(lines, 2), ["3 as well", "!4"]);
  assertEquals(outputs.reads.at(-1)!.options, { follow: true, since: "2026-01-02T03:04:04.000Z" });
  await lines.return();
  assertOver();
});

Deno.test("no line comes twice, also if the machine's clock was set back while the app wrote", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "1"], [4, "4"], [3, "3"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 3), ["1", "3", "4"]);
  outputs.write("a", 5, "5");
  assertEquals(await take(lines, 1), ["5"]);
  await lines.return();
});

Deno.test("a tail of 0 reads only new lines", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "1"]]);
  const lines = read({ follow: true, tail: 0 });
  const next = take(lines, 1);
  await settle();
  outputs.write("a", 2, "2");
  assertEquals(await next, ["2"]);
  assertEquals(outputs.reads.map(({ options }) => options), [{ follow: true, tail: 0 }]);
  await lines.return();
});

Deno.test("instances that start later are followed, also if there was none", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  const lines = read({ follow: true });
  const next = take(lines, 1);
  await settle();
  outputs.start("a");
  outputs.tell("a"); // it is followed once, however often it is reported
  outputs.write("a", 1, "a1");
  assertEquals(await next, ["a1"]);
  const more = take(lines, 2);
  outputs.start("b");
  outputs.write("b", 2, "b2");
  outputs.write("a", 3, "a3");
  assertEquals(await more, ["b2", "a3"]);
  await lines.return();
  assertOver();
});

Deno.test("an instance that starts while the past is read is followed once", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "a1"], [2, "a2"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 1), ["a1"]);
  outputs.start("b");
  outputs.write("b", 3, "b3");
  assertEquals(await take(lines, 2), ["a2", "b3"]);
  outputs.write("b", 4, "b4");
  outputs.write("a", 5, "a5");
  assertEquals(await take(lines, 2), ["b4", "a5"]);
  assertEquals(outputs.reads.map(({ id }) => id).sort(), ["a", "a", "b"]);
  await lines.return();
});

Deno.test("an instance that could not be read when it was new is followed when it runs", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "a1"]]);
  outputs.fail("a", new Error("No such container: a"));
  const lines = read({ follow: true });
  const next = take(lines, 1);
  await settle();
  outputs.start("a");
  outputs.write("a", 2, "a2");
  assertEquals(await next, ["a2"]);
  await lines.return();
});

Deno.test("new lines of several instances come as they are written, whatever their times", async () => {
  const { outputs, read, take } = newLogs();
  outputs.add("a", [[1, "a1"]]);
  outputs.add("b", [[2, "b2"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 2), ["a1", "b2"]);
  const next = take(lines, 3);
  await settle();
  outputs.write("b", 4, "b4");
  await settle();
  outputs.write("a", 3, "a3");
  await settle();
  outputs.write("b", 5, "b5");
  assertEquals(await next, ["b4", "a3", "b5"]);
  await lines.return();
});

Deno.test("the last lines of an instance that a follower was cut off from are fetched", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  outputs.add("a", [[1, "1"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 1), ["1"]);
  const next = take(lines, 2);
  await settle();
  outputs.write("a", 2, "2");
  await settle();
  outputs.end("a", NOW, 2);
  outputs.write("a", 3, "3");
  outputs.write("a", 4, "!4");
  assertEquals(await next, ["2", "3"]);
  assertEquals(await take(lines, 1), ["!4"]);
  await lines.return();
  assertOver();
});

Deno.test("an instance that cannot be read takes nothing from the others", async () => {
  const { outputs, texts, assertOver } = newLogs();
  outputs.add("a", [[1, "a1"]]);
  outputs.add("b", [[2, "b2"]]);
  outputs.fail("b", new Error("no luck"));
  assertEquals(await texts(), ["a1"]);
  outputs.fail("a", new Error("no luck either"));
  await assertRejects(() => texts(), Error, "no luck");
  assertOver();
});

Deno.test("an instance that cannot be followed takes nothing from the others", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  outputs.add("a", [[1, "a1"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 1), ["a1"]);
  const next = take(lines, 1);
  await settle();
  outputs.add("b", [[2, "b2"]]);
  outputs.fail("b", new Error("no luck"));
  outputs.tell("b");
  await settle();
  outputs.write("a", 3, "a3");
  assertEquals(await next, ["a3"]);
  await lines.return();
  assertOver();
});

Deno.test("a service without instances has no lines", async () => {
  const { texts, assertOver } = newLogs();
  assertEquals(await texts(), []);
  assertOver();
});

Deno.test("a signal ends the lines without an error, whatever they are waiting for", async () => {
  for (const follow of [false, true]) {
    const { outputs, read, assertOver } = newLogs();
    outputs.add("a", [[1, "1"], [2, "2"]]);
    const controller = new AbortController();
    const lines = read({ follow, signal: controller.signal });
    assertEquals((await lines.next()).value!.text, "1");
    controller.abort();
    assertEquals((await lines.next()).done, true);
    assertOver();
  }
  const { outputs, read, take, assertOver } = newLogs();
  outputs.add("a", [[1, "1"]]);
  const controller = new AbortController();
  const lines = read({ follow: true, signal: controller.signal });
  assertEquals(await take(lines, 1), ["1"]);
  const next = lines.next();
  await settle();
  controller.abort();
  outputs.write("a", 2, "2");
  assertEquals((await next).done, true);
  assertOver();
  assertEquals(await Array.fromAsync(read({ signal: controller.signal })), []);
});

Deno.test("a reader that breaks off leaves nothing, early or late", async () => {
  for (const [follow, count] of [[false, 1], [true, 1], [true, 2], [true, 3]] as const) {
    const { outputs, read, take, assertOver } = newLogs();
    outputs.add("a", [[1, "1"], [2, "2"]]);
    const lines = read({ follow });
    const next = take(lines, count);
    await settle();
    outputs.write("a", 3, "3");
    await next;
    await lines.return();
    assertOver();
  }
});

Deno.test("many lines are not read before they are wanted, and come in order all the same", async () => {
  const { outputs, read, assertOver } = newLogs();
  const count = 20_000;
  for (const [first, id] of ["a", "b", "c"].entries()) {
    const numbers = Array.from({ length: count }, (_, n) => first * count + n);
    outputs.add(id, numbers.map((n) => [n, `${n % 5 === 0 ? "!" : ""}${n}`]));
  }
  const lines = read();
  const next = async () => Number((await lines.next()).value!.text.replace("!", ""));
  for (let n = 0; n < 100; n++) assertEquals(await next(), n);
  await settle();
  assert(outputs.given < 10_000, `${outputs.given} lines`);
  for (let n = 100; n < count * 3; n++) {
    const number = await next();
    if (number !== n) assertEquals(number, n);
  }
  assertEquals((await lines.next()).done, true);
  assertOver();
});

Deno.test("one line of each instance is read in advance for a follower that does not read", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  const lines = read({ follow: true });
  const next = take(lines, 1);
  await settle();
  for (const id of ["a", "b"]) outputs.start(id);
  for (let n = 0; n < 100; n++) {
    for (const id of ["a", "b"]) outputs.write(id, n, `${id}${n}`);
  }
  assertEquals(await next, ["a0"]);
  await settle();
  assert(outputs.given <= 4, `${outputs.given} lines`);
  assertEquals(await take(lines, 5), ["b0", "a1", "b1", "a2", "b2"]);
  await lines.return();
  assertOver();
});

Deno.test("an instance that starts again under the same id is followed again, and no line comes twice", async () => {
  const { outputs, read, take, assertOver } = newLogs();
  outputs.add("a", [[1, "a1"]]);
  const lines = read({ follow: true });
  assertEquals(await take(lines, 1), ["a1"]);
  const next = take(lines, 4);
  await settle();
  outputs.end("a", NOW);
  await settle();
  outputs.start("a");
  await settle();
  outputs.write("a", 2, "a2");
  await settle();
  outputs.tell("a"); // the third one, before the end of the second one is known
  outputs.write("a", 3, "a3");
  outputs.end("a", NOW);
  outputs.add("a", []);
  await settle();
  outputs.write("a", 4, "a4");
  await settle();
  outputs.end("a", NOW);
  await settle();
  outputs.add("a", [[5, "a5"]]);
  outputs.tell("a");
  assertEquals(await next, ["a2", "a3", "a4", "a5"]);
  await lines.return();
  assertOver();
});
