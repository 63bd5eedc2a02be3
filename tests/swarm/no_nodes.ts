import { docker, noDocker } from "../support/docker.ts";
import { nodeImage } from "./node_image.ts";

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
