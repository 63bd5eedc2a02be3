import { assertEquals } from "@std/assert";
import {
  inKnownOrder,
  isChange,
  memoryUnit,
  sumsOf,
  unknownText,
} from "../../../src/admin/dashboard/ui/model/what_if.js";

/** An estimate with stopAfter and GB-hours now and then. */
function estimate(service: string, now: [string, number], then: [string, number]) {
  const outcome = ([stopAfter, gbHoursPerDay]: [string, number]) => ({
    ...{ pauseAfter: "1m", hibernateAfter: "5m", stopAfter, gbHoursPerDay: gbHoursPerDay + 1 },
    idleGbHoursPerDay: gbHoursPerDay,
    ...{ coldStartsPerDay: 10 - gbHoursPerDay, wakesPerDay: { resume: 0, hibernated: 0 } },
  });
  return {
    ...{ service, days: 7, canHibernate: true, minInstances: 0, now: outcome(now), then: outcome(then) },
    ...{ state: "asleep", gaps: [{ upToSeconds: 64, count: 3 }, { count: 2 }] },
    memory: { awakeBytes: 1, pausedBytes: 1, hibernatedBytes: 1 },
  };
}

const ESTIMATES = [
  estimate("shop", ["1h", 8], ["5m", 3]),
  estimate("blog", ["300s", 2], ["5m", 2]),
  estimate("wiki", ["24h", 6], ["5m", 1]),
];

Deno.test("what all services bring together counts those that are not chosen as they are now", () => {
  assertEquals(sumsOf(ESTIMATES, new Set(["shop", "blog", "wiki"])), {
    before: { coldStarts: 14, idleGbHours: 16, inUseGbHours: 3 },
    after: { coldStarts: 24, idleGbHours: 6, inUseGbHours: 3 },
  });
  assertEquals(sumsOf(ESTIMATES, new Set(["shop", "blog"])).after, {
    coldStarts: 19,
    idleGbHours: 11,
    inUseGbHours: 3,
  });
  assertEquals(sumsOf(ESTIMATES, new Set()).after, { coldStarts: 14, idleGbHours: 16, inUseGbHours: 3 });
});

Deno.test("a service changes only if it would have other settings, and another outcome by them", () => {
  const namesOf = (all: typeof ESTIMATES) => all.filter(isChange).map(({ service }) => service);
  assertEquals(namesOf(ESTIMATES), ["shop", "wiki"]);
  assertEquals(namesOf([estimate("quiet", ["1h", 0], ["5m", 0])]), []);
});

Deno.test("of a service that fails, always runs or has almost no recorded gaps, that is told, and nothing changes", () => {
  const shop = ESTIMATES[0]!;
  assertEquals(unknownText(shop), undefined);
  const unknown = [
    { ...shop, gaps: [{ upToSeconds: 64, count: 1 }] },
    { ...shop, state: "failing" },
    { ...shop, minInstances: 2 },
  ];
  assertEquals(unknown.map(unknownText), [
    "too little is recorded: 1 time without a request",
    "it fails: there is nothing to estimate",
    "always runs 2 instances",
  ]);
  assertEquals(unknown.some(isChange), false);
  for (const one of unknown) assertEquals(sumsOf([one], new Set(["shop"])).after, sumsOf([one], new Set()).after);
});

Deno.test("services keep their places when their estimates change, and new ones stand at the end", () => {
  const order = (all: typeof ESTIMATES, known: string[]) => inKnownOrder(all, known).map(({ service }) => service);
  assertEquals(order(ESTIMATES, []), ["shop", "wiki", "blog"]);
  const later = [estimate("news", ["1h", 9], ["1h", 9]), estimate("shop", ["5m", 1], ["5m", 1]), ...ESTIMATES.slice(1)];
  assertEquals(order(later, ["shop", "wiki", "gone", "blog"]), ["shop", "wiki", "blog", "news"]);
});

Deno.test("amounts of memory are in GB-hours unless all of them are small", () => {
  assertEquals(memoryUnit(0.2, 0.9), { unit: "MB", factor: 1000 });
  assertEquals(memoryUnit(0.2, 1), { unit: "GB", factor: 1 });
});
