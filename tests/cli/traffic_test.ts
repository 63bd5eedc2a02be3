import { assertEquals, assertStringIncludes } from "@std/assert";
import { ago, ANSWERS, apiTest, problem, WEB } from "./fake_api.ts";

const TRAFFIC = "PUT /v1/services/web/traffic";

const CHANGED = { ...WEB, traffic: [{ revision: "web-00001", percent: 100, tag: "old" }] };

apiTest(
  "traffic sends the whole split, with the present tags",
  { ...ANSWERS, [TRAFFIC]: CHANGED },
  async (api) => {
    const { code, out } = await api.run("traffic", "web", "web-00002=100");
    assertEquals([code, out], [0, "web: web-00001 100% (old)"]);
    assertEquals(api.sent(TRAFFIC), [
      { revision: "web-00002", percent: 100 },
      { revision: "web-00001", percent: 0, tag: "old" },
    ]);
    assertEquals(api.asked.at(-1)!.headers.get("if-match"), '"4"');
    assertEquals((await api.run("traffic", "web", "latest=100", "-q")).out, "");
    assertEquals(JSON.parse((await api.run("traffic", "web", "--tag", "web-00002=next", "--json")).out), CHANGED);
    assertEquals(api.sent(TRAFFIC), [
      { revision: "latest", percent: 70 },
      { revision: "web-00001", percent: 30, tag: "old" },
      { revision: "web-00002", percent: 0, tag: "next" },
    ]);
  },
);

apiTest("traffic takes a tag in place of a revision, unless a revision has that name", {
  ...ANSWERS,
  [TRAFFIC]: CHANGED,
}, async (api) => {
  assertEquals((await api.run("traffic", "web", "old=100")).code, 0);
  assertEquals(api.sent(TRAFFIC), [{ revision: "web-00001", percent: 100, tag: "old" }]);
  assertEquals((await api.run("traffic", "web", "old=40,tag=stable", "latest=60")).code, 0);
  assertEquals(api.sent(TRAFFIC), [
    { revision: "web-00001", percent: 40, tag: "stable" },
    { revision: "latest", percent: 60 },
  ]);
  assertEquals((await api.run("traffic", "web", "--tag", "old=first")).code, 0);
  assertEquals(api.sent(TRAFFIC), [
    { revision: "latest", percent: 70 },
    { revision: "web-00001", percent: 30, tag: "first" },
  ]);
  const twice = await api.run("traffic", "web", "old=50", "web-00001=50");
  assertEquals([twice.code, twice.err], [2, "cless: web-00001 is listed twice; give it one percent"]);
  const traffic = [{ revision: "web-00002", percent: 100 }, { revision: "web-00001", percent: 0, tag: "web-00002" }];
  api.answers["GET /v1/services/web"] = { ...WEB, traffic };
  assertEquals((await api.run("traffic", "web", "web-00002=100", "--untag", "web-00002")).code, 0);
  assertEquals(api.sent(TRAFFIC), [{ revision: "web-00002", percent: 100 }]);
});

apiTest("traffic with only a name shows the split, and changes nothing", ANSWERS, async (api) => {
  assertEquals((await api.run("traffic", "web")).out.split("\n"), [
    "REVISION            PERCENT  TAG  URL",
    "latest (web-00002)  70%      -    -",
    "web-00001           30%      old  https://old--web.example.org",
  ]);
  assertEquals(JSON.parse((await api.run("traffic", "web", "--json")).out), WEB);
  assertEquals(await api.run("traffic", "web", "-q"), { code: 0, out: "", err: "" });
  assertEquals((await api.run("traffic", "shop")).code, 1);
  assertEquals(api.changes, []);
});

