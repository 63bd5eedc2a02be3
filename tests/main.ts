// Usage: deno task test:coverage
import { type Command, runSideBySide } from "./support/side_by_side.ts";

/** Folders whose tests mostly wait: for containers, for nodes, and for time to pass. */
const WAITING = ["tests/e2e", "tests/swarm"];

/** Types are not checked: `deno task check` does that. @param name Of the folder for what they reach. */
function test(name: string, ...which: string[]): Command {
  const coverage = [`--coverage=coverage/${name}`, "--coverage-raw-data-only"];
  return [Deno.execPath(), "test", "-A", "--no-check", ...coverage, ...which];
}

await Deno.remove("coverage", { recursive: true }).catch(() => {});
console.log(`The tests of ${WAITING.join(" and of ")} run beside all others; what they print follows`);
const beside = WAITING.map((folder) => ({ title: folder, command: test(folder.replace("/", "-"), folder) }));
const code = await runSideBySide(test("others", `--ignore=${WAITING.join()}`), beside, (bytes) => {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
});
// From 128 on, a signal has ended them.
if (code < 128) {
  const folders = [...Deno.readDirSync("coverage")].map(({ name }) => `coverage/${name}`);
  const args = ["coverage", "--include=/src/", ...folders];
  await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn().status;
}
Deno.exit(code);
