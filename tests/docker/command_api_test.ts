import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CommandOptions, DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import type { LogLine } from "../../src/docker/engine_api.ts";
import { EngineError, type FailureKind, kindOf, kindOfMessage } from "../../src/docker/engine_error.ts";
import { dockerTest, type FakeDocker } from "../support/fake_docker.ts";
import { until } from "../support/until.ts";

const TIME = "2026-01-02T03:04:05.000000006Z";
const ID = "0123456789abcdef".repeat(4);

/** What engines and the docker command have been seen to say, by what it means. */
const SAID: Record<FailureKind, string[]> = {
  gone: ["No such container: cless-none", `No such container: ${ID}`],
  no_such_image: [
    `No such image: sha256:${ID}`,
    "No such image: nope:latest",
    "Error: No such image: x",
    `Error: ${ID}: image not known`,
  ],
  no_such_network: ["network nonet not found", `network ${ID} not found`],
  conflict: [
    'Conflict. The container name "/k1" is already in use by container "13ae". You have to remove (or rename) that ' +
    "container to be able to reuse that name.",
    "network with name tn already exists",
  ],
  address_taken: [
    "Address already in use",
    "driver failed programming external connectivity on endpoint k5 (1e8e): Bind for 127.0.0.1:28999 failed: port is " +
    "already allocated",
    "driver failed programming external connectivity on endpoint k7 (9832): Error starting userland proxy: listen tcp4 " +
    "127.0.0.1:28998: bind: address already in use",
  ],
  subnet_taken: [
    "Pool overlaps with other one on this address space",
    "subnet 10.213.77.0/24 is already used on the host or by another config",
  ],
  in_use: [
    "error while removing network: network tn id f2a7 has active endpoints",
    "conflict: unable to delete d906 (cannot be forced) - image is being used by running container 7c8c",
    "conflict: unable to delete d906 (cannot be forced) - image has dependent child images",
    'conflict: unable to remove repository reference "app" (must force) - container 13ae is using its referenced image d9',
  ],
  no_log_driver: ["container create: running container create option: invalid log driver: invalid argument"],
  tagged: ["conflict: unable to delete d906 (must be forced) - image is referenced in multiple repositories"],
  already: [
    `Container ${ID} is already paused`,
    `Container ${ID} is not paused`,
    `removal of container ${ID} is already in progress`,
  ],
  away: [
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    'error during connect: Post "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/containers/create": EOF',
    "Cannot unpause container one: connection error: desc = transport: Error while dialing: unavailable",
    "unexpected EOF",
  ],
  late: [],
  stale: ["rpc error: code = Unknown desc = update out of sequence"],
  refused: [
    "something broke",
    `Container ${ID} is not running`,
    'exec: "no such image": executable file not found in $PATH',
    "bind source path does not exist: /nowhere",
  ],
};

Deno.test("each sentence of the engine has its kind", () => {
  for (const [kind, messages] of Object.entries(SAID)) {
    for (const message of messages) assertEquals(kindOfMessage(message), kind, message);
  }
});

dockerTest("a command that fails has the kind of its message, and one that takes too long is late", async (docker) => {
  const api = new CommandApi(docker.command);
  await docker.on("pause", { stderr: `Error response from daemon: Container ${ID} is already paused\n`, code: 1 });
  const error = await assertRejects(() => api.pause("one"), EngineError);
  assertEquals([error.kind, error.message], ["already", `Container ${ID} is already paused`]);
  await docker.on("version", { script: "exec sleep 600" });
  assertEquals(kindOf(await assertRejects(() => api.version({ timeoutMs: 100 }), EngineError)), "late");
});

dockerTest("a version is found after warnings, and is unknown if there is none", async (docker) => {
  await docker.on("version", "26.1.5+dfsg1\n", "Emulate Docker CLI using podman\n5.4.2\n", "WARNING: something\n");
  const api = new CommandApi(docker.command);
  assertEquals([await api.version(), await api.version(), await api.version()], ["26.1.5+dfsg1", "5.4.2", "unknown"]);
  assertEquals((await docker.calls())[0], ["version", "--format={{.Server.Version}}"]);
});

dockerTest("how long a container has been up is read from what the engine says of it", async (docker) => {
  const known: [status: string, ms: number | undefined][] = [
    ["Up Less than a second", 0],
    ["Up 1 second", 1000],
    ["Up 59 seconds (Paused)", 59_000],
    ["Up About a minute", 60_000],
    ["Up 12 minutes (unhealthy)", 720_000],
    ["Up About an hour", 3_600_000],
    ["Up 3 days", 3 * 86_400_000],
    ["Up 2 weeks", 14 * 86_400_000],
    ["Exited (0) 3 hours ago", undefined],
    ["Created", undefined],
    ["Up", undefined],
    ["", undefined],
  ];
  const entry = (status: string) => JSON.stringify({ id: "one", engineId: ID, state: "running", status, labels: {} });
  await docker.on("ps", ["WARNING: x", ...known.map(([status]) => entry(status))].join("\n"));
  const listed = await new CommandApi(docker.command).containers({ owner: "a1" });
  assertEquals(listed.map(({ upFor }) => upFor), known.map(([, ms]) => ms));
});

