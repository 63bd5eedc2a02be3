import { assert, assertEquals } from "@std/assert";
import { build } from "../support/docker.ts";
import { until } from "../support/until.ts";
import { noNodes } from "./no_nodes.ts";
import type { NodeProgram } from "./node_program.ts";
import { Nodes } from "./nodes.ts";

/** The service of this test: what is not admitted at once is not admitted within the test. */
const LIMITS = { requestsPerSecond: 0.001, burst: 8, per: "service" };

/** Sends so many requests to a service. Resolves with how many of them a cless has admitted. */
async function admitted(program: NodeProgram, service: string, count: number): Promise<number> {
  const statuses: number[] = [];
  for (let n = 0; n < count; n++) statuses.push((await program.get(service)).status);
  const passed = statuses.filter((status) => status === 200).length;
  assertEquals(statuses.filter((status) => status === 429).length, count - passed, statuses.join());
  return passed;
}

/**
 * An app that says how many requests it has had at once at most. Each takes 10 ms. The probes by which each cless finds
 * out whether the app is there have the path `/`, and do not count.
 */
const COUNTING_APP = `FROM python-docker
ENTRYPOINT ["python3", "-c", "import http.server as h, threading, time\\n\\
lock, now, most = threading.Lock(), 0, 0\\n\\
class A(h.BaseHTTPRequestHandler):\\n\\
  protocol_version, disable_nagle_algorithm, wbufsize = 'HTTP/1.1', True, -1\\n\\
  def log_message(s, *a): pass\\n\\
  def do_GET(s):\\n\\
    global now, most\\n\\
    with lock:\\n\\
      if s.path != '/': now += 1; most = max(most, now)\\n\\
    time.sleep(0.01)\\n\\
    with lock:\\n\\
      if s.path != '/': now -= 1\\n\\
    b = str(most).encode()\\n\\
    s.send_response(200); s.send_header('Content-Length', str(len(b))); s.end_headers(); s.wfile.write(b)\\n\\
h.ThreadingHTTPServer(('', 8080), A).serve_forever()"]
STOPSIGNAL SIGKILL`;

/** Sends requests to a service, eight at once to each of some cless. Resolves with the app's answers. */
async function load(programs: readonly NodeProgram[], service: string, count: number): Promise<string[]> {
  const answers: string[] = [];
  let left = count;
  const send = async (program: NodeProgram) => {
    while (left-- > 0) {
      const { status, text } = await program.get(service, "/work");
      assertEquals(status, 200, text);
      answers.push(text);
    }
  };
  await Promise.all(programs.flatMap((program) => Array.from({ length: 8 }, () => send(program))));
  return answers;
}

/** How many requests a second are answered. */
async function rateOf(answers: Promise<string[]>): Promise<number> {
  const began = performance.now();
  return (await answers).length / (performance.now() - began) * 1000;
}

Deno.test({ name: "the limits of a service hold over all cless together", ignore: noNodes }, async (t) => {
  await using _image = await build("swarm-counting-docker", COUNTING_APP);
  await using nodes = await Nodes.start(2);
  const [first, second] = [nodes.node(1), nodes.node(2)];
  await first.swarmInit();
  const images = ["golang-docker", "swarm-counting-docker"];
  await Promise.all([first.load(...images), second.load(...images)]);
  const one = await first.startCless(["--engine", "swarm"]);
  const token = await first.cless("nodes", "--join-token", "--server", `http://${first.address}:1323`);
  await second.cless("join", token.trim(), "--advertise", second.address);
  const two = await second.startCless(["--engine", "swarm", "--manager", `${first.address}:1324`]);

  await t.step("an app with concurrency 1 never has two requests at once, and hardly fewer a second", async () => {
    const counting = { image: "swarm-counting-docker", concurrency: 1, maxInstances: 1 };
    assertEquals((await one.send("PUT", "/v1/services/counting", counting)).status, 201);
    await until(async () => (await two.send("GET", "/v1/services/counting")).status === 200);
    await load([one, two], "counting", 20);
    const alone = await rateOf(load([one], "counting", 200));
    const both = await rateOf(load([one, two], "counting", 400));
    assert(both > alone / 2, `${both} requests a second by two cless, ${alone} by one`);
    assertEquals(new Set(await load([two, one], "counting", 20)), new Set(["1"]));
    assertEquals((await one.api("/v1/instances")).length, 1);
  });

  await t.step("a service's rate is admitted by two cless together, and by one alone", async () => {
    for (const name of ["web", "shop"]) {
      const { status } = await one.send("PUT", `/v1/services/${name}`, { image: "golang-docker", limits: LIMITS });
      assertEquals(status, 201);
      await until(async () => (await two.send("GET", `/v1/services/${name}`)).status === 200);
    }
    assertEquals([await admitted(one, "web", 6), await admitted(two, "web", 6)], [4, 4]);
    assertEquals(await admitted(one, "shop", 2), 2);
    assertEquals(await two.end(), 0);
    // Half of its part was left, and half of the whole is now.
    assertEquals([await admitted(one, "shop", 6), await admitted(one, "web", 1)], [4, 0]);
  });
  assertEquals(await one.end(), 0);
});
