import { assertEquals, assertRejects } from "@std/assert";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { NodeProgram } from "./node_program.ts";

/** The states of the instances as a cless sees them. */
async function states(program: NodeProgram): Promise<string> {
  return (await program.api("/v1/instances")).map(({ state }: { state: string }) => state).join();
}

Deno.test({
  name: "a cless that takes over, ends or cannot start leaves alone what sleeps on another machine",
  ignore: noNodes,
}, async () => {
  await using cluster = await Cluster.start({ count: 2, managers: 2, flags: ["--pause-after", "1s"] });
  const [one, two] = [cluster.node(1), cluster.node(2)];
  const template = { image: "golang-docker", placement: { node: two.hostname } };
  assertEquals((await cluster.cless(1).send("PUT", "/v1/services/app", template)).status, 201);
  for (const number of [1, 2]) await until(async () => await states(cluster.cless(number)) === "paused");
  const services = await one.docker("service", "ls", "--format", "{{.Name}}");

  const flags = ["--engine", "swarm", "--pause-after", "1s"];
  const successor = await one.startCless([...flags, "--take-over"]);
  assertEquals(await cluster.cless(1).exit(), 0);
  assertEquals(await states(successor), "paused");
  assertEquals(await states(cluster.cless(2)), "paused");

  assertEquals(await successor.end(), 0);
  // An address that no machine has: it fails once the engine and the store work, and before the others are known.
  await assertRejects(() => one.startCless([...flags, "--peer-listen", "192.0.2.1:1324"]));
  assertEquals(await one.docker("service", "ls", "--format", "{{.Name}}"), services);
  assertEquals(await states(cluster.cless(2)), "paused");
  assertEquals((await cluster.cless(2).get("app")).status, 200);
});

Deno.test({
  name: "a cless that is superseded or ends while it agrees a pause leaves the instance running",
  ignore: noNodes,
}, async () => {
  await using cluster = await Cluster.start({ count: 2, managers: 2, flags: ["--pause-after", "2s"] });
  const one = cluster.node(1);
  const template = { image: "golang-docker", placement: { node: one.hostname } };
  assertEquals((await cluster.cless(1).send("PUT", "/v1/services/app", template)).status, 201);
  const pid = await cluster.cless(2).pid();
  const isWarm = async (program: NodeProgram) => {
    const { headers, status } = await program.get("app");
    return status === 200 && !/desc="(cold|resume)"/.test(headers.get("server-timing") ?? "");
  };
  /** Resolves when a cless wants to pause the instance, and the other one does not answer. */
  const agreeing = async (home: NodeProgram) => {
    await until(() => isWarm(cluster.cless(2)));
    Deno.kill(pid, "SIGSTOP");
    await until(async () => await states(home) === "paused");
  };
  const flags = ["--engine", "swarm", "--pause-after"];
  try {
    await agreeing(cluster.cless(1));
    const ended = cluster.cless(1).end();
    await cluster.cless(1).logged("stopping");
    Deno.kill(pid, "SIGCONT"); // it agrees after all
    assertEquals(await ended, 0);
    await until(async () => await states(cluster.cless(2)) === "ready");
    assertEquals(await isWarm(cluster.cless(2)), true);

    const predecessor = await one.startCless([...flags, "2s"]);
    await agreeing(predecessor);
    const successor = await one.startCless([...flags, "1m", "--take-over"]);
    Deno.kill(pid, "SIGCONT");
    assertEquals(await predecessor.exit(), 0);
    assertEquals([await states(successor), await isWarm(successor)], ["ready", true]);
    assertEquals((await one.docker("service", "ls", "--quiet")).split("\n").length, 1);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
});
