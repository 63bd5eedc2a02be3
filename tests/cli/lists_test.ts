import { assertEquals } from "@std/assert";
import { ago, ANSWERS, apiTest, FAILING, WEB } from "./fake_api.ts";

apiTest("services are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("services")).out.split("\n"), [
    "NAME  URL                        REVISION   TRAFFIC                       AGE  STATE",
    "web   http://web.localhost:8080  web-00002  web-00002 70%, web-00001 30%  3d   ready",
  ]);
  assertEquals(JSON.parse((await api.run("services", "--json")).out), [WEB]);
  for (const flag of ["--quiet", "-q"]) assertEquals((await api.run("services", flag)).out, "web");
});

apiTest("a service that is failing says why, in one clause, and describe says all of it", {
  ...ANSWERS,
  "GET /v1/services": [
    { ...WEB, state: "failing", failure: "nothing listens on port 9\x07; the app must listen there on all addresses" },
    { ...WEB, name: "zoo", state: "asleep" },
  ],
}, async (api) => {
  const rows = (await api.run("services")).out.split("\n");
  assertEquals(rows[1]!.split(/ {2,}/).at(-1), "failing: nothing listens on port 9");
  assertEquals(rows[2]!.split(/ {2,}/).at(-1), "asleep");
  const [web] = api.answers["GET /v1/services"] as object[];
  api.answers["GET /v1/services/web"] = web!;
  const state = "State:        failing: nothing listens on port 9; the app must listen there on all addresses";
  assertEquals((await api.run("describe", "web")).out.split("\n")[1], state);
});

apiTest("without services, the message says how to make one, and --json is an empty list", {
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

apiTest("revisions are a table, JSON, or names", ANSWERS, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE",
    "web-00002  70%      -    web:v2  5m",
    "web-00001  30%      old  web:v1  3d",
  ]);
  assertEquals((await api.run("revisions", "web", "-q")).out, "web-00002\nweb-00001");
  assertEquals(JSON.parse((await api.run("revisions", "web", "--json")).out).length, 2);
});

apiTest("revisions that have failed are marked", FAILING, async (api) => {
  assertEquals((await api.run("revisions", "web")).out.split("\n"), [
    "NAME       TRAFFIC  TAG  IMAGE   AGE  FAILED",
    "web-00002  70%      -    web:v2  5m   4 times in a row, 1m ago",
    "web-00001  30%      old  web:v1  3d   once, 2m ago",
    "web-00000  -        old  web:v1  3d   -",
  ]);
});

apiTest("instances are a table, JSON, or ids, of all services or of some", ANSWERS, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID              SERVICE  REVISION   STATE  IN-FLIGHT  MEMORY    ADDRESS          AGE  LAST-USED",
    "web-00002-a1b2  web      web-00002  ready  3          24.5 MiB  172.20.0.2:8080  2m   1m ago",
  ]);
  assertEquals((await api.run("instances", "-q", "web")).out, "web-00002-a1b2");
  assertEquals((await api.run("instances", "-q", "shop")).out, "");
  assertEquals((await api.run("instances", "shop")).err, "no instance runs now; the next request starts one");
});

apiTest("failed instances say why, and unknown values are hyphens", {
  "GET /v1/instances": [
    {
      ...{ id: "one", service: "web", revision: "web-00001", state: "draining", address: "172.20.0.2:80", inFlight: 1 },
      ...{ memoryBytes: 1024, startedAt: ago("2m"), failure: "the app did not answer any more" },
    },
    {
      ...{ id: "two", service: "web", revision: "web-00001", state: "starting", address: "", inFlight: 0 },
      startedAt: ago("5m"),
    },
  ],
}, async (api) => {
  assertEquals((await api.run("instances")).out.split("\n"), [
    "ID   SERVICE  REVISION   STATE     IN-FLIGHT  MEMORY   ADDRESS        AGE  LAST-USED  FAILURE",
    "one  web      web-00001  draining  1          1.0 KiB  172.20.0.2:80  2m   -          the app did not answer any more",
    "two  web      web-00001  starting  0          -        -              5m   -          -",
  ]);
});
