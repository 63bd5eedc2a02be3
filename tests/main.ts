// Usage: deno task test:coverage
import { type Command, runSideBySide } from "./support/side_by_side.ts";

/** Their tests mostly wait: for containers, for nodes, and for time to pass. */
const WAITING = ["tests/e2e", "tests/swarm"];

/** Types are not checked: `deno task check` does that. */
function test(name: string, ...which: string[]): Command {
  const coverage = [`--coverage=coverage/${name}`, "--coverage-raw-data-only"];
  return [Deno.execPath(), "test", "-A", "--no-check", ...coverage, ...which];
}

await Deno.remove("coverage", { recursive: true }).catch(() => {});
const title = `The tests of ${WAITING.join(" and ")}`;
console.log(`${title} run beside the others. What they print follows.`);
const beside = { title, command: test("waiting", ...WAITING) };
const code = await runSideBySide(test("others", `--ignore=${WAITING.join()}`), [beside], (bytes) => {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
});
// From 128 on, a signal has ended them.
if (code < 128) {
  const args = ["coverage", "--include=/src/", "coverage/others", "coverage/waiting"];
  await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn().status;
}
Deno.exit(code);
