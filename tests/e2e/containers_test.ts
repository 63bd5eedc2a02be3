import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ImageUnavailable } from "../../src/control/deploy_error.ts";
import { DockerCommand } from "../../src/docker/command.ts";
import type { LogLine, LogOptions } from "../../src/docker/engine_api.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { ImageSource } from "../../src/docker/images/image_source.ts";
import { realEngine, Rig, type Way } from "../support/container_rig.ts";
import { build, docker, noDocker } from "../support/docker.ts";

const MIB = 1024 ** 2;

/** A test that holds however the engine is asked. */
function bothWays(name: string, fn: (way: Way) => Promise<void>): void {
  for (const way of ["command", "socket"] as const) {
    Deno.test({ name: `${way}: ${name}`, ignore: noDocker }, () => fn(way));
  }
}

/** What `docker inspect` says of a container. */
async function inspect(id: string) {
  return JSON.parse(await docker("inspect", "--type=container", id))[0];
}

/** A folder that goes away again, though not before the containers: it has to be declared before them. */
async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** A volume that goes away as {@linkcode temporaryFolder} does. */
function volume(): AsyncDisposable & { name: string } {
  const name = `cless-e2e-${crypto.randomUUID().slice(0, 8)}`;
  return { name, [Symbol.asyncDispose]: () => docker("volume", "rm", "--force", name).then(() => {}) };
}

const ENV = {
  PEM: "-----BEGIN KEY-----\nabc\n\n-----END KEY-----\n",
  QUOTED: ` "two words" 'x' $HOME \`id\` \\n `,
  HASH: "#a=b",
  UNICODE: "ü€😀",
  EMPTY: "",
  DOCKER_HOST: "tcp://192.0.2.1:1",
  DOCKER_CONFIG: "/nowhere",
  DOCKER_API_VERSION: "0.1",
  DOCKER_CONTENT_TRUST: "1",
  HTTP_PROXY: "http://192.0.2.1:1",
  PATH: "/bin:/nowhere",
  HOME: "/nowhere",
  LD_PRELOAD: "/nowhere.so",
  GODEBUG: "x=1",
  LONG: "x".repeat(100_000),
};

