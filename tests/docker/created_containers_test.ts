import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CommandOptions, DockerCommand, DockerError } from "../../src/docker/command.ts";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import { createArgs } from "../../src/docker/run_args.ts";
import { EngineAway } from "../../src/pool/launcher.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet } from "../support/permissions.ts";
import { ADDRESS_TAKEN, addresses, ID, NETWORK, newLauncher, OWNER, REVISION } from "./launcher_kit.ts";

const ORIGIN = "http://10.9.0.2:8080";
const NEXT_ORIGIN = "http://10.9.0.3:8080";

/** A launcher with the container `one` made in advance. */
async function newCreated(docker: FakeDocker, revision = REVISION, options: Parameters<typeof newLauncher>[1] = {}) {
  const launcher = await newLauncher(docker, options);
  await docker.on("create", `${ID}\n`);
  await docker.on("start", "one\n");
  await launcher.create({ id: "one", revision });
  return launcher;
}

/** What the engine was asked to do with containers, without arguments. */
async function verbs(docker: FakeDocker): Promise<string[]> {
  return (await docker.calls()).map(([verb]) => verb!).filter((verb) => verb !== "network");
}

dockerTest("a container is made at an address of its own, and started there", async (docker) => {
  const launcher = await newCreated(docker);
  const placement = { id: "one", owner: OWNER, network: NETWORK, address: "10.9.0.2", hostPort: undefined };
  assertEquals(await docker.calls("create"), [createArgs(REVISION, { ...placement, origin: ORIGIN })]);
  assertEquals(launcher.outputs.list("golang"), []);
  assertEquals(await launcher.launch({ id: "two", revision: REVISION }), { origin: NEXT_ORIGIN });
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin: ORIGIN });
  assertEquals(await docker.calls("start"), [["start", "one"]]);
  assertEquals(launcher.outputs.list("golang").map(({ id }) => id), ["two", "one"]);
});

dockerTest("the socket starts it, and the engine's event tells of it as of any other", async (docker) => {
  await using engine = await FakeEngine.start();
  await docker.on("context inspect", `unix://${engine.path}\n`);
  await docker.on("info", "ID-1\n");
  using socket = new EngineSocket(docker.command);
  await socket.find();
  const launcher = await newCreated(docker, REVISION, { socket });
  engine.on("POST /containers/one/start", 204);
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin: ORIGIN });
  assertEquals([await docker.calls("start"), launcher.isLaunching("one")], [[], false]);
}, { ignore: noFakeDocker || noNet });

dockerTest("the event tells of the start before the command has ended", async (docker) => {
  const launcher = await newCreated(docker);
  const gate = await docker.gate();
  await docker.on("start", { gate, stdout: "one\n" });
  const launched = launcher.launch({ id: "one", revision: REVISION });
  await gate.reached();
  assertEquals(launcher.isLaunching("one"), true);
  launcher.started("one");
  assertEquals(await launched, { origin: ORIGIN });
  await gate.open();
  await launcher.settled();
});

dockerTest("whatever keeps it from starting, another one is started in its place", async (docker) => {
  const reasons = [
    "No such container: one",
    `network ${NETWORK} not found`,
    "Address already in use",
    "container is marked for removal and cannot be started",
  ];
  for (const reason of reasons) {
    const launcher = await newCreated(docker);
    await docker.on("start", { stderr: `Error response from daemon: ${reason}\n`, code: 1 });
    assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin: NEXT_ORIGIN }, reason);
  }
  assertEquals(await verbs(docker), reasons.flatMap(() => ["create", "start", "rm", "run"]));
  assertEquals(await addresses(docker), reasons.map(() => "10.9.0.3"));
});

dockerTest("a start that finds the network gone has it made again for the one in its place", async (docker) => {
  const launcher = await newCreated(docker);
  await docker.on("start", { stderr: `Error response from daemon: network ${NETWORK} not found\n`, code: 1 });
  const before = (await docker.calls("network ls")).length;
  await launcher.launch({ id: "one", revision: REVISION });
  assertEquals((await docker.calls("network ls")).length, before + 1);
});

dockerTest("the one in its place looks for a free place as any other", async (docker) => {
  const launcher = await newCreated(docker);
  await docker.on("start", { stderr: "Error response from daemon: Address already in use\n", code: 1 });
  await docker.on("run", ADDRESS_TAKEN, `${ID}\n`);
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin: "http://10.9.0.4:8080" });
});