dockerTest("at most 16 commands stop or remove containers at once", async (docker) => {
  let running = 0;
  let most = 0;
  class CountedCommand extends DockerCommand {
    override async run(args: readonly string[], options?: CommandOptions): Promise<string> {
      most = Math.max(most, ++running);
      return await super.run(args, options).finally(() => running--);
    }
  }
  await docker.on("rm", "x\n");
  await docker.on("stop", "");
  const api = new CommandApi(new CountedCommand(docker.path));
  await Promise.all(Array.from({ length: 40 }, (_, n) => n % 2 === 0 ? api.remove(`no-${n}`) : api.stop(`no-${n}`, 1)));
  assertEquals(most, 16);
});

dockerTest("memory is read in every unit, and one that has just ended uses none", async (docker) => {
  const usages: [usage: string, bytes: number | undefined][] = [
    ["912KiB / 1GiB", 912 * 1024],
    ["12.5MiB / 7.6GiB", 12.5 * 1024 ** 2],
    ["1.5GiB / 2GiB", 1.5 * 1024 ** 3],
    ["512B / 1GiB", 512],
    ["0B / 0B", undefined],
    ["-- / --", undefined],
  ];
  const line = ([usage]: [string, unknown], n: number) => JSON.stringify({ id: `${n}`, usage }) + "\n";
  await docker.on("stats", "WARNING: x\n" + usages.map(line).join(""));
  const usage = await new CommandApi(docker.command).usage(usages.map((_, n) => `${n}`));
  assertEquals(usages.map((_, n) => usage.get(`${n}`)?.bytes), usages.map(([, bytes]) => bytes));
});

dockerTest("a network that disappears while all are inspected does not matter", async (docker) => {
  const gone = { stdout: "{}\n", stderr: `Error response from daemon: network ${ID} not found\n`, code: 1 };
  await docker.on("network ls", `WARNING: x\n${ID}\n${ID.replaceAll("0", "f")}\n`);
  await docker.on("network inspect", gone, gone, 'WARNING: x\n{"Name":"one","IPAM":{"Config":null}}\n{"Name":"two"}\n');
  const networks = await new CommandApi(docker.command).networks();
  assertEquals(networks.map(({ name, subnets }) => [name, subnets]), [["one", []], ["two", []]]);
});

dockerTest("networks that cannot be inspected are not inspected for ever", async (docker) => {
  await docker.on("network ls", `${ID}\n`);
  await docker.on("network inspect", { stderr: `Error response from daemon: network ${ID} not found\n`, code: 1 });
  await assertRejects(() => new CommandApi(docker.command).networks(), EngineError, "not found");
});

dockerTest("an answer without an image's id is an error", async (docker) => {
  await docker.on("image inspect", "nothing of use\n");
  const message = "the engine does not say what app:1 is";
  const error = await assertRejects(() => new CommandApi(docker.command).image("app:1"), EngineError, message);
  assertEquals(error.kind, "refused");
});

/** Whether a process whose id a script has written to a file is gone. */
async function isGone(path: string): Promise<boolean> {
  const pid = (await Deno.readTextFile(path)).trim();
  return !(await new Deno.Command("kill", { args: ["-0", pid], stderr: "null" }).output()).success;
}

/** A place for a script to write its process id to. */
function pidFile(docker: FakeDocker): string {
  return `${docker.path}.pid`;
}

dockerTest("the lines of both streams are told apart, each with its time", async (docker) => {
  await docker.on("logs", { stdout: `${TIME} out\n${TIME} more`, stderr: `${TIME} err\n` });
  const lines = await Array.fromAsync(new CommandApi(docker.command).logs("one"));
  const of = (lines: LogLine[], stream: string) => lines.filter((line) => line.stream === stream);
  assertEquals(of(lines, "stdout"), [
    { stream: "stdout", time: TIME, text: "out" },
    { stream: "stdout", time: TIME, text: "more" },
  ]);
  assertEquals(of(lines, "stderr"), [{ stream: "stderr", time: TIME, text: "err" }]);
});

