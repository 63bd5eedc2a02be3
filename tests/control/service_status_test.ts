import { assertEquals } from "@std/assert";
import { ServiceStatuses, statusOf } from "../../src/control/service_status.ts";
import type { InstanceState } from "../../src/model/instance_state.ts";

const FAILURE = { reason: "exit code 1", since: new Date(5000) };

Deno.test("a service does what the most wakeful of its instances does", () => {
  const stateOf = (...instances: InstanceState[]) =>
    statusOf({ isDeploying: false, instances: new Set(instances), failure: undefined }).state;
  assertEquals(stateOf(), "asleep");
  assertEquals(stateOf("draining", "stopped", "failed"), "asleep");
  assertEquals(stateOf("hibernated"), "hibernated");
  assertEquals(stateOf("hibernated", "paused"), "paused");
  assertEquals(stateOf("hibernated", "paused", "starting"), "starting");
  assertEquals(stateOf("hibernated", "paused", "starting", "ready"), "ready");
});

Deno.test("a service that fails says why and since when, also while it tries again", () => {
  const failing = { state: "failing" as const, failure: "exit code 1", failingSince: 5000 };
  for (const instances of [new Set<InstanceState>(), new Set<InstanceState>(["starting"])]) {
    assertEquals(statusOf({ isDeploying: false, instances, failure: FAILURE }), failing);
  }
});

Deno.test("a service whose deploy is under way is deploying, whatever its instances do", () => {
  for (const failure of [undefined, FAILURE]) {
    for (const instances of [new Set<InstanceState>(), new Set<InstanceState>(["ready"])]) {
      assertEquals(statusOf({ isDeploying: true, instances, failure }), { state: "deploying" });
    }
  }
});

Deno.test("a service that is not there sleeps, and is deploying once its first deploy is under way", () => {
  const running = new Set<string>();
  const statuses = new ServiceStatuses({ get: () => undefined, names: () => [] }, running);
  assertEquals(statuses.of("app"), { state: "asleep" });
  running.add("app");
  assertEquals([statuses.of("app"), statuses.of("web")], [{ state: "deploying" }, { state: "asleep" }]);
});
