import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import { LABEL, type Placement } from "../../src/docker/container_spec.ts";
import { firstEntry } from "../../src/docker/tar.ts";
import type { EngineApi, EngineEvent, LogLine } from "../../src/docker/engine_api.ts";
import { EngineError, type FailureKind } from "../../src/docker/engine_error.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";
import { realEngine, shellImage } from "../support/container_rig.ts";
import { build, docker, noDocker } from "../support/docker.ts";
import { until } from "../support/until.ts";

// What both ways of asking an engine have to do, with a real engine.

const LIMITS = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: Infinity,
  stopHibernatedAfterMs: Infinity,
};
const NO_ID = `sha256:${"0123456789abcdef".repeat(4)}`;
const SUBNET = "10.213.77";
const MIB = 1024 ** 2;

/** An engine with an image and a network of the test's own; everything goes away with it. */
class Lab implements AsyncDisposable {
  /** Also the name of a volume that containers may have. */
  readonly owner = `e2e${crypto.randomUUID().slice(0, 8)}`;
  readonly network = `cless-${this.owner}`;
  readonly made: string[] = [];
  readonly api: EngineApi;
  imageId = "";
  #image: AsyncDisposable | undefined;

  private constructor(api: EngineApi) {
    this.api = api;
  }

  static async start(api: EngineApi): Promise<Lab> {
    const lab = new Lab(api);
    const image = await shellImage(`${lab.owner}-docker`);
    lab.#image = image;
    lab.imageId = image.id;
    await api.createNetwork({
      name: lab.network,
      subnet: `${SUBNET}.0/24`,
      gateway: `${SUBNET}.1`,
      labels: { [LABEL.owner]: lab.owner, [LABEL.dataDir]: "/no where" },
    });
    return lab;
  }

  revision(extras: Partial<Revision> = {}): Revision {
    const base = { ...conventionRevision(this.owner, this.imageId, LIMITS), command: ["sleep", "600"] };
    return { ...base, ...extras };
  }

  placement(id: string, place: Partial<Placement> = {}): Placement {
    const address = `${SUBNET}.${this.made.length + 2}`;
    const { owner, network } = this;
    return { id, owner, network, address, hostPort: undefined, origin: `http://${address}:8080`, ...place };
  }

  /** Makes a container, and resolves with its name. */
  async run(extras: Partial<Revision> = {}, place: Partial<Placement> = {}, api = this.api): Promise<string> {
    const id = place.id ?? `cless-${this.owner}-${this.made.length}`;
    const placement = this.placement(id, place);
    this.made.push(id);
    await api.run(this.revision(extras), placement);
    return id;
  }

  async stateOf(id: string): Promise<string | undefined> {
    return (await this.api.containers({ owner: this.owner })).find((container) => container.id === id)?.state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker("rm", "--force", "--volumes", ...this.made, "none").catch(() => {});
    await docker("volume", "rm", "--force", this.owner);
    await this.api.removeNetwork(this.network).catch(() => {});
    await this.#image?.[Symbol.asyncDispose]();
    this.api[Symbol.dispose]();
  }
}

/** A test that holds for both ways. */
function bothWays(name: string, fn: (lab: Lab) => Promise<void>): void {
  for (const way of ["command", "socket"] as const) {
    Deno.test({ name: `${way}: ${name}`, ignore: noDocker }, async () => {
      await using lab = await Lab.start(realEngine(way));
      await fn(lab);
    });
  }
}

/** Asserts that a call fails in a certain way, and returns the message. */
async function fails(kind: FailureKind, call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call, EngineError);
  assertEquals(error.kind, kind, error.message);
  assert(!error.message.includes("\n"), error.message);
  return error.message;
}

