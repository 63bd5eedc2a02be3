import { assertEquals, assertStringIncludes } from "@std/assert";
import { ago, type Answer, ANSWERS, apiTest, problem, REVISIONS, TEMPLATE, WEB } from "./fake_api.ts";
import { runMain } from "./run_main.ts";

apiTest("services are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("services")).out.split("\n"), [
    "NAME  URL                        REVISION   TRAFFIC                       AGE",
    "web   http://web.localhost:8080  web-00002  web-00002 70%, web-00001 30%  3d",
  ]);
  assertEquals(JSON.parse((await api.run("services", "--json")).out), [WEB]);
  for (const flag of ["--quiet", "-q"]) assertEquals((await api.run("services", flag)).out, "web");
});

apiTest("without services, it is said how to make one, and programs get an empty list", {
  "GET /v1/services": [],
}, async (api) => {
  assertEquals(await api.run("services"), {
    code: 0,
    out: "",
    err: "there are no services yet; cless deploy makes one",
  });
  assertEquals((await api.run("services", "--json")).out, "[]");
  assertEquals(await api.run("services", "-q"), { code: 0, out: "", err: "" });
});

/** A page that says what comes next. */
const page = (names: string[], link: string) =>
  new Response(JSON.stringify(names.map((name) => ({ ...WEB, name }))), { headers: { link: `<${link}>; rel="next"` } });

apiTest("a list has all of its pages, and the token goes to no other server", {
  "GET /v1/services": page(["web"], "http://127.0.0.1:1/v1/services?cursor=web&limit=1"),
  "GET /v1/services?cursor=web&limit=1": page(["zoo"], "/v1/services?cursor=zoo&limit=1"),
  "GET /v1/services?cursor=zoo&limit=1": page(["zoo2"], "/v1/services?cursor=zoo&limit=1"),
  "GET /v1/instances": page([], "http://127.0.0.1:1/v1/instances"),
}, async (api) => {
  assertEquals((await api.run("services", "-q")).out, "web\nzoo\nzoo2");
  assertEquals((await api.run("instances", "--json")).out, "[]");
});

apiTest("revisions are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE",
    "web-00002  70%      -    web:v2  5m",
    "web-00001  30%      old  web:v1  3d",
  ]);
  assertEquals((await api.run("revisions", "web", "-q")).out, "web-00002\nweb-00001");
  assertEquals(JSON.parse((await api.run("revisions", "web", "--json")).out).length, 2);
});

apiTest("instances are a table, JSON, or ids, of all services or of some", ANSWERS, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID              SERVICE  REVISION   STATE  IN-FLIGHT  MEMORY    ADDRESS          AGE  LAST-USED",
    "web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   10s ago",
  ]);
  assertEquals((await api.run("instances", "-q", "web")).out, "web-00002-a1b2");
  assertEquals((await api.run("instances", "-q", "shop")).out, "");
  assertEquals((await api.run("instances", "shop")).err, "no instance runs now; the next request starts one");
});

apiTest("instances that have failed say why, and what is not known is a hyphen", {
  "GET /v1/instances": [
    {
      ...{ id: "one", service: "web", revision: "web-00001", state: "draining", address: "172.20.0.2:80", inFlight: 1 },
      ...{ memoryBytes: 1024, startedAt: ago("2m"), failure: "the app did not answer any more" },
    },
    {
      ...{ id: "two", service: "web", revision: "web-00001", state: "starting", address: "", inFlight: 0 },
      startedAt: ago("2s"),
    },
  ],
}, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID   SERVICE  REVISION   STATE     IN-FLIGHT  MEMORY   ADDRESS        AGE  LAST-USED  FAILURE",
    "one  web      web-00001  draining  1          1.0 KiB  172.20.0.2:80  2m   -          the app did not answer any more",
    "two  web      web-00001  starting  0          -        -              2s   -          -",
  ]);
});

apiTest("describe shows everything, of variables the names alone", ANSWERS, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n"), [
    "Name:         web",
    "URL:          http://web.localhost:8080",
    "Domains:      www.example.org",
    "Made:         3d ago",
    "Changed:      5m ago",
    "Declared by:  no file",
    "Keeps:        20 old revisions",
    "",
    "Traffic",
    "  REVISION            PERCENT  TAG  URL",
    "  latest (web-00002)  70%      -    -",
    "  web-00001           30%      old  http://old--web.localhost:8080",
    "",
    "Template of web-00002",
    "  image:         web:v2",
    "  pullPolicy:    missing",
    "  port:          8080",
    "  concurrency:   0",
    "  minInstances:  0",
    "  maxInstances:  1",
    "  memory:        256m",
    "  readiness:     /",
    "  env:           MODE, KEY",
    "  env TOKEN:     the secret web.token",
    "  volume /data:  data",
    "",
    "Revisions",
    "  NAME       TRAFFIC  TAG  IMAGE   AGE",
    "  web-00002  70%      -    web:v2  5m",
    "  web-00001  30%      old  web:v1  3d",
    "",
    "Instances",
    "  ID              SERVICE  REVISION   STATE  IN-FLIGHT  MEMORY    ADDRESS          AGE  LAST-USED",
    "  web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   10s ago",
  ]);
  const open = (await api.run("describe", "web", "--show-env")).out;
  assertStringIncludes(open, "  env MODE:      fast\n");
  assertStringIncludes(open, '  env KEY:       "two\\nlines"\n');
});

