import { assertEquals, assertRejects } from "@std/assert";
import { type CommandOptions, DockerCommand, DockerError } from "../../src/docker/command.ts";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import { ImageError } from "../../src/docker/images/image_error.ts";
import { DockerLauncher, type DockerLauncherOptions } from "../../src/docker/launcher.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { runArgs } from "../../src/docker/run_args.ts";
import { conventionRevision } from "../../src/domain/revision.ts";
import { ContainerGone, EngineAway } from "../../src/serving/launcher.ts";
import { type Answer, dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet } from "../support/permissions.ts";

const OWNER = "a1b2c3d4";
const NETWORK = `cless-${OWNER}`;
const ID = "0123456789abcdef".repeat(4);
const REVISION = conventionRevision("golang", `sha256:${ID}`, {
  startTimeout: 30_000,
  requestTimeout: 300_000,
  pauseAfter: Infinity,
  stopAfter: 600_000,
});

/** How `docker run` fails with a message. */
function refused(reason: string): Answer {
  return {
    stdout: `${ID}\n`,
    stderr: `docker: Error response from daemon: ${reason}.\nSee 'docker run --help'.`,
    code: 125,
  };
}

const ADDRESS_TAKEN = refused("Address already in use");
const NO_NETWORK = refused(`network ${NETWORK} not found`);

/** A launcher on an engine that has its network already. */
async function newLauncher(docker: FakeDocker, options: Partial<DockerLauncherOptions> = {}, subnet = "10.9.0.0/24") {
  await docker.on("network ls", `${ID}\n`);
  await docker.on("network inspect", JSON.stringify({ Name: NETWORK, IPAM: { Config: [{ Subnet: subnet }] } }));
  await docker.on("run", `${ID}\n`);
  await docker.on("rm", "");
  const network = new OwnNetwork(docker.command, { owner: OWNER, path: "/data" });
  const portRange = { first: 20_000, last: 29_999 };
  return new DockerLauncher({
    docker: docker.command,
    network,
    owner: OWNER,
    portRange,
    upstream: "direct",
    ...options,
  });
}

/** A docker command whose calls can be waited for, also those that the launcher does not wait for. */
class WatchedCommand extends DockerCommand {
  readonly calls: Promise<string>[] = [];

  override run(args: readonly string[], options?: CommandOptions): Promise<string> {
    const call = super.run(args, options);
    this.calls.push(call);
    return call;
  }
}

/** What the engine was asked to do with containers, without the arguments of `docker run`. */
async function asked(docker: FakeDocker): Promise<string[]> {
  const calls = await docker.calls();
  return calls.filter(([verb]) => verb !== "network").map((args) => args[0] === "run" ? "run" : args.join(" "));
}

/** The addresses that containers were started with. */
async function addresses(docker: FakeDocker): Promise<string[]> {
  return (await docker.calls("run")).map((args) => args.find((arg) => arg.startsWith("--ip="))!.slice(5));
}

dockerTest("a container is started on the own network, at an address of cless's choice", async (docker) => {
  const launcher = await newLauncher(docker);
  const origin = "http://10.9.0.2:8080";
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin });
  const placement = { id: "one", owner: OWNER, network: NETWORK, address: "10.9.0.2", hostPort: undefined, origin };
  assertEquals(await docker.calls("run"), [runArgs(REVISION, placement)]);
  assertEquals(await launcher.launch({ id: "two", revision: REVISION }), { origin: "http://10.9.0.3:8080" });
});

dockerTest("the environment comes along at every try, and in no argument", async (docker) => {
  const command = new WatchedCommand(docker.path);
  const launcher = await newLauncher(docker, { docker: command });
  await docker.on("run", { script: "cat >/dev/null", ...ADDRESS_TAKEN }, { script: 'cat; printf "%s" "$KEY"; exit 0' });
  const env = { TOKEN: "a secret", KEY: "two\nlines of a secret" };
  await launcher.launch({ id: "one", revision: { ...REVISION, env } });
  assertEquals(await command.calls.at(-1), "PORT=8080\nTOKEN=a secret\ntwo\nlines of a secret");
  const calls = await docker.calls("run");
  assertEquals(calls.length, 2);
  assertEquals(calls.flat().filter((arg) => arg.includes("secret")), []);
});

dockerTest("what cannot be given to a container is told before anything is started", async (docker) => {
  const launcher = await newLauncher(docker);
  const revision = { ...REVISION, env: { DOCKER_HOST: "a\nsecret" } };
  const error = await assertRejects(() => launcher.launch({ id: "one", revision }), DockerError, "DOCKER_HOST");
  assertEquals(error.message.includes("secret"), false);
  assertEquals([await docker.calls(), launcher.isLaunching("one")], [[], false]);
});