bothWays("an engine tells its version, its id and where its data is", async ({ api }) => {
  assertMatch(await api.version(), /^\d+\.\d+/);
  const { dataFolder, id } = await api.info();
  assertEquals(id, await docker("info", "--format={{.ID}}"));
  assertMatch(dataFolder, /^\//);
});

bothWays("a container is made, started, listed with its labels, and removed", async (lab) => {
  const { api, imageId, owner } = lab;
  const id = await lab.run();
  const [listed, ...more] = await api.containers({ owner });
  const { engineId, upFor, ...rest } = listed!;
  assertEquals([more, engineId], [[], await docker("inspect", "--format={{.Id}}", id)]);
  assert(upFor !== undefined && upFor < 60_000, `${upFor}`);
  assertEquals(rest, {
    id,
    owner,
    service: owner,
    revision: lab.revision().name,
    imageId,
    state: "running",
    address: `${SUBNET}.2`,
    origin: `http://${SUBNET}.2:8080`,
  });
  await api.remove(id);
  assertEquals(await api.containers({ owner }), []);
  assertMatch(await fails("gone", () => api.remove(id)), /^No such container: /);
});

bothWays("a container is paused and resumed, and doing so twice fails as already", async (lab) => {
  const { api } = lab;
  const id = await lab.run();
  await api.pause(id);
  await fails("already", () => api.pause(id));
  assertEquals(await lab.stateOf(id), "paused");
  await api.unpause(id);
  await fails("already", () => api.unpause(id));
  assertEquals(await lab.stateOf(id), "running");
  await docker("kill", id);
  await fails("refused", () => api.pause(id));
});

bothWays("a container is asked to end, killed after its grace time, and may be stopped twice", async (lab) => {
  const { api } = lab;
  const polite = await lab.run({ command: ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"] });
  const deaf = await lab.run({ command: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"] });
  await Promise.all([api.stop(polite, 10), api.stop(deaf, 1)]);
  const codeOf = (id: string) => docker("inspect", "--format={{.State.ExitCode}}", id);
  assertEquals([await codeOf(polite), await codeOf(deaf)], ["7", "137"]);
  assertEquals([await lab.stateOf(polite), await lab.stateOf(deaf)], ["ended", "ended"]);
  await api.stop(polite, 1);
  await fails("gone", () => api.stop("cless-none", 1));
});

bothWays("every order for a missing container fails as gone", async ({ api }) => {
  await fails("gone", () => api.pause("cless-none"));
  await fails("gone", () => api.unpause("cless-none"));
  await fails("gone", () => api.remove("cless-none"));
  await fails("gone", () => Array.fromAsync(api.logs("cless-none")));
  await fails("gone", () => Array.fromAsync(api.logs("cless-none", { follow: true })));
});

bothWays("a name, an address, a port, an image and a network that cannot be had are told apart", async (lab) => {
  const id = await lab.run({}, { hostPort: 28_993 });
  await fails("conflict", () => lab.run({}, { id }));
  await fails("address_taken", () => lab.run({}, { address: `${SUBNET}.2` }));
  await fails("address_taken", () => lab.run({}, { hostPort: 28_993 }));
  using _other = Deno.listen({ hostname: "127.0.0.1", port: 28_994 });
  await fails("address_taken", () => lab.run({}, { hostPort: 28_994 }));
  await fails("no_such_image", () => lab.run({ imageId: NO_ID }));
  await fails("no_such_network", () => lab.run({}, { network: "cless-none" }));
  await fails("refused", () => lab.run({ command: ["/no-such-program"] }));
});

/** The bits of capabilities in /proc/PID/status: capability.h of Linux. */
const BITS = { CHOWN: 0, KILL: 5, NET_BIND_SERVICE: 10, NET_ADMIN: 12, NET_RAW: 13, MKNOD: 27, AUDIT_WRITE: 29 };

/** Which of {@linkcode BITS} a container may have at all, and what a script in it says. */
async function inside(lab: Lab, script: string, extras: Partial<Revision>): Promise<{ may: string[]; said: string[] }> {
  const id = await lab.run({ ...extras, command: ["sh", "-c", `cat /proc/self/status; echo; ${script}`] });
  const lines = (await Array.fromAsync(lab.api.logs(id, { follow: true }))).map(({ text }) => text);
  const bounding = BigInt(`0x${lines.find((line) => line.startsWith("CapBnd:"))!.slice(7).trim()}`);
  const may = Object.entries(BITS).flatMap(([name, bit]) => (bounding >> BigInt(bit)) & 1n ? [name] : []);
  return { may, said: lines.slice(lines.indexOf("") + 1) };
}

bothWays(
  "an app has the engine's capabilities without those that a revision drops, and with those it adds",
  async (lab) => {
    assertEquals((await inside(lab, "", {})).may, ["CHOWN", "KILL", "NET_BIND_SERVICE"]);
    const added = { add: ["NET_ADMIN", "NET_RAW"], drop: ["KILL", "MKNOD"] };
    const { may } = await inside(lab, "", { capabilities: added });
    assertEquals(may, ["CHOWN", "NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW", "AUDIT_WRITE"]);
    const few = await inside(lab, "", { capabilities: { add: ["CHOWN"], drop: ["ALL"] } });
    assertEquals(few.may, ["CHOWN"]);
    const older = await inside(lab, "", { capabilities: { add: [], drop: [] } });
    assertEquals(older.may, ["CHOWN", "KILL", "NET_BIND_SERVICE", "NET_RAW", "MKNOD", "AUDIT_WRITE"]);
  },
);

bothWays("a read-only app can write into its volumes and /tmp, and nowhere else", async (lab) => {
  const tries = ["/x", "/etc-x", "/tmp/x", "/data/x"].map((path) => `echo x 2>&1 >${path} && echo "${path} works"`);
  const volumes = [{ source: lab.owner, path: "/data", readOnly: false }];
  const script = `${tries.join("; ")}; true`;
  const { said } = await inside(lab, script, { readOnly: true, user: "1000:1000", volumes });
  assertEquals(said.filter((line) => line.endsWith(" works")), ["/tmp/x works"]); // the volume belongs to root
  const asRoot = await inside(lab, script, { readOnly: true, volumes });
  assertEquals(asRoot.said.filter((line) => line.endsWith(" works")), ["/tmp/x works", "/data/x works"]);
});

bothWays("an app has the rights of the user that its revision names", async (lab) => {
  const of = async (extras: Partial<Revision>) => {
    const id = await lab.run({ ...extras, command: ["cat", "/proc/self/status"] });
    const lines = (await Array.fromAsync(lab.api.logs(id, { follow: true }))).map(({ text }) => text);
    return lines.filter((line) => /^[UG]id:/.test(line)).map((line) => line.split("\t").slice(0, 2).join(""));
  };
  assertEquals(await of({ user: "1234:5678" }), ["Uid:1234", "Gid:5678"]);
  assertEquals(await of({}), ["Uid:0", "Gid:0"]);
});

bothWays(
  "the first bytes of an archive tell the owner of a folder, and the content of a file, also of an ended container",
  async (lab) => {
    const { api, owner } = lab;
    const volumes = [{ source: owner, path: "/data", readOnly: false }];
    const id = await lab.run({ volumes, command: ["sh", "-c", "echo hello >/data/a"] });
    await Array.fromAsync(api.logs(id, { follow: true }));
    const folder = firstEntry(await api.archive(id, "/data/.", 512));
    assertEquals([folder?.isFolder, folder?.uid, folder?.gid, folder?.mode], [true, 0, 0, 0o755]);
    const file = firstEntry(await api.archive(id, "/data/a", 4096));
    assertEquals([file?.isFolder, new TextDecoder().decode(file?.content)], [false, "hello\n"]);
    await assertRejects(() => api.archive(id, "/none", 512), EngineError);
    await fails("gone", () => api.archive(`${owner}-none`, "/", 512));
  },
);

bothWays("a container starts by the runtime that its revision names, if the engine has it", async (lab) => {
  const id = await lab.run({ runtime: "io.containerd.runc.v2" });
  assertEquals(await docker("inspect", "--format={{.HostConfig.Runtime}}", id), "io.containerd.runc.v2");
  assertMatch(await fails("refused", () => lab.run({ runtime: "cless-none" })), /cless-none/);
});

bothWays("the lines of a log come with stream and time, as many and from when they are wanted", async (lab) => {
  const { api } = lab;
  const script = "echo one; echo two >&2; sleep 0.2; echo three; head -c 100000 /dev/zero | tr '\\0' x; printf last";
  const id = await lab.run({ command: ["sh", "-c", script] });
  const lines = await Array.fromAsync(api.logs(id, { follow: true }));
  const of = (lines: LogLine[], stream: string) => lines.filter((line) => line.stream === stream);
  assertEquals(of(lines, "stderr").map(({ text }) => text), ["two"]);
  assertEquals(of(lines, "stdout").map(({ text, cut }) => [text.length > 9 ? text.length : text, cut]), [
    ["one", undefined],
    ["three", undefined],
    [65_536, true],
    [100_000 - 65_536 + 4, undefined],
  ]);
  for (const { time } of lines) assertMatch(time ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  const again = await Array.fromAsync(api.logs(id));
  assertEquals(of(again, "stdout"), of(lines, "stdout"));
  const from = lines.find(({ text }) => text === "three")!.time!;
  const later = (await Array.fromAsync(api.logs(id, { since: from }))).map(({ text }) => text);
  assertEquals([later[0], later.includes("one")], ["three", false]);
  assertEquals((await Array.fromAsync(api.logs(id, { tail: 0 }))).length, 0);
});

bothWays("a log that is followed ends with a signal, without an error", async (lab) => {
  const id = await lab.run({ command: ["sh", "-c", "echo one; exec sleep 600"] });
  const controller = new AbortController();
  const lines = lab.api.logs(id, { follow: true, signal: controller.signal });
  assertEquals((await lines.next()).value?.text, "one");
  const next = lines.next();
  controller.abort();
  assertEquals((await next).done, true);
  for await (const { text } of lab.api.logs(id, { follow: true })) {
    assertEquals(text, "one");
    break;
  }
});

bothWays("events tell what happens to containers and images, from the moment that is asked for", async (lab) => {
  const { api, owner } = lab;
  const since = (Date.now() / 1000 - 0.001).toFixed(3);
  const before = await lab.run();
  const controller = new AbortController();
  const seen: EngineEvent[] = [];
  const events = await api.events(since, controller.signal);
  const reading = (async () => {
    for await (const event of events) {
      const { [LABEL.owner]: of, name = "" } = event.attributes;
      if (of === owner || name.startsWith(owner) || name === lab.imageId) seen.push(event);
    }
  })().catch((error) => assert(controller.signal.aborted, `${error}`));
  const actions = () => seen.map(({ action, attributes, type }) => `${type} ${action} ${attributes.name}`);
  await until(() => Promise.resolve(actions().includes(`container start ${before}`)));
  await api.pause(before);
  await api.unpause(before);
  await docker("kill", before);
  await docker("tag", lab.imageId, `${owner}:other`);
  await api.removeImage(`${owner}:other`);
  await until(() => Promise.resolve(seen.some(({ action }) => action === "untag")));
  controller.abort();
  await reading;
  const ofContainer = actions().filter((action) => action.startsWith("container"));
  assertEquals(
    ofContainer,
    ["start", "pause", "unpause", "kill", "die"].map((action) => `container ${action} ${before}`),
  );
  assertEquals(seen.find(({ action }) => action === "die")!.attributes.exitCode, "137");
  for (const { time } of seen) assertMatch(time ?? "", /^\d{10}\.\d{6}$/);
});

bothWays("the memory of containers is told, also of a paused one, and not of one that has ended", async (lab) => {
  const running = await lab.run();
  const paused = await lab.run();
  const ended = await lab.run();
  await lab.api.pause(paused);
  await docker("kill", ended);
  const ids = new Map(
    (await lab.api.containers({ owner: lab.owner })).map(({ engineId, id }) => [id, engineId]),
  );
  const usage = await lab.api.usage([...ids.values()]);
  for (const id of [running, paused]) {
    const bytes = usage.get(ids.get(id)!)?.bytes ?? 0;
    assert(bytes > 10_000 && bytes < 32 * MIB, `${id}: ${bytes}`);
  }
  assertEquals([usage.has(ids.get(ended)!), (await lab.api.usage([])).size], [false, 0]);
});

bothWays("the processor time of a container grows only while its app does something, if it is told", async (lab) => {
  const id = await lab.run({ command: ["sh", "-c", "while read -r _; do :; done < /dev/zero"] });
  const [container] = await lab.api.containers({ owner: lab.owner });
  const used = async () => (await lab.api.usage([container!.engineId])).get(container!.engineId)?.processorNs;
  const before = await used();
  // Where the machine is busy, the app need not run between two looks.
  if (before !== undefined) await until(async () => (await used())! > before);
  await lab.api.pause(id);
  const paused = await used();
  assertEquals([before === undefined || before > 0, await used()], [true, paused]);
  assertEquals(paused === undefined, before === undefined);
});

bothWays("networks are listed with labels and subnets, and each refusal is told apart", async (lab) => {
  const { api, network, owner } = lab;
  const spec = { name: network, subnet: "10.213.78.0/24", gateway: "10.213.78.1", labels: {} };
  const own = (await api.networks()).find(({ name }) => name === network);
  assertEquals(own, {
    name: network,
    labels: { [LABEL.owner]: owner, [LABEL.dataDir]: "/no where" },
    subnets: [{ subnet: `${SUBNET}.0/24`, gateway: `${SUBNET}.1` }],
  });
  assert((await api.networks()).some(({ name }) => name === "bridge"));
  assertEquals(
    await docker("network", "inspect", `--format={{index .Options "com.docker.network.bridge.enable_icc"}}`, network),
    "false",
  );
  const overlapping = { ...spec, name: `${network}-2`, subnet: `${SUBNET}.0/25`, gateway: `${SUBNET}.1` };
  await fails("subnet_taken", () => api.createNetwork(overlapping));
  await fails("conflict", () => api.createNetwork(spec));
  const id = await lab.run();
  await fails("in_use", () => api.removeNetwork(network));
  await api.remove(id);
  await api.removeNetwork(network);
  await fails("no_such_network", () => api.removeNetwork(network));
});

bothWays(
  "images are found by name and id, with the ports that they expose, and whether they have a health check",
  async (lab) => {
    const { api, imageId, owner } = lab;
    const dockerfile = `FROM ${owner}-docker\nEXPOSE 3000 9000/tcp 53/udp\nUSER 1000:50\nHEALTHCHECK CMD true`;
    await using exposing = await build(`${owner}-exposing`, dockerfile);
    for (const reference of [`${owner}-docker`, `${owner}-docker:latest`, imageId, imageId.slice(7)]) {
      assertEquals(await api.image(reference), {
        ...{ id: imageId, digests: [], exposedPorts: [], hasHealthCheck: false, user: "" },
      });
    }
    const { exposedPorts, hasHealthCheck, id, user } = await api.image(`${owner}-exposing`);
    assertEquals([hasHealthCheck, user], [true, "1000:50"]);
    assertEquals([id, exposedPorts.toSorted((a, b) => a - b)], [exposing.id, [3000, 9000]]);
    assertEquals((await api.conventionImages()).get(`${owner}-docker`), imageId);
    assertEquals((await api.conventionImages()).has(`${owner}-exposing`), false);
    const names = await api.imageNames();
    const ids = ["docker", "exposing", "none"].map((name) => names.get(`${owner}-${name}:latest`));
    assertEquals(ids, [imageId, exposing.id, undefined]);
    for (const reference of [`${owner}-none`, `127.0.0.1:1/${owner}/none:1`, NO_ID]) {
      await fails("no_such_image", () => api.image(reference));
    }
  },
);

bothWays("an image is removed unless something needs it, and why it stays is told", async (lab) => {
  const { api, imageId, owner } = lab;
  const id = await lab.run();
  await fails("in_use", () => api.removeImage(imageId));
  await api.remove(id);
  await docker("tag", imageId, `${owner}-more/app:1`);
  await fails("tagged", () => api.removeImage(imageId));
  await api.removeImage(`${owner}-more/app:1`);
  await api.removeImage(imageId);
  await fails("no_such_image", () => api.removeImage(imageId));
});

bothWays("the containers that use a named volume are listed, whoever has made them", async (lab) => {
  const { api, owner } = lab;
  const id = await lab.run({ volumes: [{ source: owner, path: "/data", readOnly: false }] });
  const other = `${owner}-by-hand`;
  lab.made.push(other);
  await docker("create", "--name", other, "--volume", `${owner}:/x`, lab.imageId, "sleep", "1");
  const using = await api.containers({ volume: owner });
  assertEquals(using.map(({ id, owner }) => [id, owner]).sort(), [[id, owner], [other, ""]].sort());
  assertEquals(await api.containers({ volume: `${owner}-none` }), []);
});

bothWays("removing a container removes its anonymous volumes, and keeps a named one", async (lab) => {
  const { api, owner } = lab;
  await using image = await build(`${owner}-nameless`, `FROM ${owner}-docker\nVOLUME /nameless`);
  const volumes = [{ source: owner, path: "/data", readOnly: false }];
  const id = await lab.run({ imageId: image.id, volumes });
  const { Mounts } = JSON.parse(await docker("inspect", id))[0] as { Mounts: { Name: string }[] };
  assertEquals(Mounts.length, 2);
  await api.remove(id);
  const left = (await docker("volume", "ls", "--quiet")).split("\n");
  assertEquals(Mounts.map(({ Name }) => Name).filter((name) => left.includes(name)), [owner]);
});

for (
  const [way, api] of Object.entries({
    command: () => new CommandApi(new DockerCommand("docker")),
    socket: () => new SocketApi("/nowhere/docker.sock"),
  })
) {
  Deno.test({ name: `${way}: an engine that is not there is away`, ignore: noDocker }, async () => {
    const before = Deno.env.get("DOCKER_HOST");
    Deno.env.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    try {
      using away = api();
      await fails("away", () => away.version());
      await fails("away", () => away.containers({ owner: "x" }));
      await fails("away", () => away.unpause("x"));
    } finally {
      if (before === undefined) Deno.env.delete("DOCKER_HOST");
      else Deno.env.set("DOCKER_HOST", before);
    }
  });
}
