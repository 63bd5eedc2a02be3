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

Deno.test("a paused queue finishes the deploys on their way, and accepts others once it goes on", async () => {
  const queue = new DeployQueue();
  const end = Promise.withResolvers<string>();
  const running = queue.run("web", undefined, () => end.promise);
  let isPaused = false;
  const paused = queue.pause(new Error("another one takes over")).then(() => isPaused = true);
  await assertRejects(() => queue.run("web", undefined, () => Promise.resolve()), Error, "another one takes over");
  assertEquals(isPaused, false);
  end.resolve("done");
  await paused;
  assertEquals(await running, "done");
  queue.resume();
  assertEquals(await queue.run("web", undefined, () => Promise.resolve("again")), "again");
});
