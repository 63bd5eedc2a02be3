import { assertEquals, assertRejects } from "@std/assert";
import { DockerCommand } from "../../src/docker/command.ts";
import { findEngine } from "../../src/docker/engine.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { dockerTest, noFakeDocker } from "../support/fake_docker.ts";

/** The message where no engine answers. */
async function complaint(docker: DockerCommand): Promise<string> {
  return (await assertRejects(() => findEngine(docker), OperatorError)).message;
}

dockerTest("an engine that answers tells its version", async (docker) => {
  await docker.on("version", "26.1.5+dfsg1\n");
  assertEquals(await findEngine(docker.command), { version: "26.1.5+dfsg1" });
  assertEquals(await docker.calls(), [["version", "--format={{.Server.Version}}"]]);
});

dockerTest("a version is found behind warnings, and need not be there", async (docker) => {
  await docker.on("version", "Emulate Docker CLI using podman\n5.4.2\n", "WARNING: something\n");
  assertEquals(await findEngine(docker.command), { version: "5.4.2" });
  assertEquals(await findEngine(docker.command), { version: "unknown" });
});

dockerTest("an engine that does not run is to be started", async (docker) => {
  const stderr = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
  await docker.on("version", { stdout: "\n", stderr, code: 1 });
  assertEquals(
    await complaint(docker.command),
    "no Docker engine answers: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. " +
      "Is the docker daemon running?; start it (systemctl start docker), or say with DOCKER_HOST where it is",
  );
});

dockerTest("somebody who may not ask the engine is told how to be allowed to", async (docker) => {
  const said = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock";
  await docker.on("version", { stderr: `${said}\n`, code: 1 });
  assertEquals(
    await complaint(docker.command),
    `no Docker engine answers: ${said}; run cless with sudo, or add your user to the group docker`,
  );
});

const NAME_IT = "install Docker (Debian, Ubuntu: apt-get install docker.io), or name the command with --docker";

Deno.test({
  name: "a docker command that is missing is to be installed or named",
  ignore: noFakeDocker,
  fn: async () => {
    const message = await complaint(new DockerCommand("/nowhere/docker"));
    assertEquals(message, `no Docker engine answers: there is no command "/nowhere/docker"; ${NAME_IT}`);
  },
});

dockerTest("a docker command that is no program is to be named", async (docker) => {
  await Deno.chmod(docker.path, 0o600);
  const message = await complaint(docker.command);
  assertEquals(message.endsWith(`; ${NAME_IT}`), true, message);
});