dockerTest("after the preparation, a start is one command", async (docker) => {
  for (const upstream of ["direct", "published", "auto"] as const) {
    const launcher = await newLauncher(docker, { upstream });
    await launcher.prepare();
    const before = (await docker.calls()).length;
    await launcher.launch({ id: "one", revision: REVISION });
    assertEquals((await docker.calls()).length, before + 1, upstream);
  }
});

dockerTest("whatever the command prints, the container goes by its name", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", "WARNING: Your kernel does not support swap limit capabilities\nsomething else\n");
  await launcher.launch({ id: "one", revision: REVISION });
  await docker.on("stop", "");
  await docker.on("logs", "");
  await launcher.stop("one");
  const logs = "logs --timestamps --tail=1000 one";
  assertEquals(await asked(docker), ["run", "stop --time=10 one", logs, "rm --force --volumes one"]);
});

dockerTest(
  "an event tells of the start before the command has ended, and what comes after does not matter",
  async (docker) => {
    const command = new WatchedCommand(docker.path);
    const launcher = await newLauncher(docker, { docker: command });
    const gate = await docker.gate();
    await docker.on("run", { gate, ...refused("something broke") });
    const launched = launcher.launch({ id: "one", revision: REVISION });
    await gate.reached();
    assertEquals([launcher.isLaunching("one"), launcher.isLaunching("other")], [true, false]);
    launcher.started("other");
    launcher.started("one");
    assertEquals(launcher.isLaunching("one"), false);
    assertEquals(await launched, { origin: "http://10.9.0.2:8080" });
    await gate.open();
    await Promise.allSettled(command.calls);
  },
);

dockerTest("an engine that refuses to start a container is not asked again", async (docker) => {
  const launcher = await newLauncher(docker);
  const reasons = [
    "exec: no such file or directory",
    'Conflict. The container name "/one" is already in use by container',
  ];
  for (const reason of reasons) {
    await docker.on("run", refused(reason));
    await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), DockerError, reason);
    assertEquals(launcher.isLaunching("one"), false);
  }
  assertEquals(await asked(docker), ["run", "run"]);
});

dockerTest("an engine that is away is told from one that refuses", async (docker) => {
  const launcher = await newLauncher(docker);
  const away = [
    "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?.",
    'docker: error during connect: Post "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/containers/create": EOF.',
  ];
  for (const stderr of away) {
    await docker.on("run", { stderr, code: 125 });
    await docker.on("unpause", { stderr, code: 1 });
    await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), EngineAway);
    await assertRejects(() => launcher.resume("one"), EngineAway);
  }
});

dockerTest("what a refusal says has no secret in it", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", refused('exec: "serve --key=secret-1": not found; KEY=secret-2-secret'));
  const revision = { ...REVISION, command: ["serve --key=secret-1"], env: { KEY: "secret-2-secret" } };
  const { message } = await assertRejects(() => launcher.launch({ id: "one", revision }), DockerError);
  assertEquals(message, 'exec: "serve ***": not found; KEY=***');
});

dockerTest("an address in use is passed over, and the half-made container removed", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", ADDRESS_TAKEN, ADDRESS_TAKEN, `${ID}\n`);
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin: "http://10.9.0.4:8080" });
  const removal = "rm --force --volumes one";
  assertEquals(await asked(docker), ["run", removal, "run", removal, "run"]);
  assertEquals(await addresses(docker), ["10.9.0.2", "10.9.0.3", "10.9.0.4"]);
});

dockerTest("a launcher does not look for a place for ever", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", ADDRESS_TAKEN);
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), DockerError, "Address already in use");
  assertEquals((await addresses(docker)).length, 8);
});

dockerTest("several starts at once do not wait for one another", async (docker) => {
  const launcher = await newLauncher(docker);
  const gates = [await docker.gate(), await docker.gate(), await docker.gate()];
  await docker.on("run", ...gates.map((gate) => ({ gate, stdout: `${ID}\n` })));
  const launched = ["one", "two", "three"].map((id) => launcher.launch({ id, revision: REVISION }));
  await Promise.all(gates.map((gate) => gate.reached()));
  await Promise.all(gates.map((gate) => gate.open()));
  const origins = (await Promise.all(launched)).map(({ origin }) => origin);
  assertEquals(origins, ["http://10.9.0.2:8080", "http://10.9.0.3:8080", "http://10.9.0.4:8080"]);
});

dockerTest("a network that somebody has removed is made again, once for all who start", async (docker) => {
  const launcher = await newLauncher(docker);
  await launcher.prepare();
  await docker.on("network ls", "", `${ID}\n`);
  await docker.on("network create", ID);
  await docker.on("run", NO_NETWORK, NO_NETWORK, NO_NETWORK, `${ID}\n`);
  const ids = ["one", "two", "three"];
  const started = await Promise.all(ids.map((id) => launcher.launch({ id, revision: REVISION })));
  assertEquals((await docker.calls("network create")).length, 1);
  assertEquals(new Set(started.map(({ origin }) => origin)).size, 3);
});

