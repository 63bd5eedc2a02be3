import { assertEquals } from "@std/assert";
import { ago, ANSWERS, apiTest } from "./fake_api.ts";

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
