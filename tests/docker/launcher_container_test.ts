import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { Freezer } from "../../src/docker/freezer/freezer.ts";
import { turns } from "../support/until.ts";
import { dockerTest } from "../support/fake_docker.ts";
import { asked, ID, newLauncher, refused, REVISION } from "./launcher_kit.ts";

dockerTest("resuming succeeds if somebody else has resumed the container already", async (docker) => {
  const launcher = await newLauncher(docker);
  const notPaused = { stderr: "Error response from daemon: Container one is not paused", code: 1 };
  await docker.on("unpause", "one\n", notPaused, { stderr: "Error response from daemon: busy", code: 1 });
  await launcher.resume("one");
  await launcher.resume("one");
  await assertRejects(() => launcher.resume("one"), EngineError, "busy");
});

dockerTest("pausing succeeds if somebody else has paused the container already", async (docker) => {
  const launcher = await newLauncher(docker);
  const paused = { stderr: "Error response from daemon: Container one is already paused", code: 1 };
  await docker.on("pause", "one\n", paused, {
    stderr: "Error response from daemon: Container one is not running",
    code: 1,
  });
  await launcher.pause("one");
  await launcher.pause("one");
  await assertRejects(() => launcher.pause("one"), EngineError, "not running");
});

for (const step of ["find", "freeze"]) {
  dockerTest(`what is handed over while it is being frozen is paused by the engine (${step})`, async (docker) => {
    const gate = Promise.withResolvers<void>();
    const steps: string[] = [];
    const pass = async (name: string) => {
      steps.push(name);
      if (name === step) await gate.promise;
    };
    const helper = {
      async ask(what: string) {
        await pass(what);
        return what === "freeze" ? "frozen" : "thawed";
      },
      begin: () => Promise.resolve(),
      forget: () => {},
      prepare: () => Promise.resolve(undefined),
    };
    const cgroups = {
      async folders() {
        await pass("find");
        return new Map([[ID, { freezer: "/cg/freezer/one", memory: "/cg/memory/one" }]]);
      },
      frozen: () => Promise.resolve(new Set<string>()),
    };
    const launcher = await newLauncher(docker, { freezer: new Freezer(helper, true, systemClock, cgroups) });
    launcher.started("one", ID);
    await docker.on("pause", "one\n");
    const pausing = launcher.pause("one");
    while (steps.at(-1) !== step) await turns(1);
    const handedOver = launcher.handOver();
    await turns(1);
    gate.resolve();
    await Promise.all([pausing, handedOver]);
    assertEquals([steps, await asked(docker)], [["find", "freeze", "thaw"], ["pause one"]]);
    assertEquals(launcher.frozen, []);
  });
}

dockerTest("the end of every command that makes a container can be waited for", async (docker) => {
  const launcher = await newLauncher(docker);
  const gate = await docker.gate();
  await docker.on("run", { gate, ...refused("something broke") });
  const launched = launcher.launch({ id: "one", revision: REVISION });
  await gate.reached();
  launcher.started("one", ID);
  await launched;
  let settled = false;
  const settling = launcher.settled().then(() => settled = true);
  await Promise.resolve();
  assertEquals(settled, false);
  await gate.open();
  await settling;
});

dockerTest("stopping and removing a container that is gone succeeds", async (docker) => {
  const launcher = await newLauncher(docker);
  const gone = { stderr: "Error response from daemon: No such container: one", code: 1 };
  const going = { stderr: "Error response from daemon: removal of container one is already in progress", code: 1 };
  await docker.on("stop", gone);
  await docker.on("rm", gone, going);
  await launcher.stop("one");
  await launcher.stop("one");
});

dockerTest("an app that is asked to end has ten seconds, or what is left, but at least one", async (docker) => {
  const launcher = await newLauncher(docker);
  await docker.on("stop", "");
  await docker.on("rm", "");
  await launcher.stop("one");
  for (const left of [60_000, 3900, 200, -5000]) {
    launcher.hurry(left);
    await launcher.stop("one");
  }
  const times = (await docker.calls("stop")).map(([, time]) => time);
  assertEquals(times, ["--time=10", "--time=10", "--time=3", "--time=1", "--time=1"]);
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
  await assertRejects(() => launcher.remove("one"), EngineError, "device busy");
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

dockerTest("the last lines of a container are read before it is removed, and kept", async (docker) => {
  const launcher = await newLauncher(docker, { now: () => 1_700_000_000_000 });
  const told: string[] = [];
  launcher.outputs.watch("golang", ({ id }) => told.push(id));
  await launcher.launch({ id: "one", revision: REVISION });
  await launcher.launch({ id: "two", revision: REVISION });
  const gone = { stderr: "Error response from daemon: No such container: one\n", code: 1 };
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

dockerTest("the last lines of an app come in the order of their times, without them", async (docker) => {
  const launcher = await newLauncher(docker);
  const time = (seconds: number) => `2026-01-02T03:04:0${seconds}.000000006Z`;
  await docker.on("logs", {
    stdout: `${time(1)} listening\n${time(3)}  deeper\n`,
    stderr: `${time(2)} panic\n`,
  }, { stderr: "Error response from daemon: No such container: one\n", code: 1 });
  assertEquals(await launcher.output("one", 20), "listening\npanic\n deeper");
  assertEquals(await docker.calls("logs"), [["logs", "--timestamps", "--tail=20", "one"]]);
  await assertRejects(() => launcher.output("one", 20), EngineError, "No such container");
});
