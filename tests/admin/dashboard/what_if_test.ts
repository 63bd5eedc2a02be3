import { assertEquals } from "@std/assert";
import { changedServices, memoryUnit, sumsOf } from "../../../src/admin/dashboard/ui/model/what_if.js";

/** An estimate with stopAfter and GB-hours now and then. */
function estimate(service: string, now: [string, number], then: [string, number]) {
  const outcome = ([stopAfter, gbHoursPerDay]: [string, number]) => ({
    ...{ pauseAfter: "1m", hibernateAfter: "5m", stopAfter, gbHoursPerDay },
    ...{ coldStartsPerDay: 10 - gbHoursPerDay, wakesPerDay: { resume: 0, hibernated: 0 } },
  });
  return {
    ...{ service, days: 7, canHibernate: true, minInstances: 0, now: outcome(now), then: outcome(then) },
    memory: { awakeBytes: 1, pausedBytes: 1, hibernatedBytes: 1 },
  };
}

const ESTIMATES = [
  estimate("shop", ["1h", 8], ["5m", 3]),
  estimate("blog", ["300s", 2], ["5m", 2]),
  estimate("wiki", ["24h", 6], ["5m", 1]),
];

Deno.test("what all services bring together counts those that are left out as they are now", () => {
  assertEquals(sumsOf(ESTIMATES, new Set()), {
    before: { coldStarts: 14, gbHours: 16 },
    after: { coldStarts: 24, gbHours: 6 },
  });
  assertEquals(sumsOf(ESTIMATES, new Set(["wiki"])).after, { coldStarts: 19, gbHours: 11 });
  assertEquals(sumsOf([], new Set()).after, { coldStarts: 0, gbHours: 0 });
});

Deno.test("only services that would have other settings are changed, and none that is left out", () => {
  const names = (leftOut: string[]) => changedServices(ESTIMATES, new Set(leftOut)).map(({ service }) => service);
  assertEquals(names([]), ["shop", "wiki"]);
  assertEquals(names(["shop"]), ["wiki"]);
});

Deno.test("amounts of memory are in GB-hours unless all of them are small", () => {
  assertEquals(memoryUnit(0.2, 0.9), { unit: "MB", factor: 1000 });
  assertEquals(memoryUnit(0.2, 1), { unit: "GB", factor: 1 });
});
