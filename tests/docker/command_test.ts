import { assert, assertEquals, assertRejects } from "@std/assert";
import { DockerCommand } from "../../src/docker/command.ts";
import { EngineError, kindOf } from "../../src/docker/engine_error.ts";
import { jsonLines } from "../../src/docker/engine_json.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";

/** The message of a command that fails. */
async function failure(docker: FakeDocker, ...args: string[]): Promise<string> {
  return (await assertRejects(() => docker.command.run(args), EngineError)).message;
}

dockerTest("a command is run with its arguments as they are, and without a shell", async (docker) => {
  await docker.on("run", "done\n");
  const args = ["run", "--name=a b", "$(touch x)", "", "'\"\\", "a\nb", "*", "ü"];
  assertEquals(await docker.command.run(args), "done\n");
  assertEquals(await docker.calls(), [args]);
});

dockerTest("what a command writes to stderr is no part of its output", async (docker) => {
  await docker.on("ps", { stdout: "out", stderr: "WARNING: no swap limit" });
  assertEquals(await docker.command.run(["ps"]), "out");
});

dockerTest("an output of many lines is read whole", async (docker) => {
  await docker.on("ps", { script: "n=0; while [ $n -lt 20000 ]; do echo $n; n=$((n + 1)); done" });
  assertEquals((await docker.command.run(["ps"])).split("\n").length, 20_001);
});

dockerTest(
  "the error of a command that fails is what the engine said, without the command's own words",
  async (docker) => {
    const said: [stderr: string, message: string][] = [
      ["Error response from daemon: No such container: x\n", "No such container: x"],
      [
        "docker: Error response from daemon: Conflict. The name is in use.\nSee 'docker run --help'.\n",
        "Conflict. The name is in use",
      ],
      [
        "unknown flag: --x\nSee 'docker ps --help'.\n\nRun 'docker ps --help' for more information\n",
        "unknown flag: --x",
      ],
      ["WARNING: no blkio weight support\nError response from daemon: pool overlaps\n", "pool overlaps"],
      ["Error response from daemon: no such image: a\nexit status 1\n", "no such image: a"],
      [
        "Error response from daemon: No such container: x\nError: failed to start containers: x\n",
        "No such container: x",
      ],
      ["something else\nhappened\n", "happened"],
    ];
    for (const [stderr, message] of said) {
      await docker.on("run", { stdout: "0123456789ab\n", stderr, code: 125 });
      assertEquals(await failure(docker, "run"), message);
    }
  },
);

dockerTest("a command that fails without a word is named with its exit code", async (docker) => {
  await docker.on("stop", { code: 7 });
  assertEquals(await failure(docker, "stop", "x"), "docker stop ended with code 7");
});

dockerTest("a command that is killed by somebody else has failed", async (docker) => {
  await docker.on("run", { script: "kill -9 $$" });
  assertEquals(await failure(docker, "run"), "docker run ended with code 137");
});

dockerTest("a command that takes too long is ended", async (docker) => {
  await docker.on("run", { script: "exec sleep 600" });
  const began = performance.now();
  const error = await assertRejects(() => docker.command.run(["run"], { timeoutMs: 100 }), EngineError);
  assertEquals([error.message, kindOf(error)], ["docker run did not end in time", "late"]);
  assert(performance.now() - began < 10_000);
});

dockerTest(
  "a command that takes too long is ended with its children, even if they ignore signals",
  async (docker) => {
    for (const script of ["trap '' TERM; exec sleep 600", "sleep 600; echo done", "sleep 600 & wait"]) {
      await docker.on("run", { script });
      const error = await assertRejects(() => docker.command.run(["run"], { timeoutMs: 100 }), EngineError);
      assertEquals(error.message, "docker run did not end in time");
    }
  },
);

dockerTest("a command's input and environment are not among its arguments", async (docker) => {
  await docker.on("run", { script: 'cat; printf "%s|%s" "$MORE" "${HOME:+home}"' });
  const text = "ü\n".repeat(100_000);
  const output = await docker.command.run(["run"], { stdin: text, env: { MORE: "two\nlines" } });
  assertEquals(output, `${text}two\nlines|home`);
  assertEquals(await docker.calls(), [["run"]]);
});

dockerTest("a command without input reads nothing", async (docker) => {
  await docker.on("run", { script: "cat" });
  assertEquals(await docker.command.run(["run"]), "");
  assertEquals(await docker.command.run(["run"], { stdin: "" }), "");
});

dockerTest("a command that does not read what it was given may end well or fail", async (docker) => {
  await docker.on("run", "done", { stderr: "unknown flag: --x", code: 125 });
  const options = { stdin: "x".repeat(1_000_000) };
  assertEquals(await docker.command.run(["run"], options), "done");
  const error = await assertRejects(() => docker.command.run(["run"], options), EngineError);
  assertEquals(error.message, "unknown flag: --x");
});

