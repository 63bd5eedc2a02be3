import { assert, assertEquals, assertRejects } from "@std/assert";
import { DockerError } from "../../../src/docker/command.ts";
import { ContainerOutputs } from "../../../src/docker/logs/container_outputs.ts";
import type { LogLine } from "../../../src/docker/logs/logs.ts";
import { type Answer, dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const NOW = 1_700_000_000_000;
const OWNER = { service: "app", revision: "app-00001" };
const GONE: Answer = { stderr: "Error response from daemon: No such container: one\n", code: 1 };

function time(nanos: number): string {
  return `2026-01-02T03:04:05.${String(nanos).padStart(9, "0")}Z`;
}

function newOutputs(docker: FakeDocker): ContainerOutputs {
  return new ContainerOutputs(docker.command, () => NOW);
}

async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  return (await Array.fromAsync(lines)).map(({ text }) => text);
}

dockerTest("what a container has written before its removal can be read after it", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n${time(3)} more\n`, stderr: `${time(2)} err\n` }, GONE);
  assertEquals(outputs.list("app"), [{ id: "one", revision: "app-00001" }]);
  await outputs.keep("one");
  assertEquals(outputs.list("app"), [{ id: "one", revision: "app-00001", endedAt: NOW }]);
  assertEquals(await Array.fromAsync(outputs.read("one", { tail: 2 })), [
    { stream: "stderr", time: time(2), text: "err" },
    { stream: "stdout", time: time(3), text: "more" },
  ]);
  assertEquals(await outputs.kept("one", 1), "more");
  assertEquals(await docker.calls(), [["logs", "--timestamps", "--tail=1000", "one"]]);
});

dockerTest("a container that runs is read from the engine", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n` });
  assertEquals(await Array.fromAsync(outputs.read("one", {})), [{ stream: "stdout", time: time(1), text: "out" }]);
  await docker.on("logs", GONE);
  await assertRejects(() => texts(outputs.read("one", {})), DockerError, "No such container");
  assertEquals(await outputs.kept("one", 1), undefined);
});

dockerTest("one that is removed just when it is read is read from what is kept", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  const gate = await docker.gate();
  await docker.on("logs", { gate, ...GONE }, { stdout: `${time(1)} last words\n` });
  const read = texts(outputs.read("one", { follow: true }));
  await gate.reached();
  await outputs.keep("one");
  await gate.open();
  assertEquals(await read, ["last words"]);
});

dockerTest("nothing is read of containers that have never run, or that are known no more", async (docker) => {
  const outputs = newOutputs(docker);
  await outputs.keep("unknown");
  outputs.started("one", OWNER);
  outputs.forget("one");
  await outputs.keep("one");
  assertEquals([outputs.list("app"), await docker.calls()], [[], []]);
});

dockerTest("two who remove a container at once read its lines once", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stdout: `${time(1)} out\n` });
  await Promise.all([outputs.keep("one"), outputs.keep("one")]);
  await outputs.keep("one");
  assertEquals([(await docker.calls()).length, await texts(outputs.read("one", {}))], [1, ["out"]]);
});

dockerTest("lines that cannot be read keep nothing from being removed", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { stderr: "Error response from daemon: no luck\n", code: 1 });
  await outputs.keep("one");
  assertEquals(outputs.list("app"), []);
});

dockerTest("lines that take too long do so neither, and those that came are kept", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  await docker.on("logs", { script: `echo '${time(1)} out'; exec sleep 600` });
  const began = performance.now();
  await outputs.keep("one");
  const took = performance.now() - began;
  assert(took > 1900 && took < 4000, `${took} ms`);
  assertEquals(await texts(outputs.read("one", {})), ["out"]);
});

dockerTest("after the end is in sight nothing is kept", async (docker) => {
  const outputs = newOutputs(docker);
  outputs.started("one", OWNER);
  outputs.close();
  await outputs.keep("one");
  assertEquals([outputs.list("app"), await docker.calls()], [[], []]);
});

dockerTest("who watches a service is told of its containers alone, once each", (docker) => {
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
