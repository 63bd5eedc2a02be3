import { assertEquals } from "@std/assert";
import { changeText, isSplitChange, splitBefore } from "../../../src/admin/dashboard/ui/model/history_text.js";

const TRAFFIC = [{ revision: "latest", percent: 100 }];
const SPLIT = [{ revision: "latest", percent: 10 }, { revision: "web-00001", percent: 90 }];

Deno.test("a change tells what was before and what is after", () => {
  const before = { latestRevision: "web-00001", traffic: TRAFFIC, revisionHistory: 20 };
  const texts = [
    { before: null, after: before },
    { before, after: null },
    { before, after: { ...before, latestRevision: "web-00002", changed: ["image", "imageId", "env"] } },
    { before, after: { ...before, latestRevision: "web-00002", changed: ["imageId"] } },
    { before, after: { ...before, traffic: SPLIT, revisionHistory: 5 } },
    { before, after: { ...before, access: { basic: ["alice"] } } },
    { before, after: before },
  ].map((entry) => changeText(entry));
  assertEquals(texts, [
    "- → web-00001",
    "web-00001 → -",
    "web-00001 → web-00002 (image, env)",
    "web-00001 → web-00002 (content of the image)",
    "traffic latest 100% → latest 10%, web-00001 90%; keeps 20 old revisions → 5 old revisions",
    "who may use it",
    "-",
  ]);
});

Deno.test("a change of settings tells their values before and after, as long as both revisions are there", () => {
  const revision = (stopAfter: string, memory?: string) => ({
    template: { env: {}, ...memory === undefined ? {} : { memory } },
    limits: { stopAfter: { value: stopAfter }, memory: { value: memory ?? "0" } },
  });
  const revisions = new Map([["web-00001", revision("12h")], ["web-00002", revision("1h", "256m")]]);
  const entry = {
    before: { latestRevision: "web-00001", traffic: TRAFFIC },
    after: { latestRevision: "web-00002", traffic: TRAFFIC, changed: ["stopAfter", "memory", "env"] },
  };
  assertEquals(
    changeText(entry, revisions),
    "web-00001 → web-00002 (Stop after 12 h → 1 h, Memory no limit → 256m, env)",
  );
  revisions.delete("web-00001");
  assertEquals(changeText(entry, revisions), "web-00001 → web-00002 (stopAfter, memory, env)");
});

Deno.test("there is a split to go back to only where it has changed, and does not hold now", () => {
  const state = (traffic: typeof TRAFFIC, latestRevision = "web-00002") => ({ traffic, latestRevision });
  const back = (before: typeof TRAFFIC, after: typeof TRAFFIC, present: typeof TRAFFIC) =>
    splitBefore({ before: state(before), after: state(after) }, state(present));
  assertEquals(back(TRAFFIC, SPLIT, TRAFFIC), undefined);
  assertEquals(back(TRAFFIC, SPLIT, SPLIT), TRAFFIC);
  assertEquals(back(TRAFFIC, TRAFFIC, SPLIT), undefined);
  assertEquals(splitBefore({ before: null, after: state(TRAFFIC) }, state(SPLIT)), undefined);
  assertEquals(splitBefore({ before: state(TRAFFIC), after: null }, state(SPLIT)), undefined);
});

Deno.test("a deploy that took the requests has the revisions that answered before it to go back to", () => {
  const at = (latestRevision: string) => ({ traffic: TRAFFIC, latestRevision });
  const deploy = { before: at("web-00001"), after: at("web-00002") };
  assertEquals(splitBefore(deploy, at("web-00002")), [{ revision: "web-00001", percent: 100 }]);
  const pinned = { latestRevision: "web-00002", traffic: [{ revision: "web-00001", percent: 100 }] };
  assertEquals(splitBefore(deploy, pinned), undefined);
  assertEquals([deploy, { before: pinned, after: pinned }, { before: null, after: pinned }].map(isSplitChange), [
    ...[true, false, false],
  ]);
  const twice = { before: { ...at("web-00001"), traffic: SPLIT }, after: { ...at("web-00002"), traffic: SPLIT } };
  assertEquals(splitBefore(twice, at("web-00002")), undefined);
});
