import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** An app that answers after as many seconds as the query says. */
const SLOW_APP = `FROM python-docker
ENTRYPOINT ["python3", "-c", "import http.server as h, time\\n\\
class A(h.BaseHTTPRequestHandler):\\n\\
  def do_GET(s):\\n\\
    time.sleep(float((s.path.split('?') + ['0'])[1]))\\n\\
    s.send_response(200); s.end_headers(); s.wfile.write(b'slept')\\n\\
h.ThreadingHTTPServer(('', 8080), A).serve_forever()"]
STOPSIGNAL SIGKILL`;

Deno.test(
  { name: "SIGTERM: what is in flight finishes, then everything is gone, exit code 0", ignore: noDocker },
  async () => {
    await using _image = await build("e2e-slow-docker", SLOW_APP);
    await using program = await Program.start();
    await program.get("e2e-slow");
    const slow = program.get("e2e-slow", "/?1.5");
    await until(async () => (await program.api("/v1/instances"))[0]?.inFlight === 1);
    program.signal("SIGTERM");
    assertEquals((await slow).text, "slept");
    assertEquals(await program.exit(), 0);
    assertEquals(await program.containers(), []);
    const networks = await docker("network", "ls", "--format={{.Name}}");
    const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
    assert(!networks.includes(owner), networks);
  },
);

Deno.test(
  { name: "SIGTERM during a start: who waits is still served, and nothing is left", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    const held = program.get("golang");
    await until(async () => (await program.api("/v1/instances")).length === 1);
    program.signal("SIGTERM");
    assertEquals((await held).status, 200);
    assertEquals(await program.exit(), 0);
    assertEquals(await program.containers(), []);
  },
);

Deno.test({
  name: "a client of the admin port that says nothing does not keep the program from ending",
  ignore: noDocker,
}, async () => {
  await using program = await Program.start();
  using client = await Deno.connect(program.admin);
  await client.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: a\r\n"));
  assertEquals(await program.end(), 0);
});

Deno.test({ name: "what does not finish in the drain timeout is cut off", ignore: noDocker }, async () => {
  await using _image = await build("e2e-slow-docker", SLOW_APP);
  await using program = await Program.start({ flags: ["--drain-timeout", "200ms"] });
  await program.get("e2e-slow");
  const slow = program.get("e2e-slow", "/?60");
  await until(async () => (await program.api("/v1/instances"))[0]?.inFlight === 1);
  program.signal("SIGTERM");
  const { status, headers } = await slow;
  assertEquals([status, headers.get("cless-error")], [503, "draining"]);
  assertEquals(await program.exit(), 0);
  assertEquals(await program.containers(), []);
});

Deno.test({ name: "a second signal ends the program at once", ignore: noDocker }, async () => {
  await using _image = await build("e2e-slow-docker", SLOW_APP);
  await using program = await Program.start();
  await program.get("e2e-slow");
  const slow = program.get("e2e-slow", "/?60").catch(() => "cut");
  await until(async () => (await program.api("/v1/instances"))[0]?.inFlight === 1);
  program.signal("SIGINT");
  await program.logged("stopping");
  program.signal("SIGINT");
  assertEquals(await program.exit(), 1);
  assertEquals(await slow, "cut");
});

Deno.test({ name: "Ctrl-C during a start does not interrupt the start itself", ignore: noDocker }, async () => {
  await using program = await Program.start();
  const held = program.get("golang");
  await until(async () => (await program.api("/v1/instances")).length === 1);
  await program.interrupt();
  assertEquals((await held).status, 200);
  assertEquals(await program.exit(), 0);
  assertEquals(await program.containers(), []);
});

Deno.test({ name: "SIGHUP does no harm", ignore: noDocker }, async () => {
  await using program = await Program.start();
  program.signal("SIGHUP");
  assertEquals((await program.get("golang")).status, 200);
});