dockerTest("which lines are read is up to the docker command", async (docker) => {
  await docker.on("logs", "");
  assertEquals(await Array.fromAsync(new CommandApi(docker.command).logs("one")), []);
  await Array.fromAsync(new CommandApi(docker.command).logs("one", { follow: true, tail: 5, since: TIME }));
  assertEquals(await docker.calls(), [
    ["logs", "--timestamps", "one"],
    ["logs", "--timestamps", "--follow", "--tail=5", `--since=${TIME}`, "one"],
  ]);
});

dockerTest("a line comes as soon as it is written", async (docker) => {
  const gate = await docker.gate();
  await docker.on("logs", { script: `echo '${TIME} one'`, gate, stdout: `${TIME} two\n` });
  const lines = new CommandApi(docker.command).logs("one", { follow: true });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  await gate.open();
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "two" });
  assertEquals((await lines.next()).done, true);
});

dockerTest("a stream that never ends does not keep the other one waiting", async (docker) => {
  await docker.on("logs", { script: `echo '${TIME} rare' >&2; while :; do echo '${TIME} often'; done` });
  for await (const { text } of new CommandApi(docker.command).logs("one", { follow: true })) if (text === "rare") break;
});

dockerTest("the docker command's own words are an error, and not a line of the log", async (docker) => {
  await docker.on(
    "logs",
    { stderr: "Error response from daemon: No such container: one\n", code: 1 },
    { stdout: `${TIME} out\n`, stderr: `${TIME} Error: of the app\nError response from daemon: no luck\n`, code: 1 },
    { code: 3 },
    { stdout: `${TIME} out\n`, stderr: "WARNING: something\n" },
  );
  const failure = async () =>
    (await assertRejects(() => Array.fromAsync(new CommandApi(docker.command).logs("one")), EngineError)).message;
  assertEquals(await failure(), "No such container: one");
  assertEquals(await failure(), "no luck");
  assertEquals(await failure(), "docker logs ended with code 3");
  assertEquals(await Array.fromAsync(new CommandApi(docker.command).logs("one")), [{
    stream: "stdout",
    time: TIME,
    text: "out",
  }]);
});

dockerTest("a signal ends the lines without an error, and the command with them", async (docker) => {
  const script = `trap '' TERM; echo $$ >'${pidFile(docker)}'; echo '${TIME} one'; sleep 600`;
  await docker.on("logs", { script });
  const controller = new AbortController();
  const lines = new CommandApi(docker.command).logs("one", { follow: true, signal: controller.signal });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  const next = lines.next();
  controller.abort();
  assertEquals((await next).done, true);
  assert(await isGone(pidFile(docker)));
});

dockerTest("a signal also ends lines that are there already, and lines that nobody has asked for", async (docker) => {
  await docker.on("logs", { stdout: `${TIME} one\n${TIME} two\n` });
  const controller = new AbortController();
  const lines = new CommandApi(docker.command).logs("one", { signal: controller.signal });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  controller.abort();
  assertEquals((await lines.next()).done, true);
  assertEquals(await Array.fromAsync(new CommandApi(docker.command).logs("one", { signal: controller.signal })), []);
  assertEquals((await docker.calls()).length, 1);
});

dockerTest("a reader that breaks off ends the command", async (docker) => {
  await docker.on("logs", { script: `echo $$ >'${pidFile(docker)}'; echo '${TIME} one'; sleep 600` });
  for await (const { text } of new CommandApi(docker.command).logs("one", { follow: true })) {
    assertEquals(text, "one");
    break;
  }
  assert(await isGone(pidFile(docker)));
});

dockerTest("a reader of events that breaks off ends the command", async (docker) => {
  const event = JSON.stringify({ Type: "image", Action: "delete" });
  await docker.on("events", { script: `echo $$ >'${pidFile(docker)}'; echo '${event}'; sleep 600` });
  const events = await new CommandApi(docker.command).events("1", new AbortController().signal);
  const begun = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const { action } of events) {
      assertEquals(action, "delete");
      begun.resolve();
      break;
    }
  })();
  await begun.promise;
  await until(() => isGone(pidFile(docker)));
  await reading;
});

dockerTest("a reader that is slow slows the docker command down", async (docker) => {
  const count = `${docker.path}.count`;
  // Each round writes 64 KiB: what a pipe holds.
  const block = `${TIME} ${"x".repeat(1024 - TIME.length - 2)}\n`.repeat(64);
  await Deno.writeTextFile(`${docker.path}.block`, block);
  const script = `for n in $(seq 1000); do cat '${docker.path}.block'; echo x >>'${count}'; done`;
  await docker.on("logs", { script });
  const lines = new CommandApi(docker.command).logs("one");
  for (let n = 0; n < 64; n++) await lines.next();
  // A command that is not held up would have written everything long before.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const rounds = (await Deno.readTextFile(count)).length / 2;
  assert(rounds < 50, `${rounds} rounds`);
  await lines.return();
});
