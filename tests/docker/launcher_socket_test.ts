import { assertEquals, assertRejects } from "@std/assert";
import { DockerError } from "../../src/docker/command.ts";
import { createBody } from "../../src/docker/create_body.ts";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import type { DockerLauncher } from "../../src/docker/launcher.ts";
import { ContainerGone, EngineAway } from "../../src/pool/launcher.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet } from "../support/permissions.ts";
import { addresses, asked, ID, NETWORK, newLauncher, OWNER, refused, REVISION } from "./launcher_kit.ts";

const CREATE = "POST /containers/create?name=one";
const START = `POST /containers/${ID}/start`;
const REMOVE = "DELETE /containers/one?force=true&v=true";
const LAUNCH = { id: "one", revision: { ...REVISION, env: { KEY: "secret-secret" } } };

interface Parts {
  readonly docker: FakeDocker;
  readonly engine: FakeEngine;
  readonly launcher: DockerLauncher;
}

/** A test with an engine that makes and starts the container `one`. */
function madeTest(name: string, fn: (parts: Parts) => Promise<void>): void {
  dockerTest(name, async (docker) => {
    await using engine = await FakeEngine.start();
    await docker.on("context inspect", `unix://${engine.path}\n`);
    await docker.on("info", "ID-1\n");
    using socket = new EngineSocket(docker.command);
    await socket.find();
    engine.on(CREATE, 201, { Id: ID, Warnings: [] });
    engine.on(START, 204);
    engine.on(REMOVE, 204);
    const launcher = await newLauncher(docker, { socket, settings: "/nowhere/config.json" });
    await fn({ docker, engine, launcher });
  }, { ignore: noFakeDocker || noNet });
}

/** What the command was asked for, but for what finds the socket. */
async function commands(docker: FakeDocker): Promise<string[]> {
  return (await asked(docker)).filter((call) => !/^(context|info) /.test(call));
}

madeTest("a container is made and started without a command", async ({ docker, engine, launcher }) => {
  const origin = "http://10.9.0.2:8080";
  assertEquals(await launcher.launch(LAUNCH), { origin });
  assertEquals(engine.requests.slice(1), [CREATE, START]);
  const placement = { id: "one", owner: OWNER, network: NETWORK, address: "10.9.0.2", hostPort: undefined, origin };
  assertEquals(engine.bodies, [createBody(LAUNCH.revision, placement)]);
  assertEquals(await commands(docker), []);
});

madeTest("a wrapper of the command makes every container itself", async ({ docker, engine }) => {
  using socket = new EngineSocket(docker.command);
  await socket.find();
  const launcher = await newLauncher(docker, { socket });
  await launcher.launch(LAUNCH);
  assertEquals([await commands(docker), engine.requests.includes(CREATE)], [["run"], false]);
});

madeTest("where the command's settings have proxies, it makes every container itself", async ({ docker, engine }) => {
  using socket = new EngineSocket(docker.command);
  await socket.find();
  const settings = await Deno.makeTempFile();
  const launcher = await newLauncher(docker, { socket, settings });
  await Deno.writeTextFile(settings, '{"proxies":{"default":{"noProxy":"x"}}}');
  await launcher.launch(LAUNCH);
  assertEquals([await commands(docker), engine.requests.includes(CREATE)], [["run"], false]);
  await Deno.writeTextFile(settings, "{}"); // it is read at each start, as the command does
  await launcher.launch(LAUNCH);
  assertEquals([await commands(docker), engine.requests.includes(CREATE)], [["run"], true]);
  await Deno.remove(settings);
});

madeTest("an address in use is passed over, also when only the start tells", async ({ engine, launcher }) => {
  engine.on(START, 403, { message: "Address already in use" });
  await assertRejects(() => launcher.launch(LAUNCH), DockerError, "Address already in use");
  const tried = engine.bodies.map((body) => (body as { Labels: Record<string, string> }).Labels["cless.address"]);
  assertEquals([tried.length, new Set(tried).size], [8, 8]);
  assertEquals(engine.requests.filter((request) => request === REMOVE).length, 7);
});

madeTest("a network that somebody has removed is made again", async ({ docker, engine, launcher }) => {
  await launcher.prepare();
  await docker.on("network ls", "", `${ID}\n`);
  await docker.on("network create", ID);
  engine.on(START, 404, { message: `network ${NETWORK} not found` });
  await assertRejects(() => launcher.launch(LAUNCH), DockerError);
  assertEquals((await docker.calls("network create")).length, 1);
});

