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
