import { assert, assertEquals, assertRejects } from "@std/assert";
import type { DockerEnv } from "../../src/base/config.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import { chooseEngineApi, findEngine } from "../../src/docker/engine_choice.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { dockerTest, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet } from "../support/permissions.ts";

/** A docker command's settings, and an engine's socket that they may name. */
interface Place {
  readonly engine: FakeEngine;
  readonly folder: string;
  /** How the engine is asked: `socket`, or why it is not. */
  choose(env?: Partial<DockerEnv>, docker?: string): Promise<string | undefined>;
}

function choiceTest(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({ name, ignore: noFakeDocker || noNet }, async () => {
    await using engine = await FakeEngine.start();
    const folder = await Deno.makeTempDir();
    const choose = async (env: Partial<DockerEnv> = {}, docker = "docker") => {
      const dockerEnv = { host: `unix://${engine.path}`, context: undefined, platform: undefined, folder, ...env };
      const { api, whyNotSocket } = await chooseEngineApi({ docker, dockerEnv, engineApi: "auto" });
      using _api = api;
      assertEquals(api instanceof SocketApi, whyNotSocket === undefined);
      return whyNotSocket ?? "socket";
    };
    await fn({ engine, folder, choose }).finally(() => Deno.remove(folder, { recursive: true }));
  });
}

choiceTest("the socket is taken where the docker command would use it", async ({ choose }) => {
  assertEquals(await choose(), "socket");
});

choiceTest(
  "the command is taken where its engine is elsewhere, or is not there",
  async ({ choose, engine, folder }) => {
    const problems: [host: string, problem: string][] = [
      ["tcp://192.0.2.1:2375", "the engine is at tcp://192.0.2.1:2375, which is not a unix socket"],
      ["ssh://ann@host", "the engine is at ssh://ann@host, which is not a unix socket"],
      [`unix://${engine.path}.not`, `${engine.path}.not: No such file or directory`],
      [`unix://${folder}`, `${folder} is not a socket`],
    ];
    for (const [host, problem] of problems) assertEquals(await choose({ host }), problem);
  },
);

choiceTest("a context says where the engine is, unless DOCKER_HOST does", async ({ choose, engine, folder }) => {
  const write = async (name: string, host: string) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
    const place = `${folder}/contexts/meta/${new Uint8Array(digest).toHex()}`;
    await Deno.mkdir(place, { recursive: true });
    await Deno.writeTextFile(
      `${place}/meta.json`,
      JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
    );
  };
  await write("near", `unix://${engine.path}`);
  await write("far", "ssh://ann@host");
  const far = "the engine is at ssh://ann@host, which is not a unix socket";
  const host = undefined;
  assertEquals(await choose({ host, context: "near" }), "socket");
  assertEquals(await choose({ host, context: "far" }), far);
  assertEquals(await choose({ context: "far" }), "socket");
  assertEquals(await choose({ host, context: "none" }), "the docker command's context cannot be read");
  await Deno.writeTextFile(`${folder}/config.json`, '{"currentContext":"far"}');
  assertEquals(await choose({ host }), far);
  assertEquals(await choose({ host, context: "near" }), "socket");
  await Deno.writeTextFile(`${folder}/config.json`, '{"CurrentContext":"near"}');
  assertEquals(await choose({ host }), "socket");
  const byDefault = await choose({ host, context: "default" });
  await Deno.writeTextFile(`${folder}/config.json`, '{"currentContext":""}');
  assertEquals(await choose({ host }), byDefault);
});

choiceTest(
  "the command is taken if its settings change containers, or it may be a wrapper",
  async ({ choose, folder }) => {
    assertEquals(await choose({}, "/opt/docker"), "--docker names /opt/docker, which may do more than ask the engine");
    const platform = "DOCKER_DEFAULT_PLATFORM is set, which only the command follows";
    assertEquals(await choose({ platform: "linux/arm64" }), platform);
    const unread = "the settings of the docker command cannot be read";
    assertEquals(await choose({ folder: undefined }), unread);
    const proxies = "the settings of the docker command have proxies for containers";
    const settings: [text: string, choice: string][] = [
      ['{"auths":{}}', "socket"],
      ['{"proxies":{"default":{"httpProxy":"http://proxy:3128"}}}', proxies],
      ['{"Proxies":{"default":{"httpProxy":"http://proxy:3128"}}}', proxies], // to the command it is the same
      ['{"auths":{"proxies":{}},"httpProxies":{}}', "socket"],
      ["no JSON", unread],
      ["null", unread],
    ];
    for (const [text, choice] of settings) {
      await Deno.writeTextFile(`${folder}/config.json`, text);
      assertEquals(await choose(), choice, text);
    }
    await Deno.remove(`${folder}/config.json`);
    await Deno.mkdir(`${folder}/config.json`);
    assertEquals(await choose(), unread);
  },
);

choiceTest("--engine-api decides, and a missing socket is one clear line", async (place) => {
  const { engine, folder } = place;
  const dockerEnv = { host: `unix://${engine.path}`, context: undefined, platform: "linux/arm64", folder };
  const config = { docker: "/opt/docker", dockerEnv };
  using socket = (await chooseEngineApi({ ...config, engineApi: "socket" })).api;
  using command = (await chooseEngineApi({ ...config, engineApi: "command" })).api;
  assert(socket instanceof SocketApi && command instanceof CommandApi);
  assertEquals([socket.via, command.via], [`the socket ${engine.path}`, "the command /opt/docker"]);
  const away = { ...config, dockerEnv: { ...dockerEnv, host: "unix:///nowhere/docker.sock" } };
  const { message } = await assertRejects(() => chooseEngineApi({ ...away, engineApi: "socket" }), OperatorError);
  assertEquals(
    message,
    "there is no Docker socket for --engine-api socket: /nowhere/docker.sock: No such file or directory; " +
      "start it (systemctl start docker), or say with DOCKER_HOST where it is",
  );
});

/** The message where no engine answers. */
async function complaint(docker: DockerCommand): Promise<string> {
  return (await assertRejects(() => findEngine(new CommandApi(docker)), OperatorError)).message;
}

dockerTest("an engine that answers tells its version", async (docker) => {
  await docker.on("version", "26.1.5+dfsg1\n");
  assertEquals(await findEngine(new CommandApi(docker.command)), "26.1.5+dfsg1");
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

dockerTest("a user without access to the engine is told how to get it", async (docker) => {
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

Deno.test({ name: "a socket at which no engine answers is told with what to do", ignore: noNet }, async () => {
  using api = new SocketApi("/nowhere/docker.sock");
  const { message } = await assertRejects(() => findEngine(api), OperatorError);
  assertEquals(
    message,
    "no Docker engine answers: the engine does not answer at /nowhere/docker.sock: No such file or directory; " +
      "start it (systemctl start docker), or say with DOCKER_HOST where it is",
  );
});
