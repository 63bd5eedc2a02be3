import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { delay } from "../../src/base/async.ts";
import { systemClock } from "../../src/base/clock.ts";
import { containerCgroups } from "../../src/docker/freezer/cgroups.ts";
import { Freezer } from "../../src/docker/freezer/freezer.ts";
import { childHelper, FreezerHelper } from "../../src/docker/freezer/helper.ts";
import { build, docker, noDocker } from "../support/docker.ts";
import { FORWARDERS } from "../support/forwarders.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** Control groups are written by root. */
const cannotFreeze = noDocker || Deno.uid() !== 0;
const FLAGS = ["--pause-after", "300ms", "--stop-after", "10m"];
const VOLUME = "cless-e2e-freezer";

/** An app that writes down that it was asked to end, a moment after that. */
const SCRIPT = `
import os, signal, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("/data/ends").read().encode() if os.path.exists("/data/ends") else b"never")
    def log_message(self, *args):
        pass
def end(*_):
    time.sleep(0.3)
    open("/data/ends", "a").write("gracefully ")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
`;
const DOCKERFILE = `FROM python-docker
USER 0
HEALTHCHECK --interval=1s CMD false
ENTRYPOINT ${JSON.stringify(["python3", "-c", SCRIPT])}`;

function freezerTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: cannotFreeze }, fn);
}

/** What the engine believes of a container. */
const believed = (name: string) => docker("inspect", "--format={{.State.Status}}", name);

/** Whether the kernel has frozen a container. */
async function isFrozen(name: string): Promise<boolean> {
  const folder = (await containerCgroups()).get(await docker("inspect", "--format={{.Id}}", name))?.freezer;
  if (folder === undefined) return false;
  const files = [`${folder}/freezer.state`, `${folder}/cgroup.events`];
  return files.some((file) => {
    try {
      return /FROZEN|frozen 1/.test(Deno.readTextFileSync(file));
    } catch {
      return false;
    }
  });
}

/** Resolves with the name of a service's container once cless has frozen it. */
async function frozen(program: Program, service: string): Promise<string> {
  const isPaused = async () =>
    (await program.api("/v1/instances")).some((it) => it.service === service && it.state === "paused");
  await until(isPaused); // it is being frozen, or has been
  const [name] = await program.containers(service);
  await until(() => isFrozen(name!));
  assertEquals(await believed(name!), "running");
  return name!;
}

freezerTest("an idle instance is frozen without the engine, and a request wakes it", async () => {
  await using program = await Program.start({ flags: FLAGS });
  await program.get("golang");
  for (let n = 0; n < 3; n++) {
    const name = await frozen(program, "golang");
    const { headers, status } = await program.get("golang");
    assertEquals([status, await program.containers("golang")], [200, [name]]);
    assertMatch(headers.get("server-timing") ?? "", /resume/);
  }
});

/**
 * An app that closes idle connections after a second. If that time runs out in its sleep, it closes them when it wakes,
 * but only after other work that was due by then.
 */
const CLOSING_APP = `FROM nodejs-docker
ENTRYPOINT ${
  JSON.stringify([
    "node",
    "-e",
    `const { createServer } = require("node:http");
     const server = createServer((request, response) => request.resume().on("end", () => response.end(request.method)));
     server.keepAliveTimeout = 1; // Node.js adds a second
     setInterval(() => { for (const end = Date.now() + 30; Date.now() < end;); }, 150);
     process.on("SIGTERM", () => process.exit(0));
     server.listen(8080);`,
  ])
}`;

