import { assertEquals } from "@std/assert";
import { parseManifest } from "../../src/control/manifest/manifest.ts";
import { ANSWERS, apiTest, TEMPLATE, WEB } from "./fake_api.ts";

apiTest("export prints what apply takes, without what is there by convention", {
  ...ANSWERS,
  "GET /v1/services": [WEB, { ...WEB, name: "golang", convention: true }],
}, async (api) => {
  const { code, out } = await api.run("export");
  assertEquals(code, 0);
  const manifest = parseManifest(out, "out");
  assertEquals([...manifest.keys()], ["web"]);
  const { template, service, targets } = manifest.get("web")!;
  assertEquals([template.image, template.env, template.secretEnv], ["web:v2", TEMPLATE.env, TEMPLATE.secretEnv]);
  assertEquals(service, { domains: ["www.example.org"], revisionHistory: 20 });
  assertEquals(targets, WEB.traffic);
  assertEquals((await api.run("export", "web", "web")).out, out);
  const elsewhere = (await api.run("export", "--no-traffic")).out;
  const { targets: none, ...rest } = parseManifest(elsewhere, "out").get("web")!;
  assertEquals([none, rest], [undefined, { template, service }]);
  assertEquals((await api.run("export", "nosuch")).code, 1);
});

apiTest("export prints how a service wakes, where that is not as with all others", {
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
    err: "cless: this token may not read the variables of web; export needs one of scope deploy",
  });
});
