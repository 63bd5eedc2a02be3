import { noNet, noRun } from "./permissions.ts";

const decoder = new TextDecoder();

/** Runs the docker command; throws with what it said when it fails. */
export async function docker(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("docker", { args, stdin: "null" }).output();
  if (!success) throw new Error(`docker ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}

/**
 * For `ignore` of a test that needs an engine. With CLESS_REQUIRE_DOCKER in the environment a missing engine is a
 * failure instead.
 */
export const noDocker = await (async () => {
  if (noRun || noNet) return true;
  try {
    await docker("version", "--format={{.Server.Version}}");
    return false;
  } catch (error) {
    const environment = await Deno.permissions.query({ name: "env", variable: "CLESS_REQUIRE_DOCKER" });
    if (environment.state === "granted" && Deno.env.has("CLESS_REQUIRE_DOCKER")) throw error;
    return true;
  }
})();

/** Builds an image from the text of a Dockerfile, and removes its name again when it is disposed of. */
export async function build(name: string, dockerfile: string): Promise<AsyncDisposable & { id: string }> {
  const child = new Deno.Command("docker", {
    args: ["build", "--quiet", "--tag", name, "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(dockerfile));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`docker build ${name}: ${decoder.decode(stderr)}`);
  return {
    id: decoder.decode(stdout).trim(),
    async [Symbol.asyncDispose]() {
      await docker("rmi", "--force", name).catch(() => {}); // a test may have removed it itself
    },
  };
}
