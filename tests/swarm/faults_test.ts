import { assert, assertEquals } from "@std/assert";
import { delay } from "../../src/base/async.ts";
import { systemClock } from "../../src/base/clock.ts";
import { build } from "../support/docker.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import { SteadyLoad } from "./steady_load.ts";
import { SwarmWatch } from "./swarm_watch.ts";

const ignore = noNodes;

/** An instance of the admin API, as far as these tests read it. */
interface Instance {
  readonly service: string;
  readonly address?: string;
  readonly state: string;
}

/** The instances of a service, as a cless sees them. */
async function instances(cluster: Cluster, number: number, service: string): Promise<Instance[]> {
  const all: Instance[] = await cluster.cless(number).api("/v1/instances");
  return all.filter((instance) => instance.service === service);
}

/** The numbers of the nodes with an instance that is ready, sorted, as a cless sees it. */
async function nodesOf(cluster: Cluster, number: number, service: string): Promise<number[]> {
  const ready = (await instances(cluster, number, service)).filter(({ state }) => state === "ready");
  const numbers = ready.map(({ address = "" }) =>
    cluster.nodes.all.find((node) => address.includes(`${node.address}:`))!.number
  );
  return numbers.sort();
}

/** Deploys a service. @param by The number of the node whose cless does it. */
async function deploy(cluster: Cluster, name: string, template: Record<string, unknown>, by = 1): Promise<void> {
  const { status, text } = await cluster.cless(by).send("PUT", `/v1/services/${name}`, template);
  assertEquals(status, 201, text);
}

/** A request through the first cless; how long it took, ms. */
async function tookMs(cluster: Cluster, service: string): Promise<number> {
  const began = performance.now();
  const { status, text } = await cluster.cless(1).get(service);
  assertEquals(status, 200, text);
  return performance.now() - began;
}

Deno.test({
  name: "a node is killed under load: no request fails that may be repeated, and the slots that it had are free",
  ignore,
}, async () => {
  await using cluster = await Cluster.start();
  await deploy(cluster, "app", { image: "golang-docker", minInstances: 3, maxInstances: 3 });
  const everywhere = (number: number) => async () => (await nodesOf(cluster, number, "app")).join() === "1,2,3";
  await until(everywhere(1));
  await until(everywhere(2));
  // Whoever has had a request keeps the slot while nobody else wants it.
  await deploy(cluster, "slot", {
    ...{ image: "golang-docker", concurrency: 1, minInstances: 1, maxInstances: 1 },
    placement: { node: "node-1" },
  });
  await until(async () => (await nodesOf(cluster, 3, "slot")).join() === "1");
  assertEquals((await cluster.cless(3).get("slot")).status, 200);
  await using load = new SteadyLoad([cluster.node(1).address, cluster.node(2).address], "app", 300);
  await delay(systemClock, 2000);
  const killedMs = load.nowMs;
  await cluster.node(3).kill();
  const slotMs = await tookMs(cluster, "slot");
  assert(slotMs <= 10_000, `the slot of a node that was killed was free after ${slotMs} ms`);
  await delay(systemClock, Math.max(0, killedMs + 10_000 - load.nowMs));
  await load.stop();
  assertEquals(load.failed, []);
  const wellMs = load.lastSlowMs(1000) - killedMs;
  assert(wellMs <= 5000, `requests were slow for ${wellMs} ms`);
  assertEquals((await instances(cluster, 1, "app")).length, 3);

  // The same when cless alone is killed.
  assertEquals((await cluster.cless(2).get("slot")).status, 200);
  await cluster.cless(2).end("SIGKILL");
  const deadMs = await tookMs(cluster, "slot");
  assert(deadMs <= 10_000, `the slot of a cless that was killed was free after ${deadMs} ms`);
});

