import { assertEquals } from "@std/assert";
import { ANSWERS, apiTest, FAILING } from "./fake_api.ts";

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
