import { assertEquals } from "@std/assert";
import { ago, apiTest } from "./fake_api.ts";

const HISTORY = [
  {
    at: ago("3m"),
    action: "deploy",
    by: "ci",
    before: {
      latestRevision: "web-00001",
      traffic: [{ revision: "latest", percent: 100 }],
      domains: [],
      revisionHistory: 20,
    },
    after: {
      latestRevision: "web-00002",
      traffic: [{ revision: "latest", percent: 100 }],
      domains: ["a.example"],
      revisionHistory: 20,
      changed: ["env", "image"],
    },
  },
  {
    at: ago("2h"),
    action: "traffic",
    by: "admin",
    before: { latestRevision: "web-00001", traffic: [{ revision: "latest", percent: 100 }] },
    after: { latestRevision: "web-00001", traffic: [{ revision: "web-00001", percent: 100, tag: "old" }] },
  },
  {
    at: ago("5h"),
    action: "deploy",
    by: "config",
    before: { latestRevision: "web-00001", revisionHistory: 20 },
    after: { latestRevision: "web-00001", revisionHistory: 5, declaredBy: "/srv/a.yaml", changed: [] },
  },
  { at: ago("3d"), action: "deploy", by: "admin", after: { latestRevision: "web-00001" } },
  { at: ago("4d"), action: "delete", by: "admin", before: { latestRevision: "web-00007" }, after: null },
];

apiTest("history is a table of what each change changed, or JSON", {
  "GET /v1/services/web/history": HISTORY,
}, async (api) => {
  assertEquals((await api.run("history", "web")).out.split("\n"), [
    "WHEN    BY      ACTION   WHAT",
    "3m ago  ci      deploy   web-00001 → web-00002 (env, image); domains - → a.example",
    "2h ago  admin   traffic  traffic latest 100% → web-00001 100% (old)",
    "5h ago  config  deploy   keeps 20 → 5 old revisions; declared by no file → /srv/a.yaml",
    "3d ago  admin   deploy   - → web-00001",
    "4d ago  admin   delete   web-00007 → -",
  ]);
  assertEquals(api.asked[0]!.line, "GET /v1/services/web/history?limit=50");
  assertEquals(JSON.parse((await api.run("history", "web", "-n", "3", "--json")).out), HISTORY);
  assertEquals(api.asked[1]!.line, "GET /v1/services/web/history?limit=3");
});