Deno.test(
  { name: "the leader is killed: warm services go on, and a cold start is held until it works", ignore },
  async () => {
    await using cluster = await Cluster.start({ managers: 3, heartbeat: "5s" });
    await deploy(cluster, "warm", { image: "golang-docker", minInstances: 3, maxInstances: 3 });
    // Swarm puts a task on the node with the fewest: one of another service would take a node's place.
    for (const number of [2, 3]) await until(async () => (await nodesOf(cluster, number, "warm")).join() === "1,2,3");
    await deploy(cluster, "cold", { image: "golang-docker" });
    assertEquals((await cluster.cless(1).send("POST", "/v1/services/cold/sleep")).status, 204);
    await using load = new SteadyLoad([cluster.node(2).address, cluster.node(3).address], "warm", 50);
    await delay(systemClock, 1000);
    await cluster.node(1).kill();
    const began = performance.now();
    await using swarm = new SwarmWatch(cluster, new Set([2, 3]));
    const cold = await cluster.cless(2).get("cold");
    const coldMs = performance.now() - began;
    await load.stop();
    assertEquals(cold.status, 200, cold.text);
    // Managers take between 10 and 22 s to elect a leader, who then has to hear from the nodes.
    const limitMs = Math.max(25_000, swarm.recoveredAfter(began, performance.now()) + 2000);
    assert(coldMs <= limitMs, `the cold start took ${coldMs} ms, of at most ${limitMs}`);
    assertEquals(load.failed, []);
  },
);

Deno.test({ name: "without a quorum, what runs is served, and changes are refused as such", ignore }, async () => {
  await using cluster = await Cluster.start({ managers: 2 });
  await deploy(cluster, "app", { image: "golang-docker", minInstances: 3, maxInstances: 3 });
  await until(async () => (await nodesOf(cluster, 1, "app")).join() === "1,2,3");
  await cluster.node(2).kill();
  await until(async () => {
    const { status, json } = await cluster.cless(1).send("PUT", "/v1/services/other", { image: "golang-docker" });
    return status === 503 && json.code === "store_unavailable";
  });
  for (let n = 0; n < 10; n++) assertEquals((await cluster.cless(1).get("app")).status, 200);
  assertEquals((await cluster.cless(1).api("/v1/services")).map(({ name }: { name: string }) => name), ["app"]);
});

/** Says how often it was started with its volume. */
const COUNTER = `
import http.server, os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
path = "/data/starts"
starts = int(open(path).read()) + 1 if os.path.exists(path) else 1
open(path, "w").write(str(starts))
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(starts).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), App).serve_forever()
`;

Deno.test(
  {
    name: "an instance with a volume stays on its node when that is cut off or joins again, and never runs twice",
    ignore,
  },
  async () => {
    await using _image = await build(
      "swarm-counter-docker",
      `FROM python-docker\nUSER 0\nENTRYPOINT ["python3", "-u", "-c", ${JSON.stringify(COUNTER)}]`,
    );
    await using cluster = await Cluster.start({ images: ["swarm-counter-docker"] });
    // A volume is made on the node of the cless that starts its service first.
    const volumes = [{ source: "data", path: "/data" }];
    await deploy(cluster, "app", { image: "swarm-counter-docker", volumes, startTimeout: "6s" }, 3);
    await until(async () => (await nodesOf(cluster, 1, "app")).join() === "3");
    assertEquals((await cluster.cless(1).get("app")).text, "1");
    /** How many containers of the service run on each node. */
    const running = () =>
      Promise.all(cluster.nodes.all.map(async (node) => {
        const ids = await node.docker("ps", "--quiet", "--filter", "label=cless.service=app");
        return ids.split("\n").filter(Boolean).length;
      }));
    await cluster.node(3).partition();
    const during = await cluster.cless(1).get("app");
    assertEquals([during.status, during.headers.get("cless-error")], [503, "volume_away"], during.text);
    assertEquals(await running(), [0, 0, 1]);
    await cluster.node(3).heal();
    // Swarm ends the container of the node that it had lost.
    await until(async () => {
      const [first, second, third] = await running();
      assertEquals([first, second, third! <= 1], [0, 0, true]);
      return (await cluster.cless(1).get("app")).status === 200;
    });
    assertEquals(await running(), [0, 0, 1]);

    // The machine leaves the Swarm, and joins it again as another node.
    const starts = Number((await cluster.cless(1).get("app")).text);
    const token = await cluster.node(1).cless("nodes", "--join-token");
    await cluster.cless(3).end("SIGKILL");
    await cluster.node(3).docker("swarm", "leave");
    const { flags } = cluster.cless(3);
    await cluster.node(3).cless("join", token);
    await cluster.restartCless(3, flags);
    await until(async () => (await cluster.cless(1).get("app")).status === 200);
    assertEquals(await running(), [0, 0, 1]);
    assert(Number((await cluster.cless(2).get("app")).text) > starts, "it has the data that it had");
    const { volumeNodes } = await cluster.cless(1).api("/v1/services/app/revisions/app-00001");
    assertEquals(volumeNodes, [{ source: "data", node: "node-3" }]);
  },
);