madeTest("an image that somebody has removed is pulled again", async ({ docker, engine, launcher }) => {
  engine.on(CREATE, 404, { message: `No such image: sha256:${ID}` });
  await docker.on("image inspect", `${JSON.stringify({ id: `sha256:${ID}`, digests: [] })}\n`);
  const revision = { ...REVISION, imageDigest: `golang@sha256:${ID}` };
  await assertRejects(() => launcher.launch({ id: "one", revision }), DockerError, "No such image");
  assertEquals(engine.requests.filter((request) => request === CREATE).length, 2);
});

madeTest("what the engine says is told without secrets, and as what it means", async ({ engine, launcher }) => {
  engine.on(START, 400, { message: "exec: KEY=secret-secret: not found\n" });
  const { message } = await assertRejects(() => launcher.launch(LAUNCH), DockerError);
  assertEquals(message, "exec: KEY=***: not found");
  engine.on(START, 404, { message: `No such container: ${ID}` });
  await assertRejects(() => launcher.launch(LAUNCH), ContainerGone);
  engine.on(CREATE, 409, { message: 'Conflict. The container name "/one" is already in use by container "x".' });
  await assertRejects(() => launcher.launch(LAUNCH), DockerError, "is already in use");
  engine.on(CREATE, 201, {});
  await assertRejects(() => launcher.launch(LAUNCH), DockerError, "does not name the container");
});

madeTest("an event tells of the start before the engine has answered", async ({ docker, engine, launcher }) => {
  engine.on(START, "never");
  const launched = launcher.launch(LAUNCH);
  while (!engine.requests.includes(START)) await new Promise((resolve) => setTimeout(resolve));
  launcher.started("one");
  assertEquals(await launched, { origin: "http://10.9.0.2:8080" });
  await engine.stop();
  await launcher.settled();
  // It serves by now: without the answer it is not started once more, and above all not made anew.
  assertEquals([await commands(docker), engine.requests.includes(REMOVE)], [[], false]);
});

madeTest("a making that was not answered is done by the command, in place of what it has left", async (parts) => {
  const { docker, engine, launcher } = parts;
  engine.on(CREATE, "lost");
  const taken = refused('Conflict. The container name "/one" is already in use by container "x"');
  await docker.on("run", taken, `${ID}\n`); // the engine has gone on with it
  assertEquals(await launcher.launch(LAUNCH), { origin: "http://10.9.0.2:8080" });
  const removal = "rm --force --volumes one";
  assertEquals(await commands(docker), [removal, "run", removal, "run"]);
  assertEquals(await addresses(docker), ["10.9.0.2", "10.9.0.2"]);
});

madeTest("a start that was not answered is asked for again by the command", async ({ docker, engine, launcher }) => {
  engine.on(START, "lost");
  await docker.on("start", `${ID}\n`);
  await launcher.launch(LAUNCH);
  assertEquals(await commands(docker), [`start ${ID}`]);
});

madeTest("what somebody has removed meanwhile is not made anew", async ({ docker, engine, launcher }) => {
  engine.on(START, "lost");
  await docker.on("start", {
    stderr: `Error response from daemon: No such container: ${ID}\nError: failed to start containers: ${ID}\n`,
    code: 1,
  });
  await assertRejects(() => launcher.launch(LAUNCH), ContainerGone);
  assertEquals(await commands(docker), [`start ${ID}`]);
});

madeTest("what the command cannot start either is made anew", async ({ docker, engine, launcher }) => {
  engine.on(START, "lost");
  await docker.on("start", { stderr: "Error response from daemon: Address already in use\n", code: 1 });
  await launcher.launch(LAUNCH);
  assertEquals(await commands(docker), [`start ${ID}`, "rm --force --volumes one", "run"]);
});

madeTest("an engine that goes away amid a start is known to be away", async ({ docker, engine, launcher }) => {
  engine.on(CREATE, "lost");
  const away = { stderr: "docker: Cannot connect to the Docker daemon at unix:///x. Is it running?.", code: 125 };
  await docker.on("rm", away);
  await docker.on("run", away);
  await assertRejects(() => launcher.launch(LAUNCH), EngineAway);
});

madeTest("an engine that says that a part of it is away is away", async ({ engine, launcher }) => {
  const message = "Cannot unpause container one: connection error: desc = transport: Error while dialing: unavailable";
  engine.on("POST /containers/one/unpause", 500, { message });
  await assertRejects(() => launcher.resume("one"), EngineAway);
  engine.on("POST /containers/one/unpause", 500, { message: "Cannot unpause container one: it is a stone" });
  await assertRejects(() => launcher.resume("one"), DockerError);
});
