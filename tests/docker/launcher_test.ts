import { assertEquals, assertRejects } from "@std/assert";
import { ImageUnavailable } from "../../src/control/deploy_error.ts";
import { runArgs } from "../../src/docker/container_spec.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { ContainerGone, EngineAway } from "../../src/pool/launcher.ts";
import { dockerTest } from "../support/fake_docker.ts";
import {
  ADDRESS_TAKEN,
  addresses,
  asked,
  ID,
  NETWORK,
  newLauncher,
  NO_NETWORK,
  OWNER,
  refused,
  REVISION,
  WatchedCommand,
} from "./launcher_kit.ts";

dockerTest("a container is started on the own network, at an address of cless's choice", async (docker) => {
  const launcher = await newLauncher(docker);
  const origin = "http://10.9.0.2:8080";
  assertEquals(await launcher.launch({ id: "one", revision: REVISION }), { origin });
  const placement = { id: "one", owner: OWNER, network: NETWORK, address: "10.9.0.2", hostPort: undefined, origin };
  assertEquals(await docker.calls("run"), [runArgs(REVISION, placement)]);
  assertEquals(await launcher.launch({ id: "two", revision: REVISION }), { origin: "http://10.9.0.3:8080" });
});

dockerTest("the environment is passed at every attempt, and in no argument", async (docker) => {
  const command = new WatchedCommand(docker.path);
  const launcher = await newLauncher(docker, { command });
  await docker.on("run", { script: "cat >/dev/null", ...ADDRESS_TAKEN }, { script: 'cat; printf "%s" "$KEY"; exit 0' });
  const env = { TOKEN: "a secret", KEY: "two\nlines of a secret" };
  await launcher.launch({ id: "one", revision: { ...REVISION, env } });
  assertEquals(await command.calls.at(-1), "PORT=8080\nTOKEN=a secret\ntwo\nlines of a secret");
  const calls = await docker.calls("run");
  assertEquals(calls.length, 2);
  assertEquals(calls.flat().filter((arg) => arg.includes("secret")), []);
});

dockerTest("a variable that cannot be given to a container is an error before anything is started", async (docker) => {
  const launcher = await newLauncher(docker);
  const revision = { ...REVISION, env: { DOCKER_HOST: "a\nsecret" } };
  const error = await assertRejects(() => launcher.launch({ id: "one", revision }), EngineError, "DOCKER_HOST");
  assertEquals(error.message.includes("secret"), false);
  assertEquals([await docker.calls(), launcher.isLaunching("one")], [[], false]);
});

dockerTest("once prepared, a start is one command", async (docker) => {
  for (const upstream of ["direct", "published", "auto"] as const) {
    const launcher = await newLauncher(docker, { upstream });
    await launcher.prepare();
    const before = (await docker.calls()).length;
    await launcher.launch({ id: "one", revision: REVISION });
    assertEquals((await docker.calls()).length, before + 1, upstream);
  }
});

dockerTest("whatever the command prints, the container is known by its name", async (docker) => {
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
    const launcher = await newLauncher(docker, { command });
    const gate = await docker.gate();
    await docker.on("run", { gate, ...refused("something broke") });
    const launched = launcher.launch({ id: "one", revision: REVISION });
    await gate.reached();
    assertEquals([launcher.isLaunching("one"), launcher.isLaunching("other")], [true, false]);
    launcher.started("other", ID);
    launcher.started("one", ID);
    assertEquals(launcher.isLaunching("one"), false);
    assertEquals(await launched, { origin: "http://10.9.0.2:8080" });
    await gate.open();
    await Promise.allSettled(command.calls);
  },
);

dockerTest("an engine that refuses to start a container is not asked again", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("ps", ""); // the container with that name is somebody else's
  const reasons = [
    "exec: no such file or directory",
    'Conflict. The container name "/one" is already in use by container',
  ];
  for (const reason of reasons) {
    await docker.on("run", refused(reason));
    await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), EngineError, reason);
    assertEquals(launcher.isLaunching("one"), false);
  }
  assertEquals((await asked(docker)).filter((call) => !call.startsWith("ps ")), ["run", "run"]);
});

dockerTest("an engine that is away has an error of its own kind", async (docker) => {
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

dockerTest("the message of a refusal contains no secret", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", refused('exec: "serve --key=secret-1": not found; KEY=secret-2-secret'));
  const revision = { ...REVISION, command: ["serve --key=secret-1"], env: { KEY: "secret-2-secret" } };
  const { message } = await assertRejects(() => launcher.launch({ id: "one", revision }), EngineError);
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

dockerTest("a start tries at most eight addresses", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", ADDRESS_TAKEN);
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), EngineError, "Address already in use");
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

dockerTest("an image that somebody has removed is pulled again, and the start goes on", async (docker) => {
  const launcher = await newLauncher(docker);
  const gone = refused(`No such image: sha256:${ID}`);
  await docker.on("run", { ...gone, stdout: "" }, { ...gone, stdout: "" }, `${ID}\n`);
  const found = `${JSON.stringify({ Id: `sha256:${ID}`, RepoDigests: [] })}\n`;
  await docker.on("image inspect", { stderr: "Error: No such image: x\n", code: 1 }, found);
  await docker.on("image pull", "");
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), ImageUnavailable, "build it again");
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
  await docker.on("image inspect", `${JSON.stringify({ Id: `sha256:${ID}`, RepoDigests: [] })}\n`);
  const revision = { ...REVISION, imageDigest: `golang@sha256:${ID}` };
  await assertRejects(() => launcher.launch({ id: "one", revision }), EngineError, "No such image");
  assertEquals((await docker.calls("run")).length, 2);
});

dockerTest("a container that somebody removes while it starts is reported as gone", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("run", refused("No such container: 0123456789ab"));
  await assertRejects(() => launcher.launch({ id: "one", revision: REVISION }), ContainerGone);
});
