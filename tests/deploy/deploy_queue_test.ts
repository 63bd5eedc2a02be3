import { assertEquals, assertRejects } from "@std/assert";
import { DeployQueue } from "../../src/deploy/deploy_queue.ts";

/** Work that ends when it is called off. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

Deno.test("a closed queue calls off the deploys on their way and accepts no more", async () => {
  const queue = new DeployQueue();
  const ended: string[] = [];
  const deploys = ["web", "web", "shop"].map((name) =>
    queue.run(name, undefined, untilAborted).catch((error) => ended.push(`${name}: ${error.message}`))
  );
  await queue.close(new Error("stopping"));
  await Promise.all(deploys);
  assertEquals(ended.sort(), ["shop: stopping", "web: stopping", "web: stopping"]);
  await assertRejects(() => queue.run("web", undefined, () => Promise.resolve()), Error, "stopping");
});
