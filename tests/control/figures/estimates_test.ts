import { assertEquals } from "@std/assert";
import { Costs } from "../../../src/control/figures/costs.ts";
import { Estimates } from "../../../src/control/figures/estimates.ts";
import { IdleGaps } from "../../../src/control/figures/idle_gaps.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeStore } from "../../support/fake_store.ts";

const DAY_MS = 86_400_000;
const COST = { service: "app", since: 1, at: 2, processorNs: 0, usedByteS: 0, savedByteS: 0, wholeBytes: 0 };

/** Estimates in the middle of day 100. */
function newEstimates() {
  const clock = new FakeClock(100.5 * DAY_MS);
  const now = () => clock.now();
  const [store, gaps, costs] = [new FakeStore(), new IdleGaps({ clock, now }), new Costs(now)];
  return { clock, store, gaps, costs, estimates: new Estimates({ now, store, gaps, costs }) };
}

Deno.test("of a service that was never used, nothing is known", () => {
  const { estimates } = newEstimates();
  assertEquals(estimates.basisOf("app", 7), {
    ...{ idleness: { gaps: [], seconds: 0, idleS: 0 }, days: 0 },
    bytes: { awakeBytes: 0, pausedBytes: 0, hibernatedBytes: 0 },
  });
});

Deno.test("stored gaps of the asked days and those that are not stored yet count together", async () => {
  const { clock, estimates, gaps, store } = newEstimates();
  const gap = { service: "app", bucket: 24, count: 2, seconds: 118 };
  store.addFigures({ gaps: [{ ...gap, day: 99 }, { ...gap, day: 98 }, { ...gap, day: 100, service: "other" }] });
  gaps.load([{ service: "app", since: 10 * DAY_MS, idleSince: 100 * DAY_MS }]);
  const { days, idleness } = estimates.basisOf("app", 2);
  assertEquals([days, idleness], [1.5, {
    gaps: [{ bucket: 24, count: 2, seconds: 118 }],
    seconds: 129_600,
    idleS: 43_200,
  }]);
  const app = gaps.of("app");
  app.came();
  app.left(clock.now());
  await clock.advance(60_000);
  app.came();
  assertEquals(estimates.basisOf("app", 2).idleness, {
    gaps: [{ bucket: 24, count: 3, seconds: 178 }, { bucket: 62, count: 1, seconds: 43_200 }],
    ...{ seconds: 129_660, idleS: 0 },
  });
});

Deno.test("days count from the first request only", async () => {
  const { clock, estimates, gaps } = newEstimates();
  gaps.of("app").came();
  await clock.advance(DAY_MS / 4);
  assertEquals([estimates.basisOf("app", 7).days, estimates.basisOf("app", 1).idleness.seconds], [0.25, 21_600]);
});

Deno.test("the memory of each tier is as measured, and otherwise taken from that of an awake instance", () => {
  const { costs, estimates } = newEstimates();
  const load = (tiers: object) => costs.load([{ ...COST, wholeBytes: 1000, readings: {}, ...tiers }]);
  load({});
  assertEquals(estimates.basisOf("app", 7).bytes, { awakeBytes: 1000, pausedBytes: 1000, hibernatedBytes: 50 });
  load({ pausedBytes: 400, hibernatedBytes: 7 });
  assertEquals(estimates.basisOf("app", 7).bytes, { awakeBytes: 1000, pausedBytes: 400, hibernatedBytes: 7 });
});
