import { assertEquals } from "@std/assert";
import { Statistics } from "../../src/control/statistics.ts";
import { hostOf, never, newFront, newKit, newRevision, started } from "../support/kit.ts";

Deno.test("statistics count services, instances by state, requests in flight, and requests that wait for any instance", async () => {
  const kit = newKit();
  const { activator, convention, images } = newFront(kit);
  const statistics = new Statistics({ size: 7 }, kit.fleet, activator);
  assertEquals(statistics.read(), { services: 7, instances: {}, inFlight: 0, pending: 0 });

  const { lease } = await started(kit, kit.newPool(newRevision("sha256:1", "busy")), "http://10.0.0.2:80");
  (await started(kit, kit.newPool(newRevision("sha256:2", "idle")), "http://10.0.0.3:80")).lease.release();
  await kit.launcher.pause("two");
  images.build("app-docker", "sha256:0123456789abcdef");
  (await convention.find("app"))!.main().suspend(0); // its requests wait without an instance
  const held = [1, 2].map(() => activator.hold(hostOf("app"), undefined, never()));
  await kit.clock.advance(0);
  assertEquals(statistics.read(), { services: 7, instances: { ready: 1, paused: 1 }, inFlight: 1, pending: 2 });
  assertEquals([...statistics.pools()].map(({ revision }) => revision.service), ["busy", "idle", "app"]);

  lease.release();
  for (const pool of statistics.pools()) pool.refuse(new Error("done") as never);
  await Promise.allSettled(held);
});
