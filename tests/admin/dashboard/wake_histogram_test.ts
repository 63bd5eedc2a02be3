import { assert, assertEquals } from "@std/assert";
import { wakesByKind, withRoom } from "../../../src/admin/dashboard/ui/model/wake_histogram.js";
import { summarize } from "../../../src/control/figures/wake_counts.ts";

const wake = (how: "cold" | "resume", bucket: number, count: number, revision = "web-00001") =>
  ({ service: "web", revision, how, bucket, count }) as const;

Deno.test("the bars of a kind are those of all its revisions, without gaps", () => {
  const wakes = summarize([wake("resume", 8, 2), wake("resume", 11, 1), wake("resume", 8, 3, "web-00002")]);
  const [kind, ...others] = wakesByKind(wakes);
  assertEquals(others, []);
  assertEquals(kind!.bars.map(({ count }) => count), [5, 0, 0, 1]);
  assertEquals(kind!.count, 6);
  kind!.bars.slice(1).forEach(({ fromMs }, at) => assert(Math.abs(fromMs - kind!.bars[at]!.upToMs) < 1e-9));
});

Deno.test("each kind has its own bars, cold starts first, and the times that the API tells", () => {
  const wakes = summarize([wake("resume", 8, 99), wake("resume", 20, 1), wake("cold", 36, 1)]);
  const kinds = wakesByKind(wakes);
  assertEquals(kinds.map(({ how }) => how), ["cold", "resume"]);
  for (const { how, p50Ms, p99Ms } of kinds) {
    const own = wakes.find((wake) => wake.how === how)!;
    assertEquals([p50Ms, p99Ms].map((ms) => Number(ms.toPrecision(3))), [own.p50Ms, own.p99Ms]);
  }
});

Deno.test("there are no bars without wakes", () => {
  assertEquals(wakesByKind([]), []);
});

Deno.test("a few bars get room on both sides, without gaps, and many bars none", () => {
  const [kind] = wakesByKind(summarize([wake("cold", 36, 2), wake("cold", 38, 1)]));
  const wide = withRoom(kind!.bars);
  assertEquals(wide.map(({ count }) => count), [0, 0, 2, 0, 1, 0, 0, 0]);
  wide.slice(1).forEach(({ fromMs }, at) => assert(Math.abs(fromMs / wide[at]!.upToMs - 1) < 1e-9));
  assertEquals(withRoom(wide), wide);
  assertEquals(withRoom([]), []);
});