dockerTest("the lines of a command are told as they come", async (docker) => {
  const gate = await docker.gate();
  await docker.on("pull", { script: "printf 'one\\ntw'", gate, stdout: "o\r\n\nlast" });
  const lines: string[] = [];
  const first = Promise.withResolvers<void>();
  const output = docker.command.run(["pull"], {
    onLine: (line) => {
      lines.push(line);
      first.resolve();
    },
  });
  await first.promise;
  assertEquals(lines, ["one"]);
  await gate.open();
  assertEquals([await output, lines], ["", ["one", "two", "", "last"]]);
});

dockerTest("a callback that fails ends the command", async (docker) => {
  await docker.on("pull", { script: "echo one; exec sleep 600" });
  const onLine = () => {
    throw new RangeError("no");
  };
  await assertRejects(() => docker.command.run(["pull"], { onLine }), RangeError, "no");
});

dockerTest("a command whose lines are told fails as others do", async (docker) => {
  await docker.on("pull", { stdout: "one\n", stderr: "Error response from daemon: no luck\n", code: 1 });
  const error = await assertRejects(() => docker.command.run(["pull"], { onLine: () => {} }), EngineError);
  assertEquals(error.message, "no luck");
});

dockerTest("a signal ends a command and all that it has started", async (docker) => {
  const gate = await docker.gate();
  await docker.on("pull", { script: `sleep 600 & : >'${gate.path}.reached'; wait` });
  const controller = new AbortController();
  const call = docker.command.run(["pull"], { signal: controller.signal });
  await gate.reached();
  controller.abort(new RangeError("enough"));
  await assertRejects(() => call, RangeError, "enough");
  await assertRejects(() => docker.command.run(["pull"], { signal: controller.signal }), RangeError, "enough");
  assertEquals((await docker.calls()).length, 1);
});

dockerTest("a signal that comes at once ends a command as well", async (docker) => {
  await docker.on("pull", { script: "exec sleep 600" });
  for (let n = 0; n < 5; n++) {
    const controller = new AbortController();
    const call = docker.command.run(["pull"], { signal: controller.signal });
    controller.abort(new RangeError("enough"));
    await assertRejects(() => call, RangeError, "enough");
  }
});

dockerTest("a signal that comes after a command has ended kills nothing", async (docker) => {
  await docker.on("ps", "done\n");
  const controller = new AbortController();
  await docker.command.run(["ps"], { signal: controller.signal });
  const { kill } = Deno;
  const killed: number[] = [];
  Deno.kill = (pid) => void killed.push(pid);
  try {
    controller.abort();
    assertEquals(killed, []);
  } finally {
    Deno.kill = kill;
  }
});

dockerTest("a command is in a group of its own, whose number is its own", async (docker) => {
  await docker.on("run", { script: "cut -d' ' -f5 /proc/$$/stat; echo $$" });
  const own = Number((await Deno.readTextFile("/proc/self/stat")).split(") ")[1]!.split(" ")[2]);
  const [group, pid] = (await docker.command.run(["run"])).trim().split("\n").map(Number);
  assertEquals([group === pid, group === own], [true, false]);
  const child = docker.command.spawn(["run"]);
  const said = await new Response(child.stdout).text();
  assertEquals([said, (await child.status).success], [`${child.pid}\n${child.pid}\n`, true]);
}, { ignore: noFakeDocker || Deno.build.os !== "linux" });

dockerTest(
  "a message of setsid within the command is the command's own",
  async (docker) => {
    await docker.on("run", { stderr: "helper: setsid: failed to execute x\n", code: 127 });
    assertEquals(await failure(docker, "run"), "helper: setsid: failed to execute x");
  },
);

Deno.test({
  name: "a command that is not there is named",
  ignore: noFakeDocker,
  fn: async () => {
    for (const name of ["/nowhere/docker", "no-such-docker"]) {
      const error = await assertRejects(() => new DockerCommand(name).run(["ps"]), EngineError);
      assertEquals(error.message, `there is no command "${name}"`);
    }
  },
});

dockerTest("a command that cannot be run is named with the reason", async (docker) => {
  await Deno.chmod(docker.path, 0o600);
  const message = await failure(docker, "ps");
  assert(message.startsWith(`cannot run "${docker.path}": `) && message.includes("Permission denied"), message);
});

dockerTest("a command that goes on can be listened to and ended", async (docker) => {
  await docker.on("events", { script: "echo first; exec sleep 600" });
  const child = docker.command.spawn(["events"]);
  const reader = child.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "first\n");
  child.kill("SIGTERM");
  await reader.cancel();
  assertEquals((await child.status).signal, "SIGTERM");
});

dockerTest("warnings on stdout before the answer do not get in the way", async (docker) => {
  await docker.on("ps", 'WARNING: IPv4 forwarding is disabled\n{"id":"a"}\n{"id":"b"}\n');
  assertEquals(jsonLines(await docker.command.run(["ps"]), ({ id }: { id: string }) => id), ["a", "b"]);
});
