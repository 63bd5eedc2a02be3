import { assertEquals } from "@std/assert";
import { RetiringPools } from "../../src/fleet/retiring_pools.ts";
import { settle } from "../support/fake_clock.ts";
import { newKit, newRevision } from "../support/kit.ts";

Deno.test("a pool retires once, also where it cannot be drained, and others can wait until it is gone", async () => {
  const kit = newKit();
  const drains: PromiseWithResolvers<void>[] = [];
  const retiring = new RetiringPools(() => {
    drains.push(Promise.withResolvers());
    return drains.at(-1)!.promise;
  });
  const [app, web] = ["app", "web"].map((name) => kit.newPool(newRevision("sha256:0123456789abcdef", name)));
  for (const pool of [app!, app!, web!]) retiring.retire(pool);
  assertEquals(drains.length, 2);
  const gone: string[] = [];
  retiring.gone("app").then(() => gone.push("app"));
  retiring.gone().then(() => gone.push("all"));
  await retiring.gone("other");
  drains[0]!.reject(new Error("the engine does not answer"));
  await settle();
  assertEquals(gone, ["app"]);
  drains[1]!.resolve();
  await settle();
  assertEquals(gone, ["app", "all"]);
  await retiring.gone();
});
