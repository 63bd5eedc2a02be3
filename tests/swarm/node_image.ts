import { docker } from "../support/docker.ts";
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
