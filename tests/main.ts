// Usage: deno task test:coverage
import { type Command, runSideBySide } from "./support/side_by_side.ts";

/** With browsers, which break off requests when a container starts on this machine. */
const BROWSERS = ["tests/access", "tests/admin", "tests/proxy"];
/** With containers, for which they mostly wait. */
const CONTAINERS = ["tests/chaos", "tests/docker", "tests/e2e"];
/** With nodes, which are containers too. */
const NODES = ["tests/swarm"];

/** Types are not checked: `deno task check` does that. @param name Of the folder for what they reach. */
function test(name: string, ...which: string[]): Command {
  const coverage = [`--coverage=coverage/${name}`, "--coverage-raw-data-only"];
  return [Deno.execPath(), "test", "-A", "--no-check", ...coverage, ...which];
}

const apart = [...BROWSERS, ...CONTAINERS, ...NODES];
await Deno.remove("coverage", { recursive: true }).catch(() => {});
console.log(`Running all tests but those of ${apart.join(", ")}; these run beside them and after them`);
// The others take longer than those with browsers, so that nodes come when these are over.
const rows = [
  [test("others", `--ignore=${apart.join()}`), test("nodes", ...NODES)],
  [test("browsers", ...BROWSERS), test("containers", ...CONTAINERS)],
];
const code = await runSideBySide(rows, (bytes) => {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
});
// From 128 on, a signal has ended them.
if (code < 128) {
  const args = [
    "coverage",
    "--include=/src/",
    ...["others", "nodes", "browsers", "containers"].map((name) => `coverage/${name}`),
  ];
  await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn().status;
}
Deno.exit(code);
