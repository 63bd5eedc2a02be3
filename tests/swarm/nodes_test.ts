import { assertEquals } from "@std/assert";
import { until } from "../support/until.ts";
import { noNodes } from "./no_nodes.ts";
import { Nodes } from "./nodes.ts";
import { createService } from "./services.ts";

const ignore = noNodes;

Deno.test(
  { name: "a node's task answers from another node, from outside and not from a node cut off", ignore },
  async () => {
    await using nodes = await Nodes.start(3);
    await nodes.makeSwarm();
    const [first, second, third] = nodes.all;
    assertEquals((await first!.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}")).split("\n").sort(), [
      "node-1 Ready",
      "node-2 Ready",
      "node-3 Ready",
    ]);
    await second!.load("golang-docker");
    const { address, port } = await createService(first!, "app", second!);
    assertEquals(address, second!.address);
    const ask =
      `curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' http://${address}:${port}/ || true`;
    assertEquals(await third!.exec("sh", "-c", ask), "200");
    assertEquals(await nodes.outside(ask), "200");
    await third!.partition();
    assertEquals(await third!.exec("sh", "-c", ask), "000");
    await third!.heal();
    assertEquals(await third!.exec("sh", "-c", ask), "200");
  },
);

Deno.test({ name: "a node that was killed comes back into its Swarm", ignore }, async () => {
  await using nodes = await Nodes.start(2);
  await nodes.makeSwarm({ heartbeat: "1s" });
  const [first, second] = nodes.all;
  const status = () => first!.docker("node", "inspect", "--format", "{{.Status.State}}", second!.hostname);
  await second!.kill();
  await until(async () => await status() === "down");
  await second!.restart();
  await until(async () => await status() === "ready");
});

Deno.test({ name: "cless serves in a node", ignore }, async () => {
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  await node.load("golang-docker");
  const program = await node.startCless();
  assertEquals((await program.get("golang")).status, 200);
  assertEquals((await program.api("/v1/instances")).map(({ service }: { service: string }) => service), ["golang"]);
  assertEquals(JSON.parse(await node.cless("services", "--json", "--server", `http://${node.address}:1323`)).length, 1);
  assertEquals(await program.end(), 0);
});
