import { docker, noDocker } from "../support/docker.ts";
import { ROOT } from "../support/sources.ts";

const dockerfile = new URL("Dockerfile", import.meta.url);

/** The local image of a node, which is built where it is missing. Its name changes when its Dockerfile does. */
export async function nodeImage(): Promise<string> {
  const text = await Deno.readTextFile(dockerfile);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const image = `cless-swarm-node:${digest.toHex().slice(0, 12)}`;
  if (await docker("image", "inspect", image).then(() => true, () => false)) return image;
  const script = '. images/base.sh && "$DOCKER" build --quiet --build-arg BASE="$(find_base)" --tag "$1" - <"$2"';
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", script, "sh", image, dockerfile.pathname],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`the image of a node cannot be built: ${new TextDecoder().decode(stderr)}`);
  return image;
}

/**
 * For `ignore` of a test that needs nodes: root, and an engine whose containers may have all privileges. With
 * CLESS_REQUIRE_DOCKER in the environment a missing engine is a failure instead, and so is a container without them.
 */
export const noNodes = noDocker || Deno.build.os !== "linux" || await (async () => {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "uid" });
  if (state !== "granted" || Deno.uid() !== 0) return true;
  try {
    await docker("run", "--rm", "--privileged", await nodeImage(), "ip", "link", "add", "cless0", "type", "bridge");
    return false;
  } catch (error) {
    const environment = await Deno.permissions.query({ name: "env", variable: "CLESS_REQUIRE_DOCKER" });
    if (environment.state === "granted" && Deno.env.has("CLESS_REQUIRE_DOCKER")) throw error;
    return true;
  }
})();
