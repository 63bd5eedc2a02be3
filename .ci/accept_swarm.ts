// Usage: deno run -A .ci/accept_swarm.ts FOLDER SUITE… runs acceptance suites of a folder in a node that is a Swarm of
// its own. Ends with what is wrong and `N passed, N failed`.
import { docker } from "../tests/support/docker.ts";
import { ROOT } from "../tests/support/sources.ts";
import { EXCEPTIONS, judge } from "../tests/swarm/acceptance.ts";
import { type Node, Nodes } from "../tests/swarm/nodes.ts";

const [folder, ...suites] = Deno.args;
if (folder === undefined || suites.length === 0) throw new Error("Usage: .ci/accept_swarm.ts FOLDER SUITE…");

/** Runs a suite, shows what it prints, and resolves with that. */
async function run(node: Node, suite: string): Promise<string> {
  console.log(`--- ${suite}`);
  const child = new Deno.Command("docker", {
    args: [
      ...["exec", "--workdir", ROOT.pathname, "--env", "CLESS_ENGINE=swarm", node.name],
      ...["sh", "-c", 'exec "$@" 2>&1', "sh", "deno", "run", "-A", `/accept/${suite}`],
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    await Deno.stdout.write(new TextEncoder().encode(text));
    output += text;
  }
  await child.status;
  return output;
}

const outputs: Record<string, string> = {};
{
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  await node.swarmInit();
  await docker("cp", folder, `${node.name}:/accept`);
  await docker("cp", "/usr/bin/busybox", `${node.name}:/usr/bin/busybox`); // of which the suites make their images
  for (const suite of suites) outputs[suite] = await run(node, suite);
}
const { passed, wrong } = judge(outputs);
for (const [name, reason] of Object.entries(EXCEPTIONS)) console.log(`exception: ${name}, because ${reason}`);
for (const line of wrong) console.log(`error: ${line}`);
console.log(`${passed} passed, ${wrong.length} failed`);
Deno.exit(wrong.length === 0 ? 0 : 1);