dockerTest("one that was made with other variables, or from another image, is never started", async (docker) => {
  const before = { ...REVISION, env: { TOKEN: "the old secret" } };
  for (
    const revision of [
      { ...before, env: { TOKEN: "the new secret" } },
      { ...before, imageId: `sha256:${"f".repeat(64)}` },
      { ...before, memory: 1024 ** 3 },
    ]
  ) {
    const launcher = await newCreated(docker, before);
    await launcher.launch({ id: "one", revision });
    assertEquals((await docker.calls("run")).at(-1)?.includes(revision.imageId), true);
  }
  assertEquals(await verbs(docker), [1, 2, 3].flatMap(() => ["create", "rm", "run"]));
});

dockerTest("one that was removed is not looked for", async (docker) => {
  const launcher = await newCreated(docker);
  await launcher.remove("one");
  launcher.forget("one");
  await launcher.launch({ id: "one", revision: REVISION });
  assertEquals(await verbs(docker), ["create", "rm", "run"]);
});

dockerTest("values of variables are in no argument, and what a refusal says has no secret in it", async (docker) => {
  const env = { TOKEN: "secret-1-secret", KEY: "secret-2\nsecret-2" };
  const launcher = await newCreated(docker, { ...REVISION, env });
  assertEquals((await docker.calls("create")).flat().filter((arg) => arg.includes("secret")), []);
  await docker.on("create", { stderr: "Error response from daemon: secret-1-secret is wrong\n", code: 1 });
  const error = await assertRejects(() => launcher.create({ id: "two", revision: { ...REVISION, env } }), DockerError);
  assert(!error.message.includes("secret-1"), error.message);
});

dockerTest(
  "an engine that is away is told from one that refuses, and a network that is gone is made again",
  async (docker) => {
    const launcher = await newCreated(docker);
    await docker.on(
      "create",
      {
        stderr: "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
        code: 1,
      },
      { stderr: `Error response from daemon: network ${NETWORK} not found\n`, code: 1 },
      `${ID}\n`,
    );
    await assertRejects(() => launcher.create({ id: "two", revision: REVISION }), EngineAway);
    await assertRejects(() => launcher.create({ id: "two", revision: REVISION }), DockerError, "not found");
    const before = (await docker.calls("network ls")).length;
    await launcher.create({ id: "two", revision: REVISION });
    assertEquals((await docker.calls("network ls")).length, before + 1);
  },
);

dockerTest("two are made at once at most, and their end can be waited for", async (docker) => {
  let running = 0;
  let most = 0;
  class CountedCommand extends DockerCommand {
    override async run(args: readonly string[], options?: CommandOptions): Promise<string> {
      if (args[0] !== "create") return await super.run(args, options);
      most = Math.max(most, ++running);
      return await super.run(args, options).finally(() => running--);
    }
  }
  const launcher = await newCreated(docker, REVISION, { docker: new CountedCommand(docker.path) });
  const gate = await docker.gate();
  await docker.on("create", { gate, stdout: `${ID}\n` }, `${ID}\n`);
  most = 0;
  const made = ["two", "three", "four", "five"].map((id) => launcher.create({ id, revision: REVISION }));
  await gate.reached();
  let settled = false;
  const settling = launcher.settled().then(() => settled = true);
  await Promise.resolve();
  assertEquals(settled, false);
  await gate.open();
  await Promise.all([...made, settling]);
  assertEquals([most, (await docker.calls("create")).length], [2, 5]);
});

dockerTest("one that is called off before its turn is not made", async (docker) => {
  const launcher = await newCreated(docker);
  const gates = [await docker.gate(), await docker.gate()];
  await docker.on("create", ...gates.map((gate) => ({ gate, stdout: `${ID}\n` })));
  const made = ["two", "three"].map((id) => launcher.create({ id, revision: REVISION }));
  await Promise.all(gates.map((gate) => gate.reached()));
  const calledOff = new AbortController();
  const waiting = assertRejects(
    () => launcher.create({ id: "four", revision: REVISION }, calledOff.signal),
    Error,
    "no",
  );
  calledOff.abort(new Error("no"));
  await Promise.all(gates.map((gate) => gate.open()));
  await Promise.all([...made, waiting]);
  assertEquals((await docker.calls("create")).length, 3);
});
