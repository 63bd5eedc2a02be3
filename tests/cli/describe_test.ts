import { assertEquals, assertStringIncludes } from "@std/assert";
import { ANSWERS, apiTest, FAILING, FAILURE, REVISIONS, TEMPLATE, WEB } from "./fake_api.ts";

apiTest("describe shows everything, but only the names of variables", ANSWERS, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n"), [
    "Name:         web",
    "State:        ready",
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
    "  web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   1m ago",
  ]);
  const open = (await api.run("describe", "web", "--show-env")).out;
  assertStringIncludes(open, "  env MODE:      fast\n");
  assertStringIncludes(open, '  env KEY:       "two\\nlines"\n');
});

apiTest("describe says why a revision fails, with the last lines of its app", FAILING, async (api) => {
  const { out } = await api.run("describe", "web");
  assertStringIncludes(
    out,
    [
      "Failures",
      "  web-00002 failed 4 times in a row, 1m ago; requests are refused for 2s more: it ended with code 1",
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

apiTest("describe shows exceptions from waking and the waiting page", {
  ...ANSWERS,
  "GET /v1/services/web": {
    ...WEB,
    wake: { except: { userAgents: ["Bot", "Spider 2"], paths: ["/up"] } },
    loading: "page",
  },
}, async (api) => {
  const { out } = await api.run("describe", "web");
  assertEquals(out.split("\n").slice(4, 7), [
    'Not woken by:  Bot, "Spider 2"',
    "Not woken at:  /up",
    "Loading:       a page, while it starts",
  ]);
});

apiTest("describe shows how liveness is checked", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": {
    ...REVISIONS[0],
    template: { ...TEMPLATE, liveness: { path: "/up", every: "5s" } },
  },
}, async (api) => {
  assertStringIncludes((await api.run("describe", "web")).out, "  liveness:      /up every 5s\n");
});

apiTest("describe --json has the values of variables only with --show-env", ANSWERS, async (api) => {
  const closed = JSON.parse((await api.run("describe", "web", "--json")).out);
  assertEquals([closed.template.env, closed.template.envNames], [undefined, ["MODE", "KEY"]]);
  assertEquals([closed.revisions.length, closed.instances.length, closed.name], [2, 1, "web"]);
  const open = JSON.parse((await api.run("describe", "web", "--json", "--show-env")).out);
  assertEquals(open.template.env, { MODE: "fast", KEY: "two\nlines" });
});
