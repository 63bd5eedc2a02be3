import { assertEquals } from "@std/assert";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import { OutOfMemory } from "../../src/docker/out_of_memory.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { dockerTest, noFakeDocker } from "../support/fake_docker.ts";
import { noNet } from "../support/permissions.ts";

dockerTest("what the engine has told is known at once, and used up", async (docker) => {
  const outOfMemory = new OutOfMemory(docker.command);
  outOfMemory.told("one");
  outOfMemory.told("two");
  assertEquals([outOfMemory.of("one", 137), outOfMemory.of("one", 1), outOfMemory.of("three", 1)], [
    true,
    false,
    false,
  ]);
  // One of its processes was killed, and the app went on, and ended well.
  assertEquals(outOfMemory.of("two", 0), false);
  assertEquals(await docker.calls(), []);
});

dockerTest("of one that was killed the engine is asked why", async (docker) => {
  const outOfMemory = new OutOfMemory(docker.command);
  await docker.on("inspect", '{"OOMKilled":true}\n', '{"OOMKilled":false}\n', "{}\n", { stderr: "no such", code: 1 });
  const of = async () => await outOfMemory.of("one", 137);
  assertEquals([await of(), await of(), await of(), await of()], [true, false, undefined, undefined]);
  assertEquals(outOfMemory.of("one", undefined), false);
});

dockerTest("an engine that takes long is not waited for", async (docker) => {
  const outOfMemory = new OutOfMemory(docker.command);
  await docker.on("inspect", { script: "exec sleep 5" });
  assertEquals(await outOfMemory.of("one", 137), undefined);
});

dockerTest("the socket is asked where there is one", async (docker) => {
  await using engine = await FakeEngine.start();
  await docker.on("context inspect", `unix://${engine.path}\n`);
  await docker.on("info", "ID-1\n");
  using socket = new EngineSocket(docker.command);
  await socket.find();
  engine.on("GET /containers/one/json", 200, { State: { OOMKilled: true } });
  const outOfMemory = new OutOfMemory(docker.command, socket);
  assertEquals([await outOfMemory.of("one", 137), await outOfMemory.of("gone", 137)], [true, undefined]);
  assertEquals(await docker.calls("inspect"), []);
}, { ignore: noFakeDocker || noNet });
