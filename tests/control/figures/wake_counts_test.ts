import { assert, assertEquals } from "@std/assert";
import { minuteOf } from "../../../src/control/figures/periods.ts";
import { summarize, WakeCounts } from "../../../src/control/figures/wake_counts.ts";

const REVISION = { service: "app", name: "app-00001" };

Deno.test("wakes are counted by revision, kind and minute", () => {
  let now = 60_000;
  const wakes = new WakeCounts(() => now);
  wakes.woken(REVISION, "resume", 3);
  wakes.woken(REVISION, "resume", 3);
  wakes.woken(REVISION, "cold", 300);
  now += 60_000;
  wakes.woken(REVISION, "resume", 3);
  const counts = wakes.pending.map(({ how, minute, count }) => [how, minute, count]);
  assertEquals(counts, [["resume", 1, 2], ["cold", 1, 1], ["resume", 2, 1]]);
  assertEquals(minuteOf(now), 2);
  const summaries = summarize(wakes.pending).map(({ revision, how, count }) => [revision, how, count]);
  assertEquals(summaries, [["app-00001", "resume", 3], ["app-00001", "cold", 1]]);
  wakes.clean();
  assertEquals(wakes.pending, []);
});

Deno.test("the times that a summary tells are within 10% of the true ones, up to four minutes", () => {
  for (let ms = 1; ms < 250_000; ms *= 1.07) {
    const wakes = new WakeCounts(() => 0);
    wakes.woken(REVISION, "resume", ms);
    const [{ p50Ms, p99Ms, histogram }] = summarize(wakes.pending) as [ReturnType<typeof summarize>[0]];
    assert(Math.abs(p50Ms / ms - 1) < 0.1, `${p50Ms} for ${ms}`);
    assertEquals([p99Ms, histogram.length], [p50Ms, 1]);
    assert(ms <= histogram[0]!.upToMs * 1.005, `${histogram[0]!.upToMs} for ${ms}`);
  }
});

Deno.test("wakes of no time, and of any length, have a place in the histogram", () => {
  const wakes = new WakeCounts(() => 0);
  for (const ms of [0, 0.2, 1e9]) wakes.woken(REVISION, "hibernated", ms);
  const [summary] = summarize(wakes.pending);
  assertEquals(summary?.histogram, [{ upToMs: 1, count: 2 }, { upToMs: 262_000, count: 1 }]);
  assertEquals([summary!.p50Ms, summary!.p99Ms], [0.917, 240_000]);
});

Deno.test("one slow wake of 200 does not change what 99 of 100 took", () => {
  const wakes = new WakeCounts(() => 0);
  for (let n = 0; n < 199; n++) wakes.woken(REVISION, "resume", 4);
  wakes.woken(REVISION, "resume", 4000);
  const [summary] = summarize(wakes.pending);
  assertEquals([summary!.p50Ms, summary!.p99Ms], [3.67, 3.67]);
});

Deno.test("a service that is deleted takes its wakes with it, and what cannot be stored does not grow for ever", () => {
  const wakes = new WakeCounts(() => 0);
  wakes.woken(REVISION, "resume", 3);
  wakes.woken({ service: "other", name: "other-00001" }, "resume", 3);
  wakes.forget("app");
  assertEquals(wakes.pending.map(({ service }) => service), ["other"]);
  for (let n = 0; n < 10_100; n++) wakes.woken({ service: "app", name: `app-${n}` }, "cold", 1);
  assertEquals([wakes.pending.length, wakes.pending.at(-1)!.revision], [10_000, "app-10099"]);
});
