import { assertEquals, assertStringIncludes } from "@std/assert";
import { shownTarget } from "../../src/cli/apply.ts";
import { Client } from "../../src/cli/client.ts";
import type { ApplyTarget } from "../../src/control/manifest/apply.ts";
import { parseService } from "../../src/control/schema/schema.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { type Answer, ANSWERS, apiTest, events, FakeApi, problem, WEB } from "./fake_api.ts";
import { withAnswer } from "./run_main.ts";

const FILE =
  "services:\n  web:\n    image: web:v3\n  shop:\n    image: shop\n    domains: [shop.example]\n    traffic: 50\n";

const NOTHING = {
  changed: [],
  settings: [],
  revisionHistory: {},
  declaredBy: {},
  pull: false,
  traffic: { before: [], after: [] },
  domains: { before: [], after: [] },
};

/** A test with a file of services, and an admin API with these answers. */
function applyTest(
  name: string,
  answers: Record<string, Answer>,
  fn: (api: FakeApi, file: string) => Promise<void>,
  text = FILE,
): void {
  if (noWrite) return;
  apiTest(name, { ...ANSWERS, ...answers }, async (api) => {
    const folder = await Deno.makeTempDir({ prefix: "apply-" });
    try {
      const file = `${folder}/services.yaml`;
      await Deno.writeTextFile(file, text);
      await fn(api, file);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** The answers of an API that has the service web, but not shop. */
const PLANS: Record<string, Answer> = {
  "PUT /v1/services/web": ({ line }) =>
    line.includes("dryRun=true") ? { ...NOTHING, change: "update", changed: ["image"] } : { ...WEB, etag: "5" },
  "PUT /v1/services/shop": ({ line }) =>
    line.includes("dryRun=true") ? { ...NOTHING, change: "create" } : { ...WEB, name: "shop" },
};

applyTest(
  "apply previews every service before it changes one, and reports what it did to each",
  PLANS,
  async (api, file) => {
    assertEquals(await api.run("apply", "-f", file), {
      code: 0,
      out: "~ web   image web:v2 → web:v3\n+ shop  create\n1 made, 1 changed, 0 unchanged",
      err: "",
    });
    const by = `declaredBy=${encodeURIComponent(file)}`;
    assertEquals(api.changes, [
      `PUT /v1/services/web?dryRun=true&${by}`,
      `PUT /v1/services/shop?dryRun=true&${by}`,
      `PUT /v1/services/web?${by}`,
      `PUT /v1/services/shop?${by}`,
    ]);
    assertEquals(api.sent(`PUT /v1/services/shop?${by}`), {
      image: "shop",
      pullPolicy: "missing",
      port: 8080,
      env: {},
      secretEnv: {},
      command: [],
      volumes: [],
      concurrency: 0,
      minInstances: 0,
      maxInstances: 1,
      readiness: { path: "/" },
      domains: ["shop.example"],
      traffic: 50,
    });
  },
);

applyTest("a service that is as declared is left alone", {
  ...PLANS,
  "PUT /v1/services/web": ({ line }) => line.includes("dryRun=true") ? { ...NOTHING, change: "none" } : WEB,
}, async (api, file) => {
  const { out } = await api.run("apply", "--file", file, "--no-wait");
  assertEquals(out, "= web\n+ shop  create\n1 made, 0 changed, 1 unchanged");
  assertStringIncludes(api.changes.at(-1)!, "?wait=false&declaredBy=");
});

applyTest("a dry run prints the difference and changes nothing", PLANS, async (api, file) => {
  api.answers["GET /v1/services"] = [WEB, { ...WEB, name: "old", declaredBy: file }, { ...WEB, name: "mine" }];
  const run = await api.run("apply", "-f", file, "--dry-run", "--prune");
  assertEquals(run, {
    code: 0,
    out:
      "~ web   image web:v2 → web:v3\n+ shop  create\n- old   delete\n1 to make, 1 to change, 0 unchanged, 1 to delete",
    err: "",
  });
  assertEquals(api.changes.every((line) => line.includes("dryRun=true")), true);
});

applyTest("a dry run shows values before and after, and of variables only names", {
  ...PLANS,
  "PUT /v1/services/web": { ...NOTHING, change: "update", changed: ["env", "memory", "secretEnv", "volumes"] },
}, async (api, file) => {
  const { out } = await api.run("apply", "-f", file, "--dry-run");
  const env = "env ~MODE +NEW -KEY, memory 256m → 64m, secretEnv -TOKEN, volumes";
  assertEquals(out, `~ web  ${env}\n0 to make, 1 to change, 0 unchanged`);
}, "services: { web: { image: 'web:v2', memory: 64m, env: { MODE: slow, NEW: x } } }\n");

applyTest("--prune deletes the services that the file does not declare any more, and no others", {
  ...PLANS,
  "DELETE /v1/services/old": new Response(null, { status: 204 }),
}, async (api, file) => {
  api.answers["GET /v1/services"] = [
    { ...WEB, declaredBy: file },
    { ...WEB, name: "old", declaredBy: file },
    { ...WEB, name: "mine" },
    { ...WEB, name: "other", declaredBy: "/other.yaml" },
  ];
  assertStringIncludes((await api.run("apply", "-f", file, "--prune", "--yes")).out, "- old   delete\n");
  assertEquals(api.changes.filter((line) => line.startsWith("DELETE")), ["DELETE /v1/services/old"]);
});

applyTest("--prune asks before anything changes, and without a terminal it needs --yes", {
  ...PLANS,
  "DELETE /v1/services/old": new Response(null, { status: 204 }),
}, async (api, file) => {
  const prune = (answer: string | undefined, ...flags: string[]) =>
    withAnswer(answer, () => api.run("apply", "-f", file, "--prune", "-q", ...flags));
  assertEquals((await prune(undefined)).code, 0, "nothing is to be deleted");
  api.answers["GET /v1/services"] = [{ ...WEB, name: "old", declaredBy: file }];
  api.asked.length = 0;
  assertEquals(await prune(undefined), {
    code: 2,
    out: "",
    err: "- old\ncless: there is no terminal to ask on; give --yes to delete without asking",
  });
  assertEquals(await prune("n\n"), { code: 1, out: "", err: "- old\ncless: nothing is changed" });
  assertEquals(await prune(undefined, "--dry-run"), { code: 0, out: "", err: "" });
  assertEquals(api.changes.filter((line) => !line.includes("dryRun=true")), []);
  const changes = () => api.changes.filter((line) => line.startsWith("DELETE")).length;
  assertEquals([await prune("y\n"), changes()], [{ code: 0, out: "", err: "- old" }, 1]);
  assertEquals([await prune(undefined, "-y"), changes()], [{ code: 0, out: "", err: "" }, 2]);
});

applyTest("if one service cannot be as declared, nothing changes", {
  ...PLANS,
  "PUT /v1/services/shop": problem(409, "shop.example belongs to the service web"),
}, async (api, file) => {
  assertEquals(await api.run("apply", "-f", file), {
    code: 1,
    out: "",
    err: `cless: ${file}:4:3: services.shop: shop.example belongs to the service web`,
  });
  assertEquals(api.changes.every((line) => line.includes("dryRun=true")), true);
});

applyTest("a service that does not start is reported with its output, and the others are applied", {
  ...PLANS,
  "PUT /v1/services/web": ({ line }) =>
    line.includes("dryRun=true")
      ? { ...NOTHING, change: "update", changed: ["image"] }
      : problem(422, "the revision web-00003 did not become ready", { output: ["no such file"] }),
}, async (api, file) => {
  assertEquals(await api.run("apply", "-f", file), {
    code: 1,
    out: "+ shop  create\n1 made, 0 changed, 0 unchanged, 1 failed",
    err: "! web: the revision web-00003 did not become ready\n    no such file",
  });
  const { code, out } = await api.run("apply", "-f", file, "--json");
  assertEquals(code, 1);
  assertEquals(JSON.parse(out).map(({ name, change, error }: Record<string, unknown>) => [name, change, error]), [
    ["web", "update", "the revision web-00003 did not become ready"],
    ["shop", "create", undefined],
  ]);
});

applyTest("a wrong file is reported with line and column, and nothing is sent", {}, async (api, file) => {
  assertEquals(await api.run("apply", "-f", file), {
    code: 1,
    out: "",
    err: `cless: ${file}:3:5: services.web.prot: unknown field; did you mean \`port\`?`,
  });
  assertEquals(
    (await api.run("apply", "-f", `${file}.old`)).err,
    `cless: cannot read ${file}.old: No such file or directory`,
  );
  assertEquals(api.asked, []);
}, "services:\n  web:\n    prot: 80\n    image: web\n");

applyTest("each mistake in a file is a line of its own", {}, async (api, file) => {
  assertEquals(await api.run("apply", "-f", file), {
    code: 1,
    out: "",
    err: [
      `cless: ${file}:3:5: services.web.prot: unknown field; did you mean \`port\`?`,
      `cless: ${file}:6:11: services.shop.port: must be a whole number from 1 to 65535`,
    ].join("\n"),
  });
  assertEquals(api.asked, []);
}, "services:\n  web:\n    prot: 80\n    image: web\n  shop:\n    port: 0\n    image: shop\n");

applyTest("each field that the server refuses is a line of its own", {
  "PUT /v1/services/web": problem(400, "domains.0: leads to cless itself", {
    code: "invalid",
    errors: [
      { field: "domains.0", reason: "leads to cless itself" },
      { field: "volumes.0.source", reason: "is not allowed" },
    ],
  }),
}, async (api, file) => {
  assertEquals((await api.run("apply", "-f", file)).err.split("\n"), [
    `cless: ${file}:2:3: services.web: domains.0: leads to cless itself`,
    `cless: ${file}:2:3: services.web: volumes.0.source: is not allowed`,
  ]);
});

apiTest("apply needs a file, and --prune one that is no stream", {}, async (api) => {
  assertEquals(await api.run("apply"), { code: 2, out: "", err: "cless: apply needs a file: cless apply -f FILE" });
  for (const pipe of ["-", "/dev/fd/63"]) {
    const { code, err } = await api.run("apply", "-f", pipe, "--prune");
    assertEquals([code, err], [2, "cless: --prune needs a file, not a stream"]);
  }
});

Deno.test({
  name: "apply reads standard input, which counts as no file that declares services",
  ignore: noNet || noRun,
  fn: async () => {
    const plan = { change: "none", changed: [], pull: false, traffic: { before: [], after: [] } };
    await using api = new FakeApi({
      ...ANSWERS,
      "PUT /v1/services/web": WEB,
      "PUT /v1/services/web?dryRun=true": { ...plan, domains: { before: [], after: [] } },
    });
    const input = "services: { web: { image: web } }";
    const { code, out } = await api.runWith(input, "apply", "-f", "-");
    assertEquals([code, out], [0, "= web\n0 made, 0 changed, 1 unchanged\n"]);
    assertEquals(api.changes, ["PUT /v1/services/web?dryRun=true", "PUT /v1/services/web"]);
    await api.runWith(input, "apply", "-f", "/dev/stdin");
    assertEquals(api.asked.filter(({ line }) => line.includes("declaredBy")), [], "a pipe is no file either");
    const wrong = await api.runWith("web: {}", "apply", "-f", "-");
    assertStringIncludes(wrong.err, "cless: (input):1:1: web: unknown field");
  },
});

apiTest("apply shows what it waits for, and removes that afterwards", {
  "GET /v1/events?service=web": events(
    ["revision.pulling", { image: "web:v3", done: 2, total: 7 }],
    ["revision.starting", { revision: "web-00003" }],
  ),
}, async (api) => {
  const shown: string[] = [];
  const started = Promise.withResolvers<void>();
  const screen = {
    isTerminal: true,
    wait: (text: string) => void shown.push(text),
    line: (text: string) => void shown.push(`stays: ${text}`),
    live: (text: string) => {
      shown.push(text);
      if (text === "web: starting web-00003") started.resolve();
    },
    clear: () => void shown.push(""),
  };
  const slow: ApplyTarget = {
    list: () => Promise.resolve([]),
    preview: () => Promise.reject(new Error("not asked for")),
    deploy: async () => {
      await started.promise;
      return { change: "update" };
    },
    remove: () => Promise.resolve(),
  };
  using client = new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
  const target = shownTarget(slow, client, screen);
  assertEquals(await target.deploy("web", parseService("web", { image: "web:v3" }), undefined), { change: "update" });
  const lines = ["web: deploying…", "web: pulling web:v3", "web: 2 of 7 layers", "web: starting web-00003"];
  assertEquals([...new Set(shown)].filter((text) => text !== "").sort(), lines.sort());
  assertEquals(shown.at(-1), "");
  await target.remove("web");
  assertEquals(shown.slice(-2), ["web: waiting until its containers are gone…", ""]);
});
