import { assertEquals, assertStringIncludes } from "@std/assert";
import { noWrite } from "../support/permissions.ts";
import { type Answer, ANSWERS, apiTest, FakeApi, problem, WEB } from "./fake_api.ts";

const FILE =
  "services:\n  web:\n    image: web:v3\n  shop:\n    image: shop\n    domains: [shop.example]\n    traffic: 50\n";
const NOTHING = {
  changed: [],
  revisionHistory: {},
  declaredBy: {},
  pull: false,
  traffic: { before: [], after: [] },
  domains: { before: [], after: [] },
};

/** Runs a test with a file of services, and an admin API that answers so. */
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

/** Answers of an API that has web, and not shop. */
const PLANS: Record<string, Answer> = {
  "PUT /v1/services/web": ({ line }) =>
    line.includes("dryRun=true") ? { ...NOTHING, change: "update", changed: ["image"] } : { ...WEB, etag: "5" },
  "PUT /v1/services/shop": ({ line }) =>
    line.includes("dryRun=true") ? { ...NOTHING, change: "create" } : { ...WEB, name: "shop" },
};

applyTest(
  "apply looks at all services before it changes one, and says what has become of each",
  PLANS,
  async (api, file) => {
    assertEquals(await api.run("apply", "-f", file), {
      code: 0,
      out: "~ web   image\n+ shop  create\n1 made, 1 changed, 0 unchanged",
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

applyTest("a service that is as declared is left as it is", {
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
    out: "~ web   image\n+ shop  create\n- old   delete\n1 to make, 1 to change, 0 unchanged, 1 to delete",
    err: "",
  });
  assertEquals(api.changes.every((line) => line.includes("dryRun=true")), true);
});

applyTest("what the file does not declare any more goes, and nothing else", {
  ...PLANS,
  "DELETE /v1/services/old": new Response(null, { status: 204 }),
}, async (api, file) => {
  api.answers["GET /v1/services"] = [
    { ...WEB, declaredBy: file },
    { ...WEB, name: "old", declaredBy: file },
    { ...WEB, name: "mine" },
    { ...WEB, name: "other", declaredBy: "/other.yaml" },
  ];
  assertStringIncludes((await api.run("apply", "-f", file, "--prune")).out, "- old   delete\n");
  assertEquals(api.changes.filter((line) => line.startsWith("DELETE")), ["DELETE /v1/services/old"]);
});

applyTest("a service that cannot be as declared changes nothing", {
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

applyTest("a service that does not start fails alone, with its output", {
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

applyTest("a file that is wrong sends nothing, and names file, line and column", {}, async (api, file) => {
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

apiTest("apply needs a file, and one to prune by", {}, async (api) => {
  assertEquals(await api.run("apply"), { code: 2, out: "", err: "cless: apply needs a file: cless apply -f FILE" });
  for (const pipe of ["-", "/dev/fd/63"]) {
    const { code, err } = await api.run("apply", "-f", pipe, "--prune");
    assertEquals([code, err], [2, "cless: --prune needs a file, which tells what was declared by it"]);
  }
});
