import { noRun } from "./permissions.ts";

/** The argument that tells the child process to run the test itself. */
const HERE = "own-process";

/**
 * A test that runs in a process of its own. It is for what belongs to a whole process: the memory that a test measures
 * must not include that of tests that run at the same time, or ran before.
 *
 * @param file The file of the test, `import.meta.url`.
 */
export function ownProcessTest(file: string, name: string, fn: () => Promise<void>): void {
  if (Deno.args.includes(HERE)) Deno.test(name, fn);
  else Deno.test({ name, ignore: noRun, fn: () => runAlone(new URL(file), name) });
}

async function runAlone({ pathname }: URL, name: string): Promise<void> {
  const only = `/^${name.replaceAll(/\W/g, "\\$&")}$/`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--quiet", `--filter=${only}`, pathname, "--", HERE],
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success || !output.includes("1 passed")) throw new Error(`Cannot pass in a process of its own: ${output}`);
}
