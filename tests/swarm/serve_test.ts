import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { until } from "../support/until.ts";
import { noNodes } from "./no_nodes.ts";
import type { NodeProgram } from "./node_program.ts";
import { Nodes } from "./nodes.ts";

const ignore = noNodes;
const SWARM = ["--engine", "swarm"];

Deno.test({ name: "a Swarm of one node serves, and nothing is left on exit", ignore }, async () => {
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  await node.swarmInit();
  await node.load("golang-docker");
  const program = await node.startCless(SWARM);
  const { headers, status } = await program.get("golang");
  assertEquals(status, 200);
  assertMatch(headers.get("server-timing") ?? "", /desc="cold"/);
  const [instance] = await program.api("/v1/instances");
  assertMatch(instance.id, /^cless-[0-9a-f]{8}-golang-[0-9a-f]{12}-s0$/);
  const [{ cless, name, role, state }] = await program.api("/v1/nodes");
  assertEquals([name, role, state, cless.instances], [node.hostname, "manager", "ready", 1]);
  assertEquals(await node.docker("service", "ls", "--format", "{{.Name}}"), instance.id);
  assertEquals(await program.end(), 0);
  assertEquals(await node.docker("service", "ls", "--quiet"), "");
  assertMatch(await node.docker("config", "ls", "--format", "{{.Name}}"), /^cless-[0-9a-f]{8}-store-format$/);
});

Deno.test({ name: "a machine goes into the Swarm and out of it, and no change is lost", ignore }, async () => {
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  await node.swarmInit();
  await node.load("golang-docker");
  const latest = async (program: NodeProgram) => (await program.api("/v1/services/one")).latestRevision;
  const deploy = async (program: NodeProgram, value: string) => {
    const { status, text } = await program.send("PUT", "/v1/services/one", {
      ...{ image: "golang-docker", env: { VALUE: value } },
    });
    assert(status === 200 || status === 201, text);
  };
  const alone = async (work: (program: NodeProgram) => Promise<void>) => {
    const program = await node.startCless();
    await work(program);
    assertEquals(await program.end(), 0);
  };

  await alone((program) => deploy(program, "first"));
  const where = ["--listen", `${node.address}:80`, "--admin", `${node.address}:1323`];
  const failing = () => node.cless("serve", ...where, ...SWARM, "--peer-listen", "203.0.113.1:1324");
  await assertRejects(failing, Error, "203.0.113.1:1324");
  assertEquals(await node.docker("config", "ls", "--quiet"), "");
  await alone((program) => deploy(program, "second"));
  const program = await node.startCless(SWARM);
  assertEquals(await latest(program), "one-00002");
  assertEquals(await program.end(), 0);

  await alone((program) => deploy(program, "third"));
  const start = () => node.cless("serve", ...where, ...SWARM);
  await assertRejects(start, Error, "which has not got it: service one; start cless without --engine swarm");
  await alone(async (program) => {
    assertEquals(await latest(program), "one-00003");
    assertEquals((await program.send("DELETE", "/v1/services/one")).status, 204);
  });
  const again = await node.startCless(SWARM);
  assertEquals(await latest(again), "one-00002");
  assertEquals(await again.end(), 0);
});

Deno.test(
  { name: "no cless takes over from one with another engine, and containers from before end", ignore },
  async () => {
    await using nodes = await Nodes.start(1);
    const node = nodes.node(1);
    await node.swarmInit();
    await node.load("golang-docker");
    const takeOver = (flags: readonly string[]) => {
      const where = ["--listen", `${node.address}:80`, "--admin", `${node.address}:1323`];
      return node.cless("serve", ...where, "--take-over", ...flags);
    };
    const plain = await node.startCless(["--on-exit", "keep"]);
    const volumes = [{ source: "data", path: "/data" }];
    assertEquals((await plain.send("PUT", "/v1/services/web", { image: "golang-docker", volumes })).status, 201);
    assertEquals((await plain.get("web")).status, 200);
    await assertRejects(
      () => takeOver(SWARM),
      Error,
      "has --engine docker, and one with --engine swarm cannot take over",
    );
    assertEquals((await plain.get("web")).status, 200);
    assertEquals(await plain.end(), 0);
    const kept = await node.docker("ps", "--quiet", "--no-trunc");
    assertMatch(kept, /^[0-9a-f]{64}$/);

    const program = await node.startCless(SWARM);
    const until = `${Math.ceil(Date.now() / 1000)}`;
    const events = await node.docker(
      ...["events", "--since", "0", "--until", until, "--filter", `container=${kept}`, "--filter", "event=kill"],
      ...["--format", "{{.Actor.Attributes.signal}}"],
    );
    assertEquals(events.split("\n")[0], "15"); // SIGTERM
    assertEquals(await node.docker("ps", "--all", "--quiet"), "");
    assertEquals((await program.get("web")).status, 200);
    await assertRejects(() => takeOver([]), Error, "has --engine swarm, and one with --engine docker cannot take over");
    assertEquals((await program.get("web")).status, 200);
    assertEquals(await program.end(), 0);
  },
);

/** The states of the instances as a cless sees them. */
async function states(program: NodeProgram): Promise<string[]> {
  return (await program.api("/v1/instances")).map(({ state }: { state: string }) => state);
}

/** Resolves when each cless sees the instances in these states. */
async function untilAll(programs: readonly NodeProgram[], wanted: readonly string[]): Promise<void> {
  await until(async () => {
    const seen = await Promise.all(programs.map(states));
    return seen.every((states) => states.join() === wanted.join());
  });
}

Deno.test({ name: "two cless share services and instances, and agree about their sleep", ignore }, async () => {
  await using nodes = await Nodes.start(2);
  const [first, second] = [nodes.node(1), nodes.node(2)];
  await first.swarmInit();
  await Promise.all([first.load("golang-docker"), second.load("golang-docker")]);
  const flags = [...SWARM, "--pause-after", "1s", "--stop-after", "6s"];
  const one = await first.startCless(flags);
  const token = await first.cless("nodes", "--join-token", "--server", `http://${first.address}:1323`);
  await second.cless("join", token.trim(), "--advertise", second.address);
  const two = await second.startCless([...flags, "--manager", `${first.address}:1324`]);
  const all = [one, two];

  assertEquals((await one.send("PUT", "/v1/services/web", { image: "golang-docker" })).status, 201);
  await until(async () => (await two.send("GET", "/v1/services/web")).status === 200);
  for (const program of all) assertEquals((await program.get("web")).status, 200);
  const [[instance], [same]] = await Promise.all(all.map((program) => program.api("/v1/instances")));
  assertEquals([same.id, same.address], [instance.id, instance.address]);

  for (const program of all) {
    await untilAll(all, ["paused"]);
    const { headers, status } = await program.get("web");
    assertEquals(status, 200);
    assertMatch(headers.get("server-timing") ?? "", /desc="resume"/);
    await until(async () => (await Promise.all(all.map(states))).every(([state]) => state === "ready"));
  }
  await untilAll(all, []);
  await until(async () => await first.docker("service", "ls", "--quiet") === "");
  assertEquals((await two.get("web")).status, 200);
  await untilAll(all, ["ready"]);
  assertEquals(await two.end(), 0);
  assertEquals((await one.get("web")).status, 200);
  assertEquals(await one.end(), 0);
  assertEquals(await first.docker("service", "ls", "--quiet"), "");
});
