import { assert, assertEquals, assertRejects } from "@std/assert";
import { DockerError } from "../../../src/docker/command.ts";
import { type LogLine, readLogs } from "../../../src/docker/logs/logs.ts";
import { dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const TIME = "2026-01-02T03:04:05.000000006Z";

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
  const lines = await Array.fromAsync(readLogs(docker.command, "one"));
  const of = (lines: LogLine[], stream: string) => lines.filter((line) => line.stream === stream);
  assertEquals(of(lines, "stdout"), [
    { stream: "stdout", time: TIME, text: "out" },
    { stream: "stdout", time: TIME, text: "more" },
  ]);
  assertEquals(of(lines, "stderr"), [{ stream: "stderr", time: TIME, text: "err" }]);
});

dockerTest("which lines are read is up to the docker command", async (docker) => {
  await docker.on("logs", "");
  assertEquals(await Array.fromAsync(readLogs(docker.command, "one")), []);
  await Array.fromAsync(readLogs(docker.command, "one", { follow: true, tail: 5, since: TIME }));
  assertEquals(await docker.calls(), [
    ["logs", "--timestamps", "one"],
    ["logs", "--timestamps", "--follow", "--tail=5", `--since=${TIME}`, "one"],
  ]);
});

dockerTest("a line comes as soon as it is written", async (docker) => {
  const gate = await docker.gate();
  await docker.on("logs", { script: `echo '${TIME} one'`, gate, stdout: `${TIME} two\n` });
  const lines = readLogs(docker.command, "one", { follow: true });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  await gate.open();
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "two" });
  assertEquals((await lines.next()).done, true);
});

dockerTest("a stream that never ends does not keep the other one waiting", async (docker) => {
  await docker.on("logs", { script: `echo '${TIME} rare' >&2; while :; do echo '${TIME} often'; done` });
  for await (const { text } of readLogs(docker.command, "one", { follow: true })) if (text === "rare") break;
});

dockerTest("what the docker command says for itself is an error, and no line", async (docker) => {
  await docker.on(
    "logs",
    { stderr: "Error response from daemon: No such container: one\n", code: 1 },
    { stdout: `${TIME} out\n`, stderr: `${TIME} Error: of the app\nError response from daemon: no luck\n`, code: 1 },
    { code: 3 },
    { stdout: `${TIME} out\n`, stderr: "WARNING: something\n" },
  );
  const failure = async () =>
    (await assertRejects(() => Array.fromAsync(readLogs(docker.command, "one")), DockerError)).message;
  assertEquals(await failure(), "No such container: one");
  assertEquals(await failure(), "no luck");
  assertEquals(await failure(), "docker logs ended with code 3");
  assertEquals(await Array.fromAsync(readLogs(docker.command, "one")), [{ stream: "stdout", time: TIME, text: "out" }]);
});

dockerTest("a signal ends the lines without an error, and the command with them", async (docker) => {
  const script = `trap '' TERM; echo $$ >'${pidFile(docker)}'; echo '${TIME} one'; sleep 600`;
  await docker.on("logs", { script });
  const controller = new AbortController();
  const lines = readLogs(docker.command, "one", { follow: true, signal: controller.signal });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  const next = lines.next();
  controller.abort();
  assertEquals((await next).done, true);
  assert(await isGone(pidFile(docker)));
});

dockerTest("a signal also ends lines that are there already, and lines that nobody has asked for", async (docker) => {
  await docker.on("logs", { stdout: `${TIME} one\n${TIME} two\n` });
  const controller = new AbortController();
  const lines = readLogs(docker.command, "one", { signal: controller.signal });
  assertEquals((await lines.next()).value, { stream: "stdout", time: TIME, text: "one" });
  controller.abort();
  assertEquals((await lines.next()).done, true);
  assertEquals(await Array.fromAsync(readLogs(docker.command, "one", { signal: controller.signal })), []);
  assertEquals((await docker.calls()).length, 1);
});

dockerTest("a reader that breaks off ends the command", async (docker) => {
  await docker.on("logs", { script: `echo $$ >'${pidFile(docker)}'; echo '${TIME} one'; sleep 600` });
  for await (const { text } of readLogs(docker.command, "one", { follow: true })) {
    assertEquals(text, "one");
    break;
  }
  assert(await isGone(pidFile(docker)));
});

dockerTest("a reader that is slow slows the docker command down", async (docker) => {
  const count = `${docker.path}.count`;
  // Each round writes 64 KiB: what a pipe holds.
  const block = `${TIME} ${"x".repeat(1024 - TIME.length - 2)}\n`.repeat(64);
  await Deno.writeTextFile(`${docker.path}.block`, block);
  const script = `for n in $(seq 1000); do cat '${docker.path}.block'; echo x >>'${count}'; done`;
  await docker.on("logs", { script });
  const lines = readLogs(docker.command, "one");
  for (let n = 0; n < 64; n++) await lines.next();
  // A command that is not held up would have written everything long before.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const rounds = (await Deno.readTextFile(count)).length / 2;
  assert(rounds < 50, `${rounds} rounds`);
  await lines.return();
});