bothWays("every variable arrives as it is, whatever the docker command makes of its name", async (way) => {
  await using rig = await Rig.start(way);
  const id = await rig.run({ env: ENV, command: ["sh", "-c", `printf '%s' "$PEM" "$DOCKER_HOST"`] });
  const env = (await inspect(id)).Config.Env as string[];
  const seen = Object.fromEntries(env.map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
  assertEquals(seen, { PORT: "8080", ...ENV });
  const lines = await Array.fromAsync(rig.launcher.outputs.read(id, { follow: true }));
  // On stderr a loader may complain about what it cannot preload.
  const written = lines.filter(({ stream }) => stream === "stdout").map(({ text }) => text).join("\n");
  assertEquals(written, ENV.PEM + ENV.DOCKER_HOST);
});

Deno.test({ name: "the values of the environment are in no argument and in no label", ignore: noDocker }, async () => {
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  // What every process of the machine was called with, at the moment when the command is.
  const script = `#!/bin/sh\ncat /proc/[0-9]*/cmdline >>${folder}/seen 2>/dev/null\nexec docker "$@"\n`;
  await Deno.writeTextFile(`${folder}/docker`, script, { mode: 0o755 });
  await using rig = await Rig.start("command", `${folder}/docker`);
  const env = { TOKEN: "secret-1", KEY: "secret-2\nsecret-2", DOCKER_HOST: "secret-3" };
  const id = await rig.run({ env, command: ["sleep", "600"] });
  const seen = await Deno.readTextFile(`${folder}/seen`);
  assert(seen.includes("--env-file=/dev/stdin\0--env=KEY\0"));
  assert(!seen.includes("secret-"));
  const { Config } = await inspect(id);
  assert(JSON.stringify(Config.Env).includes("secret-3"));
  assert(!JSON.stringify(Config.Labels).includes("secret-"));
});

bothWays("a command takes the place of the image's, and none of its words is a flag", async (way) => {
  await using rig = await Rig.start(way);
  const words = ["--privileged", "-v/:/host", "--", "", "a b", "$(id)"];
  const id = await rig.run({ command: ["sh", "-c", `printf '%s\\n' "$@"`, "sh", ...words] });
  const lines = await Array.fromAsync(rig.launcher.outputs.read(id, { follow: true }));
  assertEquals(lines.map(({ text }) => text), words);
  const { HostConfig, Mounts } = await inspect(id);
  assertEquals([HostConfig.Privileged, Mounts], [false, []]);
});

bothWays("arguments of an image's ENTRYPOINT may begin with a hyphen, and are no flags of docker", async (way) => {
  await using rig = await Rig.start(way);
  const entrypoint = JSON.stringify(["sh", "-c", `printf '%s\\n' "$@"`, "sh"]);
  const dockerfile = `FROM ${rig.service}-docker\nENTRYPOINT ${entrypoint}\nCMD ["unused"]`;
  await using image = await build(`${rig.service}-entrypoint`, dockerfile);
  for (const command of [["--privileged", "--", "-v/:/host"], ["--", "x"]]) {
    const id = await rig.run({ imageId: image.id, command });
    const lines = await Array.fromAsync(rig.launcher.outputs.read(id, { follow: true }));
    assertEquals(lines.map(({ text }) => text), command);
    assertEquals((await inspect(id)).HostConfig.Privileged, false);
  }
});

bothWays("a command that is not there is named without its arguments", async (way) => {
  await using rig = await Rig.start(way);
  for (const command of [["/no-such-app", "--key=secret"], ["/no-such-app --key=secret"]]) {
    const { message } = await assertRejects(() => rig.run({ command }), EngineError, '"/no-such-app');
    assert(!message.includes("secret"), message);
  }
});

bothWays("memory and processors are limited, and swap is no way around that", async (way) => {
  await using rig = await Rig.start(way);
  const id = await rig.run({ memoryBytes: 64 * MIB, cpus: 0.5, command: ["sleep", "600"] });
  const { Memory, MemorySwap, NanoCpus } = (await inspect(id)).HostConfig;
  assertEquals([Memory, MemorySwap, NanoCpus], [64 * MIB, 64 * MIB, 500_000_000]);
  const free = await rig.run({ command: ["sleep", "600"] });
  const other = (await inspect(free)).HostConfig;
  assertEquals([other.Memory, other.MemorySwap, other.NanoCpus], [0, 0, 0]);
});

bothWays("a named volume keeps its data from one instance to the next", async (way) => {
  await using data = volume();
  await using rig = await Rig.start(way);
  const volumes = [{ source: data.name, path: "/data, with a comma", readOnly: false }];
  const script = `cd '/data, with a comma' && echo x >>log && cat log`;
  assertEquals((await rig.lines(script, { volumes })).length, 1);
  for (const { id } of await rig.launcher.list()) await rig.launcher.stop(id);
  assertEquals((await rig.lines(script, { volumes })).length, 2);
});

bothWays("removing a container removes its anonymous volumes, and no others", async (way) => {
  await using data = volume();
  await using rig = await Rig.start(way);
  await using image = await build(`${rig.service}-nameless`, `FROM ${rig.service}-docker\nVOLUME /nameless`);
  const volumes = [{ source: data.name, path: "/data", readOnly: false }];
  const id = await rig.run({ imageId: image.id, volumes, command: ["sleep", "600"] });
  const { Mounts } = await inspect(id) as { Mounts: { Name: string }[] };
  const names = Mounts.map(({ Name }) => Name);
  assertEquals([names.length, names.includes(data.name)], [2, true]);
  await rig.launcher.remove(id);
  const left = (await docker("volume", "ls", "--quiet")).split("\n");
  assertEquals(names.filter((name) => left.includes(name)), [data.name]);
});

bothWays("a folder of the host is there, read-only where that is said, and has to exist", async (way) => {
  await using temporary = await temporaryFolder();
  const folder = `${temporary.path}/a,"b"`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/file`, "of the host");
  await using rig = await Rig.start(way);
  const volumes = [{ source: folder, path: "/host", readOnly: true }];
  const [first, second] = await rig.lines("cat /host/file; echo; echo x 2>&1 >/host/new", { volumes });
  assertEquals(first?.text, "of the host");
  assertMatch(second?.text ?? "", /Read-only file system/i);
  const missing = [{ source: `${folder}/missing`, path: "/host", readOnly: true }];
  await assertRejects(() => rig.run({ volumes: missing }), EngineError, "bind source path does not exist");
});

bothWays("a container with environment, limits and volumes is found by the next process", async (way) => {
  await using data = volume();
  await using rig = await Rig.start(way);
  const id = await rig.run({
    env: ENV,
    command: ["sleep", "600"],
    memoryBytes: 64 * MIB,
    cpus: 1,
    volumes: [{ source: data.name, path: "/data", readOnly: true }],
  });
  const [found, ...more] = await rig.next().list();
  assertEquals(more, []);
  assertEquals([found?.id, found?.state, found?.imageId], [id, "running", rig.image.id]);
  assertMatch(found?.origin ?? "", /^http:\/\/[\d.]+:\d+$/);
});

bothWays("lines come as the app writes them, and end with it", async (way) => {
  await using rig = await Rig.start(way);
  const script = `echo one; echo two >&2; echo; head -c 200000 /dev/zero | tr '\\0' x; echo; printf last`;
  const lines = await rig.lines(script);
  const of = (stream: string) => lines.filter((line) => line.stream === stream);
  assertEquals(of("stderr").map(({ text }) => text), ["two"]);
  const out = of("stdout").map(({ text, cut }) => [text.length > 9 ? `${text.length}` : text, cut]);
  const [long, rest] = ["65536", `${200_000 - 3 * 65_536}`];
  assertEquals(out.slice(0, 2), [["one", undefined], ["", undefined]]);
  assertEquals(out.slice(2, 6), [[long, true], [long, true], [long, true], [rest, undefined]]);
  assertEquals(out.slice(6), [["last", undefined]]);
  for (const { text, time } of lines) {
    assertMatch(time ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    assert(text.length < 9 || /^x+$/.test(text));
  }
});

bothWays("lines can be had from a time on, the last of them, and until a signal", async (way) => {
  await using rig = await Rig.start(way);
  const id = await rig.run({ command: ["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.1; done; exec sleep 600"] });
  const controller = new AbortController();
  const lines: LogLine[] = [];
  for await (const line of rig.launcher.outputs.read(id, { follow: true, signal: controller.signal })) {
    lines.push(line);
    if (line.text === "3") controller.abort();
  }
  const textsOf = async (options: LogOptions) =>
    (await Array.fromAsync(rig.launcher.outputs.read(id, options))).map(({ text }) => text);
  assertEquals(lines.map(({ text }) => text), ["1", "2", "3"]);
  assertEquals(await textsOf({ tail: 1 }), ["3"]);
  assertEquals(await textsOf({ since: lines[1]!.time! }), ["2", "3"]);
  const following = rig.launcher.outputs.read(id, { follow: true, tail: 1 })[Symbol.asyncIterator]();
  assertEquals((await following.next()).value?.text, "3");
  const [end] = await Promise.all([following.next(), rig.launcher.remove(id)]);
  assertEquals(end.done, true);
  assertEquals([await textsOf({}), await rig.launcher.output(id, 2)], [["1", "2", "3"], "2\n3"]);
  const unknown = () => Array.fromAsync(rig.launcher.outputs.read(`${id}-other`));
  await assertRejects(unknown, EngineError, "No such container");
});

bothWays("an image is found by its name and by its id, and is removed when nobody needs it", async (way) => {
  await using rig = await Rig.start(way);
  using api = realEngine(way);
  const source = new ImageSource(api, new DockerCommand("docker"));
  const { id } = rig.image;
  const name = await docker("image", "inspect", "--format={{index .RepoTags 0}}", id);
  for (const reference of [name, name.replace(":latest", ""), id, id.slice(7)]) {
    for (const policy of ["never", "missing"] as const) {
      const { imageId, pulled } = await source.resolve(reference, policy);
      assertEquals([imageId, pulled], [id, false], reference);
    }
  }
  const container = await rig.run({ command: ["sleep", "600"] });
  assertEquals(await source.remove(id), false);
  await rig.launcher.remove(container);
  assertEquals([await source.remove(id), await source.remove(id)], [true, true]);
});

bothWays("an image that is nowhere is an error that says so", async (way) => {
  using api = realEngine(way);
  const source = new ImageSource(api, new DockerCommand("docker"));
  const ghost = "no.such.host.invalid/ghost:1";
  const reasonOf = async (...args: Parameters<ImageSource["resolve"]>) =>
    (await assertRejects(() => source.resolve(...args), ImageUnavailable)).reason;
  assertEquals(await reasonOf(ghost, "never"), "not_found");
  assertEquals(await reasonOf(`sha256:${"0".repeat(64)}`, "missing"), "not_found");
  for (const policy of ["missing", "always"] as const) assertEquals(await reasonOf(ghost, policy), "unreachable");
  assertEquals(await reasonOf("Not A Name", "always"), "invalid_reference");
});