freezerTest("a POST wakes an app whose timeout for idle connections ran out in its sleep", async () => {
  await using _image = await build("cless-e2e-closing", CLOSING_APP);
  await using programs = new AsyncDisposableStack();
  // Both at once, since the time is spent in waiting.
  await Promise.all(FORWARDERS.map(async (forward) => {
    const flags = ["--pause-after", "50ms", "--forward", forward];
    const program = programs.use(await Program.start({ flags }));
    const service = { image: "cless-e2e-closing" };
    assertEquals((await program.send("PUT", "/v1/services/closing", service)).status, 201);
    for (let n = 0; n < 3; n++) {
      assertEquals((await program.get("closing")).status, 200);
      await frozen(program, "closing");
      await delay(systemClock, 1300); // longer than the app's timeout
      const { status, text } = await program.get("closing", "/", { method: "POST", body: "hello" });
      assertEquals([forward, status, text], [forward, 200, "POST"]);
    }
  }));
});

freezerTest("with --freezer docker, the engine pauses", async () => {
  await using program = await Program.start({ flags: [...FLAGS, "--freezer", "docker"] });
  await program.get("golang");
  const [name] = await program.containers("golang");
  await until(async () => await believed(name!) === "paused");
  assertEquals((await program.get("golang")).status, 200);
});

freezerTest("whatever a person does to a frozen container, the next request is answered", async (t) => {
  await using program = await Program.start({ flags: FLAGS });
  const verbs = [
    ["kill"],
    ["stop", "--time=5"],
    ["rm", "--force"],
    ["restart", "--time=5"],
    ["update", "--memory=200m", "--memory-swap=200m"],
    ["kill", "--signal=WINCH"],
  ] as const;
  for (const [verb, ...more] of verbs) {
    await t.step(`docker ${verb} ${more.join(" ")}`, async () => {
      await program.get("golang");
      const name = await frozen(program, "golang");
      const beganMs = performance.now();
      await docker(verb, ...more, name);
      assert(performance.now() - beganMs < 4000, "the app did not get its signal");
      assertEquals((await program.get("golang")).status, 200);
    });
  }
});

freezerTest("docker pause, unpause and exec are refused while a container is frozen, and change nothing", async () => {
  await using program = await Program.start({ flags: FLAGS });
  await program.get("golang");
  const name = await frozen(program, "golang");
  for (const args of [["pause", name], ["unpause", name], ["exec", name, "true"]]) {
    await assertRejects(() => docker(...args));
  }
  assertEquals([await isFrozen(name), (await program.get("golang")).status], [true, 200]);
  assertEquals(await program.containers("golang"), [name]);
});

freezerTest("a frozen app gets its SIGTERM, and time to end, whoever ends it", async (t) => {
  await using _image = await build("cless-e2e-freezer", DOCKERFILE);
  for (const verb of ["stop", "restart", "cless"]) {
    await t.step(verb, async () => {
      await using _volume = { [Symbol.asyncDispose]: async () => void await docker("volume", "rm", "--force", VOLUME) };
      const start = async () => {
        const program = await Program.start({ flags: FLAGS });
        const service = { image: "cless-e2e-freezer", volumes: [{ source: VOLUME, path: "/data" }] };
        assertEquals((await program.send("PUT", "/v1/services/ending", service)).status, 201);
        return program;
      };
      {
        await using program = await start();
        const name = await frozen(program, "ending");
        assertEquals((await program.get("ending")).text, "never");
        assertEquals(await docker("inspect", "--format={{.State.Health}}", name), "<nil>");
        await frozen(program, "ending");
        if (verb !== "cless") {
          await docker(verb, "--time=20", name);
          assertEquals((await program.get("ending")).text, "gracefully ");
        }
      }
      if (verb !== "cless") return;
      await using next = await start();
      assertEquals((await next.get("ending")).text, "gracefully ");
    });
  }
});

freezerTest("with --on-exit keep, the engine pauses what is frozen, and the next process resumes it", async () => {
  const flags = [...FLAGS, "--on-exit", "keep"];
  const dataDir = await Deno.makeTempDir();
  await using failed = new AsyncDisposableStack();
  const first = await Program.start({ dataDir, flags });
  failed.use(first);
  await first.get("golang");
  const name = await frozen(first, "golang");
  assertEquals(await first.end(), 0);
  assertEquals([await believed(name), await isFrozen(name)], ["paused", true]);
  await using second = await Program.start({ dataDir, flags: FLAGS });
  failed.move(); // the second one has the folder now
  const { headers, status } = await second.get("golang");
  assertEquals([status, await second.containers("golang")], [200, [name]]);
  assertMatch(headers.get("server-timing") ?? "", /resume/);
  await frozen(second, "golang");
});

