import { assertEquals } from "@std/assert";
import { changeText, splitBefore } from "../../../src/admin/dashboard/ui/model/history_text.js";

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
  ].map(changeText);
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

Deno.test("there is a split to go back to only where it has changed, and does not hold now", () => {
  assertEquals(splitBefore({ before: { traffic: TRAFFIC }, after: { traffic: SPLIT } }, TRAFFIC), undefined);
  assertEquals(splitBefore({ before: { traffic: TRAFFIC }, after: { traffic: SPLIT } }, SPLIT), TRAFFIC);
  assertEquals(splitBefore({ before: { traffic: TRAFFIC }, after: { traffic: TRAFFIC } }, SPLIT), undefined);
  assertEquals(splitBefore({ before: null, after: { traffic: TRAFFIC } }, SPLIT), undefined);
  assertEquals(splitBefore({ before: { traffic: TRAFFIC }, after: null }, SPLIT), undefined);
});
