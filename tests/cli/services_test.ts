import { assertEquals } from "@std/assert";
import { ANSWERS, apiTest, WEB } from "./fake_api.ts";

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