dockerTest("a container is paused no more, also when somebody else was faster", async (docker) => {
  const launcher = await newLauncher(docker);
  const notPaused = { stderr: "Error response from daemon: Container one is not paused", code: 1 };
  await docker.on("unpause", "one\n", notPaused, { stderr: "Error response from daemon: busy", code: 1 });
  await launcher.resume("one");
  await launcher.resume("one");
  await assertRejects(() => launcher.resume("one"), DockerError, "busy");
});

dockerTest("a container is paused, also when somebody else was faster", async (docker) => {
  const launcher = await newLauncher(docker);
  const paused = { stderr: "Error response from daemon: Container one is already paused", code: 1 };
  await docker.on("pause", "one\n", paused, {
    stderr: "Error response from daemon: Container one is not running",
    code: 1,
  });
  await launcher.pause("one");
  await launcher.pause("one");
  await assertRejects(() => launcher.pause("one"), DockerError, "not running");
});

dockerTest("the socket pauses and resumes, and the command where it does not", async (docker) => {
  await using engine = await FakeEngine.start();
  await docker.on("context inspect", `unix://${engine.path}\n`);
  await docker.on("info", "ID-1\n");
  using socket = new EngineSocket(docker.command);
  const launcher = await newLauncher(docker, { socket });
  await docker.on("pause", "");
  await docker.on("unpause", "");
  await socket.find();
  engine.on("POST /containers/one/pause", 204);
  engine.on("POST /containers/one/unpause", 500, { message: "Container 0123 is not paused" });
  await launcher.pause("one");
  await launcher.resume("one");
  await assertRejects(() => launcher.resume("two"), DockerError, "not found");
  engine.on("POST /containers/one/stop?t=10", 304);
  engine.on("DELETE /containers/one?force=true&v=true", 204);
  engine.on("DELETE /containers/two?force=true&v=true", 404, { message: "No such container: two" });
  await launcher.stop("one");
  await launcher.remove("two");
  assertEquals(await docker.calls("rm"), []);
  assertEquals([await docker.calls("pause"), await docker.calls("unpause")], [[], []]);
  await engine.stop();
  await launcher.pause("one");
  await launcher.resume("one");
  assertEquals([await docker.calls("pause"), await docker.calls("unpause")], [[["pause", "one"]], [[
    "unpause",
    "one",
  ]]]);
}, { ignore: noFakeDocker || noNet });

dockerTest("the end of every command that makes a container can be waited for", async (docker) => {
  const launcher = await newLauncher(docker);
  const gate = await docker.gate();
  await docker.on("run", { gate, ...refused("something broke") });
  const launched = launcher.launch({ id: "one", revision: REVISION });
  await gate.reached();
  launcher.started("one");
  await launched;
  let settled = false;
  const settling = launcher.settled().then(() => settled = true);
  await Promise.resolve();
  assertEquals(settled, false);
  await gate.open();
  await settling;
});

dockerTest("a container that has vanished is as good as stopped and removed", async (docker) => {
  const launcher = await newLauncher(docker);
  const gone = { stderr: "Error response from daemon: No such container: one", code: 1 };
  const going = { stderr: "Error response from daemon: removal of container one is already in progress", code: 1 };
  await docker.on("stop", gone);
  await docker.on("rm", gone, going);
  await launcher.stop("one");
  await launcher.stop("one");
});

dockerTest("a container that does not stop is removed all the same", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("stop", { stderr: "Error response from daemon: cannot stop container", code: 1 });
  await launcher.stop("one");
  assertEquals(await asked(docker), ["stop --time=10 one", "rm --force --volumes one"]);
});

dockerTest("a removal is tried more than once, but not for ever", async (docker) => {
  const launcher = await newLauncher(docker);
  const busy = { stderr: "Error response from daemon: device busy", code: 1 };
  await docker.on("rm", busy, busy, "", busy);
  await launcher.remove("one");
  await assertRejects(() => launcher.remove("one"), DockerError, "device busy");
  assertEquals((await docker.calls("rm")).length, 6);
});

dockerTest("an address is used again only when it was given up, and after all others", async (docker) => {
  const launcher = await newLauncher(docker, {}, "10.9.0.0/29");
  const launch = async (id: string) => (await launcher.launch({ id, revision: REVISION })).origin.slice(12, -5);
  assertEquals([await launch("a"), await launch("b")], ["0.2", "0.3"]);
  await launcher.remove("a");
  launcher.forget("b");
  launcher.forget("b");
  launcher.forget("nobody");
  assertEquals([await launch("c"), await launch("d"), await launch("e")], ["0.4", "0.5", "0.6"]);
  assertEquals(await launch("f"), "0.3");
  await assertRejects(() => launch("g"), RangeError);
  launcher.forget("a");
  assertEquals(await launch("g"), "0.2");
});

