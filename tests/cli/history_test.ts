import { assertEquals } from "@std/assert";
import { ago, apiTest, DEPLOYS, problem, withoutTimes } from "./fake_api.ts";

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
  assertEquals(withoutTimes((await api.run("history", "web")).out), [
    "WHEN    BY      ACTION   WHAT",
    "3m ago  ci      deploy   web-00001 → web-00002 (env, image); domains - → a.example",
    "2h ago  admin   traffic  traffic latest 100% → web-00001 100% (old)",
    "5h ago  config  deploy   keeps 20 → 5 old revisions; declared by no file → /srv/a.yaml",
    "3d ago  admin   deploy   - → web-00001",
    "4d ago  admin   delete   web-00007 → -",
  ]);
  assertEquals(api.asked.at(-1)!.line, "GET /v1/services/web/history?limit=50");
  assertEquals(JSON.parse((await api.run("history", "web", "-n", "3", "--json")).out), HISTORY.slice(0, 3));
  assertEquals(api.asked.at(-1)!.line, "GET /v1/services/web/history?limit=3");
});

apiTest("history has the failed deploys among the changes, with the reason", {
  "GET /v1/services/web/history": HISTORY,
  "GET /v1/services/web/deploys": DEPLOYS,
}, async (api) => {
  const rows = withoutTimes((await api.run("history", "web")).out);
  assertEquals(rows.slice(0, 4), [
    "WHEN    BY      ACTION   WHAT",
    "1m ago  ci      deploy   web-00003 failed after 31s: it ended with code 1",
    "2m ago  alice   deploy   called off after 5.0s: cless is shutting down",
    "3m ago  ci      deploy   web-00001 → web-00002 (env, image); domains - → a.example",
  ]);
  const hint = "More about failed deploys: cless history web --deploys";
  assertEquals(rows.slice(8), ["", hint], "a deploy that worked stands there once");
  const [failed, calledOff, ...more] = JSON.parse((await api.run("history", "web", "-n", "3", "--json")).out);
  assertEquals([failed.action, failed.outcome, failed.output], ["deploy", "failed", ["panic: no \x1b[31mKEY\x1b[0m"]]);
  assertEquals([calledOff.reason, more], ["cless is shutting down", [HISTORY[0]]]);
});

apiTest("history without a name is that of all services, bounded, with the failed deploys of each", {
  "GET /v1/history": [{ ...HISTORY[0], service: "web" }, { ...HISTORY[1], service: "shop" }],
  "GET /v1/deploys": DEPLOYS.map((deploy, at) => ({ service: at === 0 ? "blog" : "web", ...deploy })),
}, async (api) => {
  assertEquals(withoutTimes((await api.run("history")).out), [
    "WHEN    SERVICE  BY     ACTION   WHAT",
    "1m ago  blog     ci     deploy   web-00003 failed after 31s: it ended with code 1",
    "2m ago  web      alice  deploy   called off after 5.0s: cless is shutting down",
    "3m ago  web      ci     deploy   web-00001 → web-00002 (env, image); domains - → a.example",
    "2h ago  shop     admin  traffic  traffic latest 100% → web-00001 100% (old)",
    "",
    "More about failed deploys: cless history --deploys",
  ]);
  const asked = api.asked.map(({ line }) => line);
  assertEquals(asked, ["GET /v1/deploys?limit=50", "GET /v1/history?limit=50"]);
  assertEquals(withoutTimes((await api.run("history", "-n", "2")).out).length, 5);
  assertEquals(JSON.parse((await api.run("history", "--json", "-n", "1")).out)[0].service, "blog");
  assertEquals((await api.run("history", "--deploys", "-n", "5000")).out.split("\n").slice(0, 2), [
    "SERVICE  ENDED   BY     REVISION   IMAGE   OUTCOME     TOOK   REASON",
    "blog     1m ago  ci     web-00003  web:v3  failed      31s    it ended with code 1",
  ]);
  assertEquals(api.asked.at(-1)!.line, "GET /v1/deploys?limit=1000");
});

