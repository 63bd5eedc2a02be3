import { assertEquals } from "@std/assert";
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

Deno.test({ name: "two cless admit a service's rate together, and one alone all of it", ignore: noNodes }, async () => {
  await using nodes = await Nodes.start(2);
  const [first, second] = [nodes.node(1), nodes.node(2)];
  await first.swarmInit();
  await Promise.all([first.load("golang-docker"), second.load("golang-docker")]);
  const one = await first.startCless(["--engine", "swarm"]);
  const token = await first.cless("nodes", "--join-token", "--server", `http://${first.address}:1323`);
  await second.cless("join", token.trim(), "--advertise", second.address);
  const two = await second.startCless(["--engine", "swarm", "--manager", `${first.address}:1324`]);
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
  assertEquals(await one.end(), 0);
});
