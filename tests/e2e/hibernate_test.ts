import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { SwapFile } from "../support/swap_file.ts";
import { until } from "../support/until.ts";

const FLAGS = ["--pause-after", "300ms", "--hibernate-after", "600ms", "--stop-after", "10m"];
const MIB = 1024 ** 2;
/** An app with 100 MB of memory, which it does not need to answer. */
const SCRIPT = `
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
memory = os.urandom(100 << 20)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(sum(memory[::4096]) if self.path == "/all" else len(memory)).encode())
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
`;
const DOCKERFILE = `FROM python-docker\nENTRYPOINT ${JSON.stringify(["python3", "-c", SCRIPT])}`;

/** A test on a machine with swap, which only root may make, and an app with 100 MB. */
function swapTest(name: string, fn: (swap: SwapFile) => Promise<void>): void {
  Deno.test({ name, ignore: noDocker || Deno.uid() !== 0 }, async () => {
    const folder = await Deno.makeTempDir();
    await using made = new AsyncDisposableStack();
    made.defer(() => Deno.remove(folder, { recursive: true }));
    made.use(await build("e2e-large-docker", DOCKERFILE));
    await fn(made.use(await SwapFile.make(`${folder}/swap`, 512)));
  });
}

interface Listed {
  readonly state: string;
  readonly memoryBytes: number;
  readonly swapBytes: number;
}

async function instanceOf(program: Program): Promise<Listed | undefined> {
  return (await program.api("/v1/instances"))[0] as unknown as Listed | undefined;
}

/** Resolves when the only instance hibernates, and a measurement says so too: one may come from before, or midway. */
async function untilHibernated(program: Program): Promise<void> {
  await until(async () => {
    const { memoryBytes = 0, state, swapBytes = 0 } = await instanceOf(program) ?? {};
    return state === "hibernated" && memoryBytes < 8 * MIB && swapBytes > 90 * MIB;
  });
}

swapTest("an idle instance hibernates, and a request wakes it with all its memory", async () => {
  await using program = await Program.start({ flags: FLAGS });
  const sum = (await program.get("e2e-large", "/all")).text;
  const [name] = await program.containers("e2e-large");
  for (let n = 0; n < 2; n++) {
    await untilHibernated(program);
    const { headers, text } = await program.get("e2e-large", "/all");
    assertEquals([text, await program.containers("e2e-large")], [sum, [name]]);
    assertMatch(headers.get("server-timing") ?? "", /desc="hibernated"/);
  }
  const kinds = (await program.api("/v1/services")).map(({ state }) => state);
  assert(["ready", "paused", "hibernated"].includes(String(kinds[0])));
});

swapTest("an instance with a memory limit hibernates too", async () => {
  await using program = await Program.start({ flags: FLAGS });
  const service = { image: "e2e-large-docker", memory: "160m" };
  assertEquals((await program.send("PUT", "/v1/services/limited", service)).status, 201);
  await untilHibernated(program);
  assertEquals((await program.get("limited", "/all")).status, 200);
});

swapTest(
  "swap that is taken away while memory is in it loses nothing, and nothing hibernates without it",
  async (swap) => {
    await using program = await Program.start({ flags: FLAGS });
    const sum = (await program.get("e2e-large", "/all")).text;
    await untilHibernated(program);
    await swap.off();
    assertEquals((await program.get("e2e-large", "/all")).text, sum);
    await program.logged("no instance hibernates", { reason: "the machine has no swap" });
    await until(async () => (await instanceOf(program))?.state === "paused");
    await swap.on();
    await program.logged("idle instances hibernate", { level: "info" });
    await untilHibernated(program);
    assertEquals((await program.get("e2e-large", "/all")).text, sum);
  },
);

swapTest("docker stop ends a hibernated app, and the next request starts another", async () => {
  await using program = await Program.start({ flags: FLAGS });
  await program.get("e2e-large");
  await untilHibernated(program);
  const [name] = await program.containers("e2e-large");
  await docker("stop", "--time=1", name!);
  assertEquals((await program.get("e2e-large")).status, 200);
  assert((await program.containers("e2e-large"))[0] !== name);
});

swapTest("what the engine has paused for an earlier process hibernates, and a request wakes it", async () => {
  const dataDir = await Deno.makeTempDir();
  await using failed = new AsyncDisposableStack();
  const keep = ["--pause-after", "300ms", "--hibernate-after", "0", "--on-exit", "keep"];
  const first = failed.use(await Program.start({ dataDir, flags: keep }));
  const sum = (await first.get("e2e-large", "/all")).text;
  await until(async () => (await instanceOf(first))?.state === "paused");
  const [name] = await first.containers("e2e-large");
  assertEquals(await first.end(), 0);
  await using next = await Program.start({ dataDir, flags: FLAGS });
  failed.move(); // the next one has the folder now
  await untilHibernated(next);
  assertEquals(await docker("inspect", "--format={{.State.Status}}", name!), "paused");
  const { headers, text } = await next.get("e2e-large", "/all");
  assertEquals([text, await next.containers("e2e-large")], [sum, [name]]);
  assertMatch(headers.get("server-timing") ?? "", /desc="hibernated"/);
  await untilHibernated(next);
  assertEquals(await docker("inspect", "--format={{.State.Status}}", name!), "running");
});

swapTest("where memory is short, that of a paused instance goes to the swap, and it is not stopped", async () => {
  const flags = [
    "--pause-after",
    "200ms",
    "--hibernate-after",
    "5m",
    "--memory-budget",
    "20m",
    "--default-memory",
    "0",
  ];
  await using program = await Program.start({ flags });
  await program.get("e2e-large");
  const [name] = await program.containers("e2e-large");
  // At the first pause anyhow, or earlier since memory is short.
  await until(async () => ((await instanceOf(program))?.swapBytes ?? 0) > 90 * MIB);
  assertEquals([(await program.get("e2e-large")).status, await program.containers("e2e-large")], [200, [name]]);
});

swapTest("what does not fit into the budget for swap stays in memory, and is not stopped for it", async () => {
  await using program = await Program.start({ flags: [...FLAGS, "--swap-budget", "20m"] });
  await program.get("e2e-large");
  const [name] = await program.containers("e2e-large");
  await program.logged("an instance does not hibernate", { reason: "the budget for swap is used up" });
  await until(async () => (await instanceOf(program))?.state === "paused");
  assertEquals([(await program.get("e2e-large")).status, await program.containers("e2e-large")], [200, [name]]);
});