apiTest("history without a name says that there is nothing yet", {
  "GET /v1/history": [],
  "GET /v1/deploys": [],
}, async (api) => {
  assertEquals(await api.run("history"), { code: 0, out: "", err: "nothing has been changed yet" });
  assertEquals((await api.run("history", "--json")).out, "[]");
});

apiTest("history --deploys lists only deploys, each with how it ended and how long it took", {
  "GET /v1/services/web/deploys": DEPLOYS,
}, async (api) => {
  assertEquals((await api.run("history", "web", "--deploys")).out.split("\n"), [
    "ENDED   BY     REVISION   IMAGE   OUTCOME     TOOK   REASON",
    "1m ago  ci     web-00003  web:v3  failed      31s    it ended with code 1",
    "2m ago  alice  -          web:v3  called off  5.0s   cless is shutting down",
    "5m ago  ci     web-00002  web:v2  deployed    250ms  -",
    "",
    "web-00003 failed after 31s: it ended with code 1; look at KEY (1m ago, by ci)",
    "  panic: no KEY",
  ]);
  assertEquals(JSON.parse((await api.run("history", "web", "--deploys", "-n", "1", "--json")).out), [DEPLOYS[0]]);
});

apiTest("history --deploys has the whole reason of a deploy that failed without output, if that says what to do", {
  "GET /v1/services/web/deploys": [{ ...DEPLOYS[0], output: [] }, DEPLOYS[1]!],
}, async (api) => {
  assertEquals((await api.run("history", "web", "--deploys")).out.split("\n").slice(3), [
    "",
    "web-00003 failed after 31s: it ended with code 1; look at KEY (1m ago, by ci)",
  ]);
});

apiTest("history of a service that never worked has its failed deploys", {
  "GET /v1/services/web/history": problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": [DEPLOYS[0]!],
}, async (api) => {
  assertEquals(withoutTimes((await api.run("history", "web")).out), [
    "WHEN    BY  ACTION  WHAT",
    "1m ago  ci  deploy  web-00003 failed after 31s: it ended with code 1",
    "",
    "More about failed deploys: cless history web --deploys",
  ]);
  const missing = { code: 1, out: "", err: "cless: there is no service web" };
  api.answers["GET /v1/services/web/deploys"] = problem(404, "there is no service web");
  assertEquals(await api.run("history", "web"), missing);
  assertEquals(await api.run("history", "web", "--deploys"), missing);
});

apiTest("a deploy that is running has not ended in history --deploys, and is not among the changes", {
  "GET /v1/services/web/history": problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": [
    { ...DEPLOYS[0], outcome: "running", startedAt: ago("12s"), durationMs: 12_000, reason: undefined, output: [] },
    DEPLOYS[1]!,
  ],
}, async (api) => {
  assertEquals((await api.run("history", "web", "--deploys")).out.split("\n"), [
    "ENDED   BY     REVISION   IMAGE   OUTCOME     TOOK  REASON",
    "-       ci     web-00003  web:v3  running     12s   -",
    "2m ago  alice  -          web:v3  called off  5.0s  cless is shutting down",
  ]);
  assertEquals((await api.run("history", "web")).out.split("\n").length, 2);
});

apiTest("history of a service whose first deploy is running says so", {
  "GET /v1/services/web/history": problem(404, "there is no service web"),
  "GET /v1/services/web/deploys": [
    { ...DEPLOYS[0], outcome: "running", startedAt: ago("12s"), durationMs: 12_000, reason: undefined, output: [] },
  ],
}, async (api) => {
  const err = "the first deploy of web is running; cless describe web shows how far it is";
  assertEquals(await api.run("history", "web"), { code: 0, out: "", err });
  assertEquals((await api.run("history", "web", "--json")).out, "[]");
});
