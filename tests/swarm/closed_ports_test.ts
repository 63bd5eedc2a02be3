import { assert, assertEquals, assertMatch } from "@std/assert";
import { ROOT } from "../support/sources.ts";
import { until } from "../support/until.ts";
import { PEER_PORT } from "../../src/base/config.ts";
import { askScript } from "./ask_script.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import { type Node, Nodes } from "./nodes.ts";

const ignore = noNodes;

/** Runs a shell script on the network of a container of a node; resolves with what it printed. */
async function inApp(node: Node, script: string): Promise<string> {
  const id = await node.docker("ps", "--quiet", "--filter", "label=cless.service=app");
  const pid = await node.docker("inspect", "--format", "{{.State.Pid}}", id);
  return await node.exec("nsenter", "--net", "--target", pid, "sh", "-c", script);
}

/** How many of a node's rules, of both address families, are there for instances. */
async function ruleCount(node: Node): Promise<number> {
  const rules = await node.exec("sh", "-c", "iptables -w -t mangle -S; ip6tables -w -t mangle -S");
  return rules.split("\n").filter((rule) => rule.includes("CLESS-NODES-")).length;
}

Deno.test(
  {
    name: "while cless runs, only nodes reach the ports of instances, also nodes that join later, and no apps",
    ignore,
  },
  async () => {
    await using cluster = await Cluster.start({ count: 2 });
    const nodes = cluster.nodes.all;
    const template = { image: "golang-docker", minInstances: 2, maxInstances: 2 };
    assertEquals((await cluster.cless(1).send("PUT", "/v1/services/app", template)).status, 201);
    let places: string[] = [];
    await until(async () => {
      const instances: { address: string }[] = await cluster.cless(1).api("/v1/instances");
      places = instances.map(({ address }) => address.replace("http://", ""));
      return nodes.every(({ address }) => places.some((place) => place.startsWith(`${address}:`)));
    });
    for (const place of places) {
      const port = Number(place.split(":")[1]);
      assert(port >= 61_000, place);
    }
    const places6 = places.map((place) => {
      const { address, address6 } = nodes.find(({ address }) => place.startsWith(`${address}:`))!;
      return place.replace(address, `[${address6}]`);
    });
    assertEquals(await cluster.nodes.outside(askScript([...places, ...places6])), "000 000 000 000");
    for (const node of nodes) assertEquals(await node.exec("sh", "-c", askScript(places)), "200 200");
    for (const number of [1, 2]) assertEquals((await cluster.cless(number).get("app")).status, 200);
    // The port of the cless itself is closed in the same way.
    const peers = nodes.map(({ address }) => `${address}:${PEER_PORT}`);
    const greet = peers.map((peer) => `curl -sko /dev/null -m 2 https://${peer}/; echo $?`).join("; ");
    assertEquals(await cluster.nodes.outside(greet), "28\n28");
    for (const node of nodes) assertEquals(await inApp(node, greet), "28\n28");
    for (const node of nodes) assertEquals(await node.exec("sh", "-c", greet), "0\n0");
    // Apps come to other nodes from the address of their own one, and yet do not get in; to cless they do.
    for (const [index, node] of nodes.entries()) {
      assertEquals(await inApp(node, askScript([...places, `${nodes[1 - index]!.address}:80`])), "000 000 400");
    }
    // The others still use the instances on the node of the first one that ends.
    assertEquals(await cluster.cless(2).end(), 0);
    assertEquals(await cluster.nodes.outside(askScript(places)), "000 000");
    assertEquals(await cluster.cless(1).end(), 0);
    assertEquals(await ruleCount(nodes[0]!), 0);
  },
);

Deno.test(
  { name: "where the ports of instances cannot be closed, cless starts only with --open-ports", ignore },
  async () => {
    await using nodes = await Nodes.start(1);
    const node = nodes.node(1);
    await node.swarmInit();
    const serve = (...flags: string[]) => {
      const args = ["--engine", "swarm", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"];
      const command =
        'cd "$1"; shift; setpriv --bounding-set -net_admin timeout 5 deno run -A main.ts serve "$@" 2>&1; true';
      return node.exec("sh", "-c", command, "sh", ROOT.pathname, ...args, ...flags);
    };
    const refused = await serve();
    assertMatch(
      refused,
      /^cless: the ports of instances cannot be closed [^\n]+; run cless as root, or give --open-ports/m,
    );
    assert(!refused.includes('"message":"serving"'), refused);
    const open = await serve("--open-ports");
    assertMatch(open, /"message":"the ports of instances are open to everybody who reaches this node"/);
    assertMatch(open, /"message":"serving"/);
  },
);
