import { assertEquals, assertMatch } from "@std/assert";
import { noNodes } from "./node_image.ts";
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
  assertMatch(instance.id, /^cless-golang-[0-9a-f]{12}-s0$/);
  const [{ cless, name, role, state }] = await program.api("/v1/nodes");
  assertEquals([name, role, state, cless.instances], [node.hostname, "manager", "ready", 1]);
  assertEquals(await node.docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}"), `${instance.id} 1/1`);
  assertEquals(await program.end(), 0);
  assertEquals(await node.docker("service", "ls", "--quiet"), "");
  assertEquals(await node.docker("config", "ls", "--quiet"), "");
});
