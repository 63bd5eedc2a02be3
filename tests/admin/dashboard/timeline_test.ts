import { assert, assertEquals } from "@std/assert";
import * as timeline from "../../../src/admin/dashboard/ui/model/timeline.js";
import type { Timeline, Wake } from "../../../src/admin/dashboard/ui/model/timeline.js";

const FROM = Date.parse("2026-11-29T12:00:00Z");
const HOUR = 3_600_000;
const TO = FROM + 24 * HOUR;

function at(hours: number): string {
  return new Date(FROM + hours * HOUR).toISOString();
}

function wake(hours: number, how: Wake["how"] = "resume"): Wake {
  return { at: at(hours), revision: "shop-00001", how, ms: 3.6, by: { kind: "unknown" } };
}

const DAY: Timeline = {
  service: "shop",
  from: at(0),
  spells: [
    { state: "asleep", from: at(-1) },
    { state: "ready", from: at(2) },
    { state: "paused", from: at(5) },
    { state: "failing", from: at(23), failure: "it ended; look at its logs" },
  ],
  deploys: [{ at: at(3), outcome: "deployed", revision: "shop-00002", by: "ci" }],
  wakes: [wake(-1), wake(2, "cold"), wake(4)],
};

Deno.test("each spell lasts until the next one, and none reaches out of the window", () => {
  const hours = timeline.spellsBetween(DAY.spells, FROM, TO)
    .map(({ state, from, to }) => [state, (from - FROM) / HOUR, (to - FROM) / HOUR]);
  assertEquals(hours, [["asleep", 0, 2], ["ready", 2, 5], ["paused", 5, 23], ["failing", 23, 24]]);
  assertEquals(timeline.spellsBetween([{ state: "ready", from: at(30) }], FROM, TO), []);
});

Deno.test("a band has one path for each state, higher for what is more wakeful, and what is failing on top", () => {
  const paths = timeline.bandPaths(DAY.spells, FROM, TO);
  assertEquals(paths.map(({ state }) => state), ["asleep", "paused", "ready", "failing"]);
  const heights = paths.map(({ path }) => Number(/v-(\d+)/.exec(path)![1]));
  assert(heights[0]! < heights[1]! && heights[1]! < heights[2]!);
  assertEquals(paths[2]!.path, "M120 24v-15H300v15z");
});

Deno.test("a short failure can be seen, but not beyond the end of the band", () => {
  const short = [{ state: "failing", from: at(1) }, { state: "asleep", from: at(1.001) }];
  assertEquals(timeline.bandPaths(short, FROM, TO)[1]!.path, "M60 24v-15H64v15z");
  assertEquals(
    timeline.bandPaths([{ state: "failing", from: at(23.99) }], FROM, TO)[0]!.path,
    "M1439.4 24v-15H1440v15z",
  );
});

Deno.test("a state of a later version is drawn as unknown", () => {
  assertEquals(timeline.bandPaths([{ state: "dreaming", from: at(0) }], FROM, TO)[0]!.state, "unknown");
});

Deno.test("wakes and deploys before the window are neither drawn nor pointed at", () => {
  assertEquals(timeline.wakeDots(DAY.wakes, "resume", FROM), "M240 4h0");
  assertEquals(timeline.marksOf(DAY, FROM).map(({ x }) => x), [120, 180, 240]);
});

Deno.test("the pointer finds the nearest wake within reach, and a cold start more easily", () => {
  const marks = timeline.marksOf({ deploys: [], wakes: [wake(1), wake(1.1, "cold"), wake(5)] }, FROM);
  const nearest = (x: number) => timeline.nearestMark(marks, x, 10);
  assertEquals(nearest(59)?.x, 60);
  assertEquals(nearest(63.5)?.wake?.how, "cold");
  assertEquals(nearest(62)?.wake?.how, "cold");
  assertEquals(nearest(150), undefined);
  assertEquals(nearest(295)?.x, 300);
});

Deno.test("a wake tells from what, how long it took and who it was", () => {
  const [what, who] = timeline.markText({
    ...{ at: FROM, x: 0 },
    wake: {
      ...wake(0, "cold"),
      ms: 540,
      by: { kind: "request", method: "GET", path: "/cart", network: "203.0.113.0/24" },
    },
  });
  assertEquals([what.replace(/^\S+/, "TIME"), who], ["TIME · cold start, 540ms", "GET /cart from 203.0.113.0/24"]);
  const causes = [
    { kind: "request", method: "GET", path: "/", userAgent: "Googlebot/2.1", robot: true },
    ...[{ kind: "request" }, { kind: "operator", name: "laptop" }, { kind: "deploy" }, { kind: "minimum" }],
    { kind: "unknown" },
  ] as const;
  assertEquals(causes.map(timeline.causeText), [
    "GET / (robot: Googlebot/2.1)",
    ...["a request", "woken by laptop", "for a deploy", "without a request: minInstances, or more load"],
    "nobody knows who",
  ]);
});

Deno.test("a deploy tells its revision, or that it failed, and by whom", () => {
  const texts = (outcome: string) =>
    timeline.markText({ at: FROM, x: 0, deploy: { at: at(0), outcome, revision: "shop-00002", by: "ci" } })
      .map((text) => text.replace(/^\d\S+/, "TIME"));
  assertEquals(texts("deployed"), ["TIME · shop-00002 deployed", "by ci"]);
  assertEquals(texts("failed"), ["TIME · deploy failed", "by ci, shop-00002"]);
});

Deno.test("a band in words has the states by length, and counts what happened in the window", () => {
  assertEquals(
    timeline.bandText(DAY, FROM, TO),
    "paused 18 h, ready 3 h, asleep 2 h, failing 1 h; 2 wakes; 1 deploy",
  );
});

Deno.test("a change of state ends the last spell, and is taken once", () => {
  const change = { service: "shop", state: "ready", at: at(23.5) };
  const [changed] = timeline.withSpell([DAY], change);
  assertEquals(changed?.spells.at(-1), { state: "ready", from: at(23.5) });
  assertEquals(timeline.withSpell([changed!], change), [changed]);
  assertEquals(timeline.withSpell([DAY], { ...change, service: "blog" }), [DAY]);
});

Deno.test("the axis has the whole hours of the window, wherever the reader is, but none next to its end", () => {
  const hourMs = 3_600_000;
  for (let minutes = 0; minutes < 1440; minutes += 15) {
    const from = FROM + minutes * 60_000;
    const labels = timeline.axisLabels(from, from + 24 * hourMs, 6);
    assert(labels.length === 4 || labels.length === 3);
    for (const { x, text } of labels) {
      const at = from + x * 60_000;
      assertEquals(text, timeline.axisLabels(at, at + 2 * hourMs, 6)[0]?.text);
      assert(/^(00|06|12|18):00$/.test(text) && x >= 0 && x <= 1440 - 75);
    }
  }
});