apiTest("a wrong split is exit code 2", ANSWERS, async (api) => {
  for (const text of ["web-00001", "web-00001=x", "=5", "web-00001=5,tog=x", "web-00001=-5", "Web=1"]) {
    const { code, err } = await api.run("traffic", "web", text);
    assertEquals([code, err.startsWith(`cless: "${text}" is not allowed: expected REVISION=PERCENT`)], [2, true], err);
  }
  assertStringIncludes((await api.run("traffic", "web", "--tag", "x")).err, '--tag: "x" is not allowed: expected REV');
  assertEquals(await api.run("traffic", "web", "web-00001=50", "web-00001=50"), {
    code: 2,
    out: "",
    err: "cless: web-00001 is listed twice; give it one percent",
  });
  assertEquals(await api.run("traffic", "web", "--untag", "nosuch"), {
    code: 1,
    out: "",
    err: "cless: no revision of web has the tag nosuch",
  });
  assertEquals((await api.run("traffic", "a/b", "latest=100")).err, 'cless: "a/b" is not a valid name');
  assertEquals(api.changes, []);
  assertEquals((await api.run("traffic", "shop", "latest=100")).err, "cless: there is no service shop");
});

apiTest("a change that meets another change is tried again, but not for ever", ANSWERS, async (api) => {
  let refusals = 2;
  api.answers[TRAFFIC] = () => refusals-- > 0 ? problem(412, "web has been changed") : WEB;
  assertEquals((await api.run("traffic", "web", "latest=100")).code, 0);
  assertEquals(api.changes.length, 3);
  assertEquals(api.asked.filter(({ line }) => line === "GET /v1/services/web").length, 3);
  refusals = 100;
  assertEquals((await api.run("traffic", "web", "latest=100")).err, "cless: web has been changed");
});

apiTest("rollback prints the split before and after it", {
  ...ANSWERS,
  "POST /v1/services/web/rollback": CHANGED,
}, async (api) => {
  assertEquals((await api.run("rollback", "web")).out, "web: latest 70%, web-00001 30% (old) → web-00001 100% (old)");
  assertEquals(JSON.parse((await api.run("rollback", "web", "--json")).out), CHANGED);
  assertEquals(await api.run("rollback", "web", "-q"), { code: 0, out: "", err: "" });
});

const LATEST = "web-00002";

/** Changes of the service: one that leaves the shares as they are, one of the shares, and how it was made. */
const HISTORY = [
  {
    ...{ at: ago("1h"), action: "traffic", by: "alice" },
    before: {
      latestRevision: LATEST,
      traffic: [{ revision: LATEST, percent: 70 }, { revision: "web-00001", percent: 30 }],
    },
    after: { latestRevision: LATEST, traffic: WEB.traffic },
  },
  {
    ...{ at: ago("2h"), action: "traffic", by: "ci" },
    before: { latestRevision: LATEST, traffic: CHANGED.traffic },
    after: { latestRevision: LATEST, traffic: WEB.traffic },
  },
  {
    at: ago("3h"),
    action: "deploy",
    by: "admin",
    before: null,
    after: { latestRevision: LATEST, traffic: CHANGED.traffic },
  },
];

apiTest("a dry run of traffic and of rollback says what would change, and changes nothing", {
  ...ANSWERS,
  "GET /v1/services/web/history": HISTORY,
  "PUT /v1/services/web/traffic?dryRun=true": CHANGED,
  "POST /v1/services/web/rollback?dryRun=true": CHANGED,
}, async (api) => {
  const out = "web: latest 70%, web-00001 30% (old) → web-00001 100% (old)";
  const undone =
    "It undoes what ci did 2h ago (traffic): traffic web-00001 100% (old) → latest 70%, web-00001 30% (old)";
  assertEquals(await api.run("rollback", "web", "--dry-run"), { code: 0, out: `${out}\n${undone}`, err: "" });
  assertEquals(JSON.parse((await api.run("rollback", "web", "--dry-run", "--json")).out), CHANGED);
  assertEquals(await api.run("traffic", "web", "web-00001=100", "--dry-run"), { code: 0, out, err: "" });
  assertEquals(api.changes, [
    ...["POST /v1/services/web/rollback?dryRun=true", "POST /v1/services/web/rollback?dryRun=true"],
    "PUT /v1/services/web/traffic?dryRun=true",
  ]);
});