dockerTest("an image that somebody has removed is pulled again, and the start goes on", async (docker) => {
  const launcher = await newLauncher(docker);
  const gone = refused(`No such image: sha256:${ID}`);
  await docker.on("run", { ...gone, stdout: "" }, { ...gone, stdout: "" }, `${ID}\n`);
  const found = `${JSON.stringify({ id: `sha256:${ID}`, digests: [] })}\n`;
  await docker.on("image inspect", { stderr: "Error: No such image: x\n", code: 1 }, found);
  await docker.on("image pull", "");
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), ImageError, "build it again");
  const imageDigest = `golang@sha256:${ID}`;
  const { origin } = await launcher.launch({ id: "two", revision: { ...REVISION, imageDigest } });
  assertEquals(origin, "http://10.9.0.4:8080");
  assertEquals((await asked(docker)).filter((call) => !call.startsWith("image inspect")), [
    "run",
    "run",
    `image pull ${imageDigest}`,
    "run",
  ]);
});

dockerTest("an image that is gone again at once is not pulled for ever", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", { ...refused(`No such image: sha256:${ID}`), stdout: "" });
  await docker.on("image inspect", `${JSON.stringify({ id: `sha256:${ID}`, digests: [] })}\n`);
  const revision = { ...REVISION, imageDigest: `golang@sha256:${ID}` };
  await assertRejects(() => launcher.launch({ id: "one", revision }), DockerError, "No such image");
  assertEquals((await docker.calls("run")).length, 2);
});

dockerTest("the last lines of a container are read before it is removed, and kept", async (docker) => {
  const launcher = await newLauncher(docker, { now: () => 1_700_000_000_000 });
  const told: string[] = [];
  launcher.outputs.watch("golang", ({ id }) => told.push(id));
  await launcher.launch({ id: "one", revision: REVISION });
  await launcher.launch({ id: "two", revision: REVISION });
  const gone = { stderr: "Error response from daemon: No such container\n", code: 1 };
  const line = { stdout: "2026-01-02T03:04:05.000000006Z bye\n" };
  await docker.on("stop", "");
  await docker.on("logs", line, line, gone);
  await launcher.stop("one");
  await launcher.remove("two");
  const logs = "logs --timestamps --tail=1000";
  const removal = "rm --force --volumes";
  assertEquals(await asked(docker), [
    "run",
    "run",
    ...["stop --time=10 one", `${logs} one`, `${removal} one`],
    ...[`${logs} two`, `${removal} two`],
  ]);
  assertEquals(await Array.fromAsync(launcher.outputs.read("one")), [
    { stream: "stdout", time: "2026-01-02T03:04:05.000000006Z", text: "bye" },
  ]);
  assertEquals(await launcher.output("two", 20), "bye");
  const endedAt = 1_700_000_000_000;
  assertEquals(launcher.outputs.list("golang"), [
    { id: "one", revision: REVISION.name, endedAt },
    { id: "two", revision: REVISION.name, endedAt },
  ]);
  assertEquals(told, ["one", "two"]);
});

dockerTest("what the app writes is read line by line", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("logs", { stdout: "2026-01-02T03:04:05.000000006Z listening\n" });
  assertEquals(await Array.fromAsync(launcher.outputs.read("one", { tail: 1 })), [{
    stream: "stdout",
    time: "2026-01-02T03:04:05.000000006Z",
    text: "listening",
  }]);
});

dockerTest("what the app has written is read as it came", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("logs", { stdout: "listening\n", stderr: "panic\n" }, { stderr: "No such container: one", code: 1 });
  assertEquals(await launcher.output("one", 20), "listening\npanic");
  assertEquals(await docker.calls("logs"), [["logs", "--tail=20", "one"]]);
  await assertRejects(() => launcher.output("one", 20), DockerError, "No such container");
});

dockerTest("a container that somebody removes while it is being started is known for what it is", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", refused("No such container: 0123456789ab"));
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), ContainerGone);
});

dockerTest("many containers that are removed by the command at once are so a few at a time", async (docker) => {
  let running = 0;
  let most = 0;
  class CountedCommand extends DockerCommand {
    override async run(args: readonly string[], options?: CommandOptions): Promise<string> {
      most = Math.max(most, ++running);
      return await super.run(args, options).finally(() => running--);
    }
  }
  const launcher = await newLauncher(docker, { docker: new CountedCommand(docker.path) });
  await Promise.all(Array.from({ length: 40 }, (_, n) => launcher.remove(`no-${n}`)));
  assertEquals(most, 16);
});
