import { assertEquals } from "@std/assert";
import { RetiringPools } from "../../src/fleet/retiring_pools.ts";
import { settle } from "../support/fake_clock.ts";
import { newKit, newRevision } from "../support/kit.ts";

Deno.test("a pool retires once, even if it cannot be drained, and its end can be awaited", async () => {
  const kit = newKit();
  const drains: PromiseWithResolvers<void>[] = [];
  const timeouts: number[] = [];
  const retiring = new RetiringPools(1234);
  const [app, web] = ["app", "web"].map((name) => {
    const pool = kit.newPool(newRevision("sha256:0123456789abcdef", name));
    pool.retire = (drainTimeoutMs) => {
      timeouts.push(drainTimeoutMs);
      drains.push(Promise.withResolvers());
      return drains.at(-1)!.promise;
    };
    return pool;
  });
  for (const pool of [app!, app!, web!]) retiring.retire(pool);
  assertEquals(timeouts, [1234, 1234]);
  const gone: string[] = [];
  retiring.gone("app").then(() => gone.push("app"));
  retiring.gone().then(() => gone.push("all"));
  await retiring.gone("other");
  await settle();
  assertEquals(gone, []);
  drains[0]!.reject(new Error("the engine does not answer"));
  await settle();
  assertEquals(gone, ["app"]);
  drains[1]!.resolve();
  await settle();
  assertEquals(gone, ["app", "all"]);
  await retiring.gone();
  retiring.retire(app!); // it may be back, and retire again
  assertEquals(timeouts.length, 3);
});
