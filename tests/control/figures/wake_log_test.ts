import { assertEquals } from "@std/assert";
import { WakeLog } from "../../../src/control/figures/wake_log.ts";

const INSTANCE = { id: "cless-app-1", revision: { service: "app", name: "app-00001" } } as Parameters<
  WakeLog["woken"]
>[0];

Deno.test("a wake is noted at the time at which it began", () => {
  const log = new WakeLog(() => 10_000);
  log.woken(INSTANCE, "cold", 250.44, { kind: "deploy" });
  assertEquals(log.pending, [{
    ...{ service: "app", revision: "app-00001", instance: "cless-app-1", at: 9750 },
    ...{ how: "cold", ms: 250.4, by: { kind: "deploy" } },
  }]);
  log.clean();
  assertEquals(log.pending, []);
});

Deno.test("while nothing can be stored, only the last wakes are retained, and none of a deleted service", () => {
  let now = 0;
  const log = new WakeLog(() => ++now);
  for (let n = 0; n < 2100; n++) log.woken(INSTANCE, "resume", 0, { kind: "unknown" });
  assertEquals([log.pending.length, log.pending[0]?.at], [2000, 101]);
  log.forget("other");
  assertEquals(log.pending.length, 2000);
  log.forget("app");
  assertEquals(log.pending, []);
});
