import { assertEquals, assertThrows } from "@std/assert";
import { changedTraffic, parsePart, type TrafficChange } from "../../src/cli/traffic_change.ts";
import type { Traffic } from "../../src/model/traffic.ts";

const BEFORE: Traffic = [
  { revision: "latest", percent: 70 },
  { revision: "web-00001", percent: 30, tag: "old" },
];

/** The split after a change, each part as `web-00001 30 old`. */
function changed(before: Traffic, change: Partial<TrafficChange>): string[] {
  return changedTraffic(before, "web-00002", { parts: [], tags: [], untag: [], ...change })
    .map(({ revision, percent, tag }) => `${revision} ${percent} ${tag ?? ""}`.trim());
}

Deno.test("a part is a revision and its percent, perhaps with a tag", () => {
  assertEquals(parsePart("web-00001=30"), { revision: "web-00001", percent: 30 });
  assertEquals(parsePart("latest=100%"), { revision: "latest", percent: 100 });
  assertEquals(parsePart("web-00001=0,tag=old"), { revision: "web-00001", percent: 0, tag: "old" });
  assertEquals(parsePart("web-00001=0,tag="), { revision: "web-00001", percent: 0, tag: "" });
  for (const text of ["", "web", "web=", "web=1.5", "web=1000", "web=5,tag", "web=5 ", "web=5,tag=A"]) {
    assertThrows(() => parsePart(text), RangeError);
  }
});

Deno.test("the listed parts are the whole split, and revisions keep their tags", () => {
  const parts = (...texts: string[]) => ({ parts: texts.map(parsePart) });
  assertEquals(changed(BEFORE, parts("latest=100")), ["latest 100", "web-00001 0 old"]);
  assertEquals(changed(BEFORE, parts("web-00001=100")), ["web-00001 100 old"]);
  assertEquals(changed(BEFORE, parts("web-00001=100,tag=")), ["web-00001 100"]);
  assertEquals(changed(BEFORE, parts("web-00001=60,tag=new", "latest=40")), ["web-00001 60 new", "latest 40"]);
  assertEquals(changed(BEFORE, parts("latest=100,tag=old")), ["latest 100 old"]);
});

Deno.test("if latest is no part any more, its tag goes to the revision that it stood for", () => {
  const before = [{ revision: "latest", percent: 100, tag: "now" }];
  assertEquals(changed(before, { parts: [{ revision: "web-00001", percent: 100 }] }), [
    "web-00001 100",
    "web-00002 0 now",
  ]);
  assertEquals(changed(before, { parts: [{ revision: "web-00002", percent: 100 }] }), ["web-00002 100 now"]);
  assertEquals(changed(before, { tags: [{ revision: "web-00002", tag: "next" }] }), [
    "latest 100",
    "web-00002 0 next",
  ]);
});

Deno.test("if only tags change, the percents stay", () => {
  assertEquals(changed(BEFORE, { tags: [{ revision: "web-00003", tag: "old" }] }), [
    "latest 70",
    "web-00001 30",
    "web-00003 0 old",
  ]);
  assertEquals(changed(BEFORE, { tags: [{ revision: "web-00001", tag: "first" }] }), [
    "latest 70",
    "web-00001 30 first",
  ]);
  assertEquals(changed(BEFORE, { untag: ["old", "nosuch"] }), ["latest 70", "web-00001 30"]);
});