const FAILURE = { reason: "it ended with code 1", at: ago("10s"), count: 4, retryInS: 2 };
const FAILING: Record<string, Answer> = {
  ...ANSWERS,
  "GET /v1/services/web/revisions": [
    { ...REVISIONS[0], failure: FAILURE },
    { ...REVISIONS[1], failure: { reason: "no answer", at: ago("2m"), count: 1 } },
    { ...REVISIONS[1], name: "web-00000", percent: 0 },
  ],
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: TEMPLATE,
    failure: { ...FAILURE, output: ["panic: no \x1b[31mKEY\x1b[0m", "\tat main.go:7"] },
  },
  "GET /v1/services/web/revisions/web-00001": {
    ...REVISIONS[1],
    template: TEMPLATE,
    failure: { reason: "no answer", at: ago("2m"), count: 1, output: [] },
  },
};

apiTest("revisions that have failed lately are marked", FAILING, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE  FAILED",
    "web-00002  70%      -    web:v2  5m   4 times in a row, 10s ago",
    "web-00001  30%      old  web:v1  3d   once, 2m ago",
    "web-00000  -        old  web:v1  3d   -",
  ]);
});

apiTest("describe says why a revision fails, with the last lines of its app", FAILING, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(
    out,
    [
      "Failures",
      "  web-00002 failed 4 times in a row, 10s ago; requests are refused for 2s more: it ended with code 1",
      "    panic: no KEY",
      "    \tat main.go:7",
      "  web-00001 failed once, 2m ago: no answer",
      "",
      "Instances",
    ].join("\n"),
  );
  api.answers["GET /v1/instances"] = [];
  assertStringIncludes((await api.run("describe", "web")).out, "Instances\n  none; the next request starts one");
  api.answers["GET /v1/services/web/revisions"] = [{ ...REVISIONS[0], failure: FAILURE }];
  const refused = (await api.run("describe", "web")).out;
  assertStringIncludes(refused, "Instances\n  none; the first request after that time starts one");
  const { revisions } = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals(revisions[0].failure.output, ["panic: no \x1b[31mKEY\x1b[0m", "\tat main.go:7"]);
});

apiTest("describe shows how a service wakes, where that is not as with all others", {
  ...ANSWERS,
  "GET /v1/services/web": {
    ...WEB,
    wake: { except: { userAgents: ["Bot", "Spider 2"], paths: ["/up"] } },
    loading: "page",
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n").slice(3, 6), [
    'Not woken by:  Bot, "Spider 2"',
    "Not woken at:  /up",
    "Loading:       a page, while it starts",
  ]);
});

apiTest("describe shows how it is asked whether an app is well", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: { ...TEMPLATE, liveness: { path: "/up", every: "5s" } },
  },
}, async (api) => {
  assertStringIncludes((await api.run("describe", "web")).out, "  liveness:      /up every 5s\n");
});

apiTest("describe shows programs the values of variables only where they are asked for", ANSWERS, async (api) => {
  const closed = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals([closed.template.env, closed.template.envNames], [undefined, ["MODE", "KEY"]]);
  assertEquals([closed.revisions.length, closed.instances.length, closed.name], [2, 1, "web"]);
  const open = JSON.parse((await api.run("describe", "web", "--json", "--show-env")).out);
  assertEquals(open.template.env, { MODE: "fast", KEY: "two\nlines" });
});

apiTest("what the API refuses is one line and exit code 1", {
  "GET /v1/services/web": problem(503, "the store cannot be used: the disk is full; make room"),
}, async (api) => {
  assertEquals(await api.run("describe", "nosuch"), {
    code: 1,
    out: "",
    err: "cless: there is no /v1/services/nosuch",
  });
  assertEquals((await api.run("describe", "web")).err, "cless: the store cannot be used: the disk is full; make room");
  const wrong = await runMain("services", "--server", api.url, "--token", "other");
  assertEquals(wrong, { code: 1, out: "", err: "cless: The token is missing or wrong (the one given)" });
});

apiTest("what is no name, or one argument too many or too few, is exit code 2", ANSWERS, async (api) => {
  const cases: [args: string[], message: string][] = [
    [["describe"], "describe needs NAME: cless describe NAME"],
    [["describe", ".."], '".." is no name'],
    [["describe", ""], '"" is no name'],
    [["describe", "web", "shop"], 'describe takes no argument "shop"; see cless describe --help'],
    [["services", "--jsn"], "unknown flag --jsn; did you mean --json?"],
  ];
  for (const [args, message] of cases) {
    assertEquals(await api.run(...args), { code: 2, out: "", err: `cless: ${message}` });
  }
  assertEquals(api.asked.length, 0);
});
