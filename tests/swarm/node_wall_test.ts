import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { Admission } from "../../src/docker/swarm/node_wall.ts";
import { ROOT } from "../support/sources.ts";
import { until } from "../support/until.ts";
import { askScript } from "./ask_script.ts";
import { noNodes } from "./no_nodes.ts";
import { type Node, Nodes } from "./nodes.ts";
import { createService } from "./services.ts";

const OWNER = "0badcafe";
const PROGRAM = new URL("tests/swarm/node_wall_program.ts", ROOT).pathname;

/** Takes steps with the wall of a node: see `node_wall_program.ts`. */
function steps(node: Node, owner: string, ...all: (string | Admission)[]): Promise<string> {
  const words = all.map((step) => typeof step === "string" ? step : `admit ${JSON.stringify(step)}`);
  return node.exec("deno", "run", "-A", PROGRAM, owner, ...words);
}

/** The rules that name an owner, of both families. */
async function rulesOf(node: Node, owner = OWNER): Promise<string[]> {
  const rules = await node.exec("sh", "-c", "iptables -w -t mangle -S; ip6tables -w -t mangle -S");
  return rules.split("\n").filter((rule) => rule.includes(owner));
}

for (const backend of ["nft", "legacy"]) {
  Deno.test({
    name: `only nodes reach the ports of instances, and everybody the others, with iptables-${backend}`,
    ignore: noNodes,
  }, async () => {
    await using nodes = await Nodes.start(2);
    const [first, second] = nodes.all as [Node, Node];
    if (backend === "legacy") {
      await second.exec("update-alternatives", "--set", "iptables", "/usr/sbin/iptables-legacy");
      await second.exec("update-alternatives", "--set", "ip6tables", "/usr/sbin/ip6tables-legacy");
      await second.kill();
      await second.restart();
    }
    assertMatch(await second.exec("iptables", "-V"), backend === "nft" ? /nf_tables/ : /legacy/);
    await nodes.makeSwarm();
    await second.load("golang-docker");
    const { port } = await createService(first, "app", second);
    const other = await createService(first, "other", second);
    await second.docker("run", "--detach", "--publish", "9000:8080", "golang-docker");
    const of = (port: number) => [`${second.address}:${port}`, `[${second.address6}]:${port}`];
    const all = askScript([...of(port), ...of(other.port), ...of(9000)]);
    const from = async () => {
      const [outside, ...inside] = await Promise.all([
        nodes.outside(all),
        first.exec("sh", "-c", all),
        second.exec("sh", "-c", all),
      ]);
      return { outside, first: inside[0], itself: inside[1] };
    };
    const open = "200 200 200 200 200 200";
    assertEquals(await from(), { outside: open, first: open, itself: open });

    const addresses = nodes.all.flatMap(({ address, address6 }) => [address, address6]);
    const ports = [{ first: port, last: port }];
    await steps(second, OWNER, { nodes: addresses, ports });
    assertEquals(await from(), { outside: "000 000 200 200 200 200", first: open, itself: open });

    // Another owner's come beside them.
    await steps(second, "deadbeef", { nodes: [], ports: [{ first: other.port, last: other.port }] });
    assertEquals(await from(), { outside: "000 000 000 000 200 200", first: "200 200 000 000 200 200", itself: open });
    await steps(second, "deadbeef", "remove");
    assertEquals(await rulesOf(second, "deadbeef"), []);

    // A node that has left the Swarm is a stranger, and ports may be a range.
    await steps(second, OWNER, {
      nodes: [second.address],
      ports: [{ first: port, last: port }, { first: 30_000, last: 65_535 }],
    });
    assertEquals(await from(), { outside: "000 000 000 000 200 200", first: "000 000 000 000 200 200", itself: open });

    await steps(second, OWNER, "remove");
    assertEquals(await rulesOf(second), []);
    assertEquals(await nodes.outside(all), open);
  });
}

Deno.test(
  { name: "a connection that was made before its port was closed gets no further", ignore: noNodes },
  async () => {
    await using nodes = await Nodes.start(2);
    const [first, second] = nodes.all as [Node, Node];
    await second.load("golang-docker");
    await second.docker("run", "--detach", "--publish", "9000:8080", "golang-docker");
    // One connection for both, which this machine makes, that is no node.
    const client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
    const url = `http://${second.address}:9000/`;
    const status = async () => {
      const response = await fetch(url, { client, signal: AbortSignal.timeout(2000) });
      await response.body?.cancel();
      return response.status;
    };
    await until(() => status().then((status) => status === 200, () => false)); // the app may not listen yet
    await steps(second, OWNER, { nodes: [first.address], ports: [{ first: 9000, last: 9000 }] });
    assertEquals(await status().catch((error) => error.name), "TimeoutError");
    client.close();
  },
);

Deno.test({
  name: "the rules of nodes are set once, and again when a reload of the firewall removes them",
  ignore: noNodes,
}, async () => {
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  const admission: Admission = { nodes: [node.address, node.address6], ports: [{ first: 9000, last: 9000 }] };
  await steps(node, OWNER, admission);
  const rules = await rulesOf(node); // as many of each family
  assertEquals(rules.filter((rule) => rule.startsWith("-A PREROUTING")).length, 2);
  await steps(node, OWNER, admission, admission, "repair");
  assertEquals(await rulesOf(node), rules);
  for (const harm of ["-F", "-F PREROUTING", `-F CLESS-NODES-${OWNER}`]) {
    const removed = await steps(node, OWNER, admission, `iptables -t mangle ${harm}; iptables -t mangle -S`, "repair");
    assertNotEquals(removed.split("\n").filter((rule) => rule.includes(OWNER)).length, rules.length / 2);
    assertEquals(await rulesOf(node), rules);
  }
});

Deno.test({ name: "where the rules of nodes cannot be set, the error says what to do", ignore: noNodes }, async () => {
  await using nodes = await Nodes.start(1);
  const admission = JSON.stringify({ nodes: [], ports: [{ first: 9000, last: 9000 }] });
  const said = await nodes.node(1).exec(
    ...["sh", "-c", 'setpriv --bounding-set -net_admin "$@" 2>&1; true', "sh", "deno", "run", "-A", PROGRAM, OWNER],
    `admit ${admission}`,
  );
  assertMatch(said, /OperatorError: the ports of instances cannot be closed [^\n]+: iptables[^\n]+; run cless as root/);
});
