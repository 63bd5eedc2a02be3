import { assertEquals } from "@std/assert";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";

Deno.test({ name: "instances start again on a machine whose engine was restarted", ignore: noNodes }, async () => {
  await using cluster = await Cluster.start({ count: 1 });
  const { status, text } = await cluster.cless(1).send("PUT", "/v1/services/app", { image: "golang-docker" });
  assertEquals(status, 201, text);
  assertEquals((await cluster.cless(1).get("app")).status, 200);
  await cluster.node(1).restartEngine();
  await until(async () => (await cluster.cless(1).get("app")).status === 200);
  assertEquals((await cluster.cless(1).send("POST", "/v1/services/app/sleep")).status, 204);
  assertEquals((await cluster.cless(1).get("app")).status, 200);
});
