import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseManifest } from "../../src/control/manifest/manifest.ts";
import { noNet, noRun } from "../support/permissions.ts";
import { adminServer } from "./admin_server.ts";
import { ANSWERS, apiTest, TEMPLATE, WEB } from "./fake_api.ts";

apiTest("export prints what apply takes, without services that nobody has declared", {
  ...ANSWERS,
  "GET /v1/services": [WEB, { ...WEB, name: "golang", convention: true }],
}, async (api) => {
  const { code, out } = await api.run("export", "--traffic");
  assertEquals(code, 0);
  const manifest = parseManifest(out, "out");
  assertEquals([...manifest.keys()], ["web"]);
  const { template, service, targets } = manifest.get("web")!;
  assertEquals([template.image, template.env, template.secretEnv], ["web:v2", TEMPLATE.env, TEMPLATE.secretEnv]);
  assertEquals(service, { domains: ["www.example.org"], revisionHistory: 20 });
  assertEquals(targets, WEB.traffic);
  assertEquals((await api.run("export", "web", "web", "--traffic")).out, out);
  assertEquals((await api.run("export", "nosuch")).code, 1);
});

apiTest("export leaves out a split that another machine cannot have, and says so unless it was told to", {
  ...ANSWERS,
}, async (api) => {
  const exported = async (...flags: string[]) => {
    const { out, err } = await api.run("export", "web", ...flags);
    const { targets, tag } = parseManifest(out, "out").get("web")!;
    return { targets, tag, err };
  };
  const err =
    "warning: the split of web is left out: another machine has only the latest revision; --traffic writes it";
  assertEquals(await exported(), { targets: undefined, tag: undefined, err });
  assertEquals(await exported("--no-traffic"), { targets: undefined, tag: undefined, err: "" });
  const traffic = [{ revision: "web-00001", percent: 100 }, { revision: "web-00002", percent: 0, tag: "next" }];
  api.answers["GET /v1/services/web"] = { ...WEB, traffic };
  const risky = err.replace("left out", "left out, where web-00002 gets no requests");
  assertEquals(await exported(), { targets: undefined, tag: "next", err: risky });
  assertEquals(await exported("--no-traffic"), { targets: undefined, tag: undefined, err: "" });
  assertEquals(await exported("--traffic"), { targets: traffic, tag: undefined, err: "" });
  api.answers["GET /v1/services/web"] = { ...WEB, traffic: [{ revision: "latest", percent: 100, tag: "now" }] };
  assertEquals(await exported(), { targets: undefined, tag: "now", err: "" });
});

Deno.test({
  name: "what export prints can be applied on an empty machine, on its own machine without a change, and twice",
  ignore: noNet || noRun,
  fn: async () => {
    await using old = await adminServer();
    const deploy = (...args: string[]) => old.run("deploy", "web", "-q", "--no-wait", ...args);
    await deploy("--image", "web:1", "--tag", "old");
    await deploy("--image", "web:2", "--traffic", "30");
    await deploy("--image", "web:3", "--traffic", "10", "--tag", "next", "--domain", "a.example");
    await old.run("deploy", "shop", "-q", "--no-wait", "--image", "shop", "--tag", "now");
    const { out: file, err } = await old.run("export");
    assertEquals(err.split("\n").length, 1, err);
    await using empty = await adminServer();
    for (const [server, words] of [[old, "0 made, 0 changed, 2 unchanged"], [empty, "2 made, 0 changed"]] as const) {
      const { out, err, code } = await server.runWith(file, "apply", "-f", "-", "--no-wait");
      assertEquals([code, err], [0, ""], out);
      assertStringIncludes(out, words);
      const again = await server.runWith(file, "apply", "-f", "-", "--no-wait");
      assertStringIncludes(again.out, "0 made, 0 changed, 2 unchanged");
    }
    const [shop, web] = JSON.parse((await empty.run("services", "--json")).out);
    assertEquals([web.latestRevision, web.domains, web.traffic], [
      "web-00001",
      ["a.example"],
      [{ revision: "latest", percent: 100 }, { revision: "web-00001", percent: 0, tag: "next" }],
    ]);
    assertEquals(shop.traffic[1], { revision: "shop-00001", percent: 0, tag: "now" });
  },
});

apiTest("export writes exceptions from waking and the waiting page, unless they are the defaults", {
  ...ANSWERS,
  "GET /v1/services/web": {
    ...WEB,
    wake: { except: { userAgents: ["Bot"], paths: ["/up"] } },
    loading: "page",
  },
}, async (api) => {
  const { service } = parseManifest((await api.run("export", "web")).out, "out").get("web")!;
  assertEquals([service.wake, service.loading], [{ except: { userAgents: ["Bot"], paths: ["/up"] } }, "page"]);
  api.answers["GET /v1/services/web"] = { ...WEB, wake: { except: { userAgents: [], paths: [] } }, loading: "hold" };
  const { out } = await api.run("export", "web");
  assertEquals([out.includes("wake"), out.includes("loading")], [false, false]);
});

apiTest("export refuses to write masks in place of values", {
  ...ANSWERS,
  "GET /v1/services/web/revisions/web-00002": { template: { ...TEMPLATE, env: { A: "***", B: "***" } } },
}, async (api) => {
  assertEquals(await api.run("export"), {
    code: 1,
    out: "",
    err: "cless: this token may not read the variables and the command of web; export needs one of scope deploy",
  });
  const env = { A: "***", B: "not a mask" };
  api.answers["GET /v1/services/web/revisions/web-00002"] = { template: { ...TEMPLATE, env } };
  assertEquals(parseManifest((await api.run("export")).out, "out").get("web")!.template.env, env);
});
