import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ROOT } from "../support/sources.ts";
import { noNodes } from "./no_nodes.ts";
import { type Node, Nodes } from "./nodes.ts";

const ignore = noNodes;

/** A row of `cless nodes`. */
type Row = readonly [name: string, role: string, state: string, cless: string, instances: string];

async function rowsOf(node: Node): Promise<Row[]> {
  const text = await node.cless("nodes", "--server", `http://${node.address}:1323`);
  return text.split("\n").slice(1).map((line) => {
    const [name, , role, state, cless, instances] = line.split(/ {2,}/);
    return [name!, role!, state!, cless!, instances!];
  });
}

/** What doctor finds on a node, whatever its exit code is. */
async function findingsOf(node: Node, flags: readonly string[]): Promise<{ check: string; state: string }[]> {
  const script = `cd "$1" && shift && deno run -A main.ts doctor --json "$@" || true`;
  return JSON.parse(await node.exec("sh", "-c", script, "sh", ROOT.pathname, ...flags));
}

/** The flags that `cless join` has printed. */
function flagsIn(text: string): string[] {
  const [, flags] = /start cless here: cless serve (.*)/.exec(text) ?? [];
  assert(flags !== undefined, text);
  return flags.split(" ");
}

Deno.test({ name: "machines are joined with what nodes and join print, and know each other", ignore }, async () => {
  await using nodes = await Nodes.start(3);
  const [first, second, third] = nodes.all as [Node, Node, Node];
  await first.swarmInit();
  const one = await first.startCless(["--engine", "swarm", "--open-ports"]);
  const server = ["--server", `http://${first.address}:1323`];
  const token = await first.cless("nodes", "--join-token", ...server);
  const asWorker = await second.cless("join", token);
  const asManager = await third.cless("join", token, "--manager-node");
  assertStringIncludes(asWorker, `--manager ${first.address}:1324`);
  const two = await second.startCless([...flagsIn(asWorker), "--open-ports"]);
  const three = await third.startCless([...flagsIn(asManager), "--open-ports", "--peer-listen", "0.0.0.0:1400"]);
  const version = (await rowsOf(first))[0]![3];
  for (const node of nodes.all) {
    assertEquals(await rowsOf(node), [
      ["node-1", "leader", "ready", version, "0"],
      ["node-2", "worker", "ready", version, "0"],
      ["node-3", "manager", "ready", version, "0"],
    ]);
  }
  const addresses = (await two.api("/v1/nodes")).map(({ cless }: { cless: { address: string } }) => cless.address);
  assertEquals(addresses, [`${first.address}:1324`, `${second.address}:1324`, `${third.address}:1400`]);

  await first.load("golang-docker");
  assertEquals(await first.cless("image", "send", "golang-docker", ...server), "node-2 has it now\nnode-3 has it now");
  assertEquals(
    await first.cless("image", "send", "golang-docker", "--node", "node-3", ...server),
    "node-3 had it already",
  );
  const ids = await Promise.all(
    nodes.all.map((node) => node.docker("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")),
  );
  assertEquals(new Set(ids).size, 1, ids.join("; "));
  await assertRejects(() => first.cless("image", "send", "nothing", ...server), Error, "is not on this machine");

  const examined = await Promise.all([
    findingsOf(first, ["--engine", "swarm"]),
    findingsOf(second, flagsIn(asWorker)),
  ]);
  for (const findings of examined) {
    const wanted = ["swarm", "managers", "heartbeat", "ports", "firewall", "peers", "clocks"];
    assertEquals(
      findings.filter(({ check }) => wanted.includes(check)).map(({ check, state }) => `${check} ${state}`),
      [
        ...["swarm ok", "managers warning", "heartbeat warning", "ports ok", "firewall ok"],
        ...["peers ok", "peers ok"],
      ],
    );
  }

  await second.cless("token", "rotate", "--server", `http://${second.address}:1323`);
  const tokens = await Promise.all(nodes.all.map(({ dataDir }) => Deno.readTextFile(`${dataDir}/admin-token`)));
  assertEquals(new Set(tokens).size, 1);
  assertEquals((await rowsOf(third)).length, 3);

  assertEquals(await three.end(), 0);
  assertEquals((await rowsOf(first)).map((row) => row[3]), [version, version, "-"]);
  assertEquals([await two.end(), await one.end()], [0, 0]);
});
