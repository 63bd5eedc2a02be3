import { assert, assertEquals } from "@std/assert";
import { ContainerList } from "../../src/docker/container_list.ts";
import { ContainerMemory } from "../../src/docker/container_memory.ts";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import { Rig } from "../support/container_rig.ts";
import { noDocker } from "../support/docker.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet } from "../support/permissions.ts";

const MIB = 1024 ** 2;

/** A test with an engine behind a socket that is known already. */
function socketTest(name: string, fn: (engine: FakeEngine, socket: EngineSocket, docker: FakeDocker) => Promise<void>) {
  dockerTest(name, async (docker) => {
    await using engine = await FakeEngine.start();
    await docker.on("context inspect", `unix://${engine.path}\n`);
    await docker.on("info", "ID-1\n");
    using socket = new EngineSocket(docker.command);
    await socket.find();
    await fn(engine, socket, docker);
  }, { ignore: noFakeDocker || noNet });
}

const LIST = `GET /containers/json?all=true&filters=${encodeURIComponent('{"label":["cless.owner=a1"]}')}`;

/** A container as the engine's API lists it. */
function container(name: string, state: string, labels: Record<string, string> = {}) {
  return { Id: `id-of-${name}`, Names: [`/${name}`], State: state, Status: "Up 2 hours", Labels: labels };
}

socketTest("containers are listed by the socket as by the command", async (engine, socket, docker) => {
  const labels = {
    "cless.service": "golang",
    "cless.revision": "golang-00001",
    "cless.image": "sha256:1",
    "cless.address": "10.9.0.2",
    "cless.origin": "http://10.9.0.2:8080",
  };
  engine.on(LIST, 200, [container("one", "paused", labels), { ...container("two", "removing"), Names: [] }]);
  const listed = await new ContainerList(docker.command, "a1", socket).read();
  assertEquals(listed[0], {
    id: "one",
    engineId: "id-of-one",
    service: "golang",
    revision: "golang-00001",
    imageId: "sha256:1",
    state: "paused",
    status: "Up 2 hours",
    address: "10.9.0.2",
    origin: "http://10.9.0.2:8080",
  });
  assertEquals([listed[1]!.id, listed[1]!.service], ["id-of-two", ""]);
  assertEquals(await docker.calls("ps"), []);
});

socketTest("where the kernel does not tell, the engine is asked for each container", async (engine, socket, docker) => {
  const names = ["one", "two", "three", "four", "five", "six"];
  engine.on(LIST, 200, [...names.map((name) => container(name, "running")), container("ended", "exited")]);
  const stats = (name: string, memory_stats: unknown) =>
    engine.on(`GET /containers/id-of-${name}/stats?stream=false&one-shot=true`, 200, { memory_stats });
  stats("one", { usage: 10 * MIB, stats: { total_inactive_file: 3 * MIB, inactive_file: MIB } });
  stats("two", { usage: 10 * MIB, stats: { inactive_file: MIB } });
  stats("three", { usage: 10 * MIB });
  stats("four", {}); // it has just ended
  stats("five", { usage: MIB, stats: { inactive_file: 2 * MIB } });
  const memory = new ContainerMemory(new ContainerList(docker.command, "a1", socket), socket);
  assertEquals(
    await memory.read(),
    new Map([["one", 7 * MIB], ["two", 9 * MIB], ["three", 10 * MIB], ["five", 0]].toSorted() as [string, number][]),
  );
});

dockerTest("where nobody tells, nothing is known", async (docker) => {
  await docker.on("ps", '{"id":"one","engineId":"1","state":"running","origin":""}\n', "");
  const memory = new ContainerMemory(new ContainerList(docker.command, "a1"));
  assertEquals([await memory.read(), await memory.read()], [new Map(), new Map()]);
});

Deno.test({ name: "what containers use is told, paused ones too, and grows with it", ignore: noDocker }, async () => {
  await using rig = await Rig.start();
  const small = await rig.run({ command: ["sleep", "600"] });
  const script = "x=$(seq 1 5000000); echo ready; sleep 600; :";
  const large = await rig.run({ command: ["sh", "-c", script] });
  for await (const { text } of rig.launcher.outputs.read(large, { follow: true })) if (text === "ready") break;
  await rig.launcher.pause(large);
  for (let times = 0; times < 2; times++) {
    const memory = await rig.launcher.memory();
    assertEquals([...memory.keys()].sort(), [small, large].sort());
    assert(memory.get(small)! > 0 && memory.get(small)! < 16 * MIB, `${memory.get(small)}`);
    assert(memory.get(large)! > 32 * MIB, `${memory.get(large)}`);
  }
});
