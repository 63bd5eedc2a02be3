import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { tryStart } from "../../src/pool/try_start.ts";
import { never, newKit } from "../support/kit.ts";

Deno.test("a start that succeeds leaves an instance that nobody uses", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const started = tryStart(pool, kit.starter, never());
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  await started;
  assertEquals(kit.fleet.instances().map(({ state, inFlight }) => [state, inFlight]), [["ready", 0]]);
});

Deno.test("a start that fails says why, with what the app has written", async () => {
  const kit = newKit();
  kit.launcher.written = "cannot find config.json";
  const started = tryStart(kit.newPool(), kit.starter, never());
  (await kit.launcher.nextLaunch()).fail(new Error("exit code 1"));
  const error = await assertRejects(() => started, ClessError);
  assertEquals([error.code, error.output], ["start_failed", "cannot find config.json"]);
  assert(error.detail?.includes("exit code 1"), error.detail);
});

Deno.test("a start that nobody waits for any more rejects with the signal's reason", async () => {
  const kit = newKit();
  const controller = new AbortController();
  const started = tryStart(kit.newPool(), kit.starter, controller.signal);
  const launch = await kit.launcher.nextLaunch();
  controller.abort(new Error("called off"));
  await assertRejects(() => started, Error, "called off");
  launch.succeed("http://10.0.0.2:8080");
});