for (const freezer of ["cgroup", "docker"]) {
  freezerTest(`what a killed process has left frozen is paused for the next one (${freezer})`, async () => {
    await using crashed = await Program.start({ flags: FLAGS });
    for (const label of ["golang", "rust"]) await crashed.get(label);
    const [golang, rust] = [await frozen(crashed, "golang"), await frozen(crashed, "rust")];
    await crashed.end("SIGKILL");
    const dataDir = await Deno.makeTempDir();
    for (const name of ["owner", "cless.sqlite", "cless.sqlite-wal"]) {
      await Deno.copyFile(`${crashed.dataDir}/${name}`, `${dataDir}/${name}`);
    }
    await using next = await Program.start({ dataDir, flags: [...FLAGS, "--freezer", freezer] });
    for (const [label, name] of [["golang", golang], ["rust", rust]] as const) {
      const { headers, status } = await next.get(label);
      assertEquals([status, await next.containers(label)], [200, [name]]);
      assertMatch(headers.get("server-timing") ?? "", /resume/);
    }
  });
}

freezerTest("if the helper is killed again and again, every wake succeeds", async () => {
  await using program = await Program.start({ flags: FLAGS });
  await program.get("golang");
  for (let n = 0; n < 3; n++) {
    const name = await frozen(program, "golang");
    const { stdout } = await new Deno.Command("pgrep", { args: ["-P", `${program.pid}`, "-x", "sh"] }).output();
    const helpers = new TextDecoder().decode(stdout).trim().split("\n").filter(Boolean);
    assertEquals(helpers.length, 1);
    Deno.kill(Number(helpers[0]), n === 0 ? "SIGSTOP" : "SIGKILL"); // one that hangs counts as dead
    const { status } = await program.get("golang");
    assertEquals([status, await program.containers("golang")], [200, [name]]);
  }
});

/** Where control groups of version 2 are; `undefined` if this machine has version 1 alone. */
const version2 = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((folder) => {
  try {
    return !cannotFreeze && Deno.statSync(`${folder}/cgroup.controllers`).isFile;
  } catch {
    return false;
  }
});

Deno.test({
  name: "containers are frozen by control groups of version 2 too",
  ignore: cannotFreeze || version2 === undefined,
}, async () => {
  await using program = await Program.start({ flags: ["--pause-after", "0"] });
  await program.get("golang");
  const [name] = await program.containers("golang");
  const engineId = await docker("inspect", "--format={{.Id}}", name!);
  const folder = (await containerCgroups()).get(engineId)!.freezer.replace("/sys/fs/cgroup/freezer", version2!);
  const engineFolder = await docker("info", "--format={{.DockerRootDir}}");
  await using helper = new FreezerHelper(() => childHelper(`${program.dataDir}/owner`, engineFolder), systemClock);
  const freezer = new Freezer(helper, true, systemClock, {
    folders: () => Promise.resolve(new Map([[engineId, { freezer: folder, memory: folder }]])),
    frozen: () => Promise.resolve(new Set<string>()),
  });
  freezer.started(name!, engineId);
  assertEquals(await freezer.freeze(name!), true);
  assertMatch(Deno.readTextFileSync(`${folder}/cgroup.events`), /frozen 1/);
  const answer = program.get("golang");
  assertEquals(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 300, "asleep"))]), "asleep");
  assertEquals([await freezer.thaw(name!), (await answer).status], [true, 200]);
  assertMatch(Deno.readTextFileSync(`${folder}/cgroup.events`), /frozen 0/);
});