Deno.test({
  name: "after a crash, the next process takes over what runs and is still of use, and removes the rest",
  ignore: noDocker,
}, async () => {
  const dockerfile = (version: number) => `FROM golang-docker\nLABEL adopted=${version}`;
  await using _first = await build("e2e-adopted-docker", dockerfile(1));
  await using crashed = await Program.start();
  for (const label of ["golang", "python", "e2e-adopted"]) await crashed.get(label);
  const [running] = await crashed.containers("golang");
  const [paused] = await crashed.containers("python");
  const [outdated] = await crashed.containers("e2e-adopted");
  await docker("pause", paused!);
  await crashed.end("SIGKILL");
  await using _second = await build("e2e-adopted-docker", dockerfile(2));

  const dataDir = await Deno.makeTempDir();
  for (const name of ["owner", "cless.sqlite", "cless.sqlite-wal"]) {
    await Deno.copyFile(`${crashed.dataDir}/${name}`, `${dataDir}/${name}`);
  }
  await using next = await Program.start({ dataDir });
  const warm = await next.get("golang");
  assertEquals(warm.status, 200);
  const resumed = await next.get("python");
  assertMatch(resumed.headers.get("server-timing") ?? "", /resume/);
  assertEquals((await next.get("e2e-adopted")).status, 200);
  assertEquals(await next.containers("golang"), [running]);
  assertEquals(await next.containers("python"), [paused]);
  await until(async () => !(await next.containers("e2e-adopted")).includes(outdated!));
});

Deno.test({
  name: "kept on exit, containers go on with the next process, paused ones paused, without a cold start",
  ignore: noDocker,
}, async () => {
  const dataDir = await Deno.makeTempDir();
  const owner = async () => (await Deno.readTextFile(`${dataDir}/owner`)).trim();
  const state = async (name: string) => await docker("inspect", "--format={{.State.Status}}", name);
  await using _image = await build("e2e-slow-docker", SLOW_APP);
  const flags = ["--on-exit", "keep"];
  // Ended as it should be they leave everything behind; where the test fails, nothing may be left.
  await using failed = new AsyncDisposableStack();
  const first = await Program.start({ dataDir, flags });
  failed.use(first);
  for (const label of ["golang", "rust", "e2e-slow"]) await first.get(label);
  const [running] = await first.containers("golang");
  const [paused] = await first.containers("rust");
  const [slow] = await first.containers("e2e-slow");
  await docker("pause", paused!);
  const inFlight = first.get("e2e-slow", "/?1");
  await until(async () => (await first.api("/v1/instances")).some(({ inFlight }) => inFlight === 1));
  assertEquals(await first.end(), 0);
  assertEquals((await inFlight).text, "slept"); // requests are drained all the same
  assertEquals([await state(running!), await state(paused!), await state(slow!)], ["running", "paused", "running"]);
  assertEquals(await docker("network", "ls", "--quiet", `--filter=name=cless-${await owner()}`) === "", false);

  const second = await Program.start({ dataDir, flags });
  failed.use(second);
  const warm = await second.get("golang");
  assertEquals([warm.status, await second.containers("golang")], [200, [running]]);
  assertEquals(warm.headers.get("server-timing"), null); // it may have waited for the look around, but for no start
  assertEquals(await state(paused!), "paused"); // nobody has asked for it
  assertMatch((await second.get("rust")).headers.get("server-timing") ?? "", /resume/);
  assertEquals((await second.containers()).sort(), [running, paused, slow].sort());
  assertEquals(await second.end(), 0);
  assertEquals((await second.containers()).length, 3);

  await using last = await Program.start({ dataDir });
  failed.move();
  await last.get("golang");
  assertEquals(await last.containers("golang"), [running]);
  assertEquals(await last.end(), 0);
  assertEquals(await last.containers(), []);
  assertEquals(await docker("network", "ls", "--quiet", `--filter=name=cless-${await owner()}`), "");
});

Deno.test({ name: "two programs on one machine leave each other's containers alone", ignore: noDocker }, async () => {
  await using one = await Program.start();
  await using two = await Program.start();
  assertEquals([(await one.get("golang")).status, (await two.get("golang")).status], [200, 200]);
  assertEquals(await two.end(), 0);
  assertEquals((await one.containers()).length, 1);
  const warm = await one.get("golang");
  assertEquals([warm.status, warm.headers.get("server-timing")], [200, null]);
});

Deno.test(
  { name: "a second program on the same data-dir is refused with the first one's pid", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "main.ts",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--data-dir",
        program.dataDir,
      ],
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 1);
    assert(said.includes(`pid ${program.pid}`) && said.trim().split("\n").length === 1, said);
  },
);

Deno.test({
  name: "published ports: used where they are asked for, and one that is taken is passed over",
  ignore: noDocker,
}, async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const first = taken.addr.port;
  await using program = await Program.start({
    flags: ["--upstream", "published", "--port-range", `${first}-${Math.min(65535, first + 20)}`],
  });
  assertEquals((await program.get("golang")).status, 200);
  const [instance] = await program.api("/v1/instances");
  assertMatch(String(instance!.address), /^127\.0\.0\.1:\d+$/);
  assert(instance!.address !== `127.0.0.1:${first}`);
  taken.close();
});
