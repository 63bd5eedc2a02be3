import { assert, assertEquals } from "@std/assert";
import { wakesByKind, withRoom } from "../../../src/admin/dashboard/ui/model/wake_histogram.js";

const wake = (how: "cold" | "resume", ms: number) => ({ how, ms });

Deno.test("each kind has its own bars without gaps, cold starts first", () => {
  const [cold, resume, ...others] = wakesByKind(
    [1.9, 2.1, 3.5].map((ms) => wake("resume", ms)).concat(wake("cold", 300)),
  );
  assertEquals([cold!.how, cold!.count, resume!.how, others], ["cold", 1, "resume", []]);
  assertEquals(resume!.bars.map(({ count }) => count), [1, 1, 0, 0, 1]);
  resume!.bars.slice(1).forEach(({ fromMs }, at) => assert(Math.abs(fromMs - resume!.bars[at]!.upToMs) < 1e-9));
});

Deno.test("counts and times are those of the wakes that are listed, also of some below a millisecond", () => {
  const [cold] = wakesByKind([282, 445, 402].map((ms) => wake("cold", ms)));
  assertEquals([cold!.count, cold!.p50Ms, cold!.p99Ms], [3, 402, 445]);
  assertEquals(cold!.bars.reduce((sum, { count }) => sum + count, 0), 3);
  const [resume] = wakesByKind([wake("resume", 0.4), wake("resume", 0)]);
  assertEquals([resume!.count, resume!.bars.map(({ count }) => count)], [2, [2]]);
});

Deno.test("there are no bars without wakes", () => {
  assertEquals(wakesByKind([]), []);
});

Deno.test("a few bars get room on both sides, without gaps, and many bars none", () => {
  const [kind] = wakesByKind([wake("cold", 500), wake("cold", 505), wake("cold", 700)]);
  const wide = withRoom(kind!.bars);
  assertEquals(wide.map(({ count }) => count), [0, 0, 2, 0, 1, 0, 0, 0]);
  wide.slice(1).forEach(({ fromMs }, at) => assert(Math.abs(fromMs / wide[at]!.upToMs - 1) < 1e-9));
  assertEquals(withRoom(wide), wide);
  assertEquals(withRoom([]), []);
});
