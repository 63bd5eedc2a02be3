import { assert, assertStringIncludes } from "@std/assert";
import { ROOT } from "../support/sources.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { Node } from "./nodes.ts";

/** Runs a verb of cless in a node; resolves with all that it said. */
async function said(node: Node, ...args: string[]): Promise<string> {
  const script = 'cd "$1" && shift && deno run -A main.ts "$@" 2>&1';
  return await node.exec("sh", "-c", script, "sh", ROOT.pathname, ...args);
}

Deno.test(
  { name: "an image that one machine has is deployed on any, runs there, and deploy says so", ignore: noNodes },
  async () => {
    await using cluster = await Cluster.start({ count: 2, images: [] });
    const [one, two] = cluster.nodes.all as [Node, Node];
    await two.load("golang-docker");
    await two.docker("tag", "golang-docker", "cless.invalid/shop:1");
    const deploy = (...args: string[]) =>
      said(one, "deploy", "shop", "--server", `http://${one.address}:1323`, "--image", "cless.invalid/shop:1", ...args);
    assertStringIncludes(
      await deploy(),
      "warning: of the machines only node-2 has the image, so it runs there; the others get it with: " +
        "cless image send cless.invalid/shop:1 (on node-2)",
    );
    for (const number of [1, 2]) await until(async () => (await cluster.cless(number).get("shop")).status === 200);
    const [{ address }] = await cluster.cless(1).api("/v1/instances");
    assertStringIncludes(address, two.address);
    await two.cless("image", "send", "cless.invalid/shop:1", "--server", `http://${two.address}:1323`);
    const again = await deploy("--env", "A=1");
    assertStringIncludes(again, "shop-00002 is ready");
    assert(!again.includes("warning"), again);
  },
);
