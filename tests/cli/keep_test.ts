import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseManifest } from "../../src/control/manifest/manifest.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { ago, ANSWERS, apiTest, FakeApi, problem, TEMPLATE, WEB } from "./fake_api.ts";
import { programArgs, runMain } from "./run_main.ts";

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

const HISTORY = [
  {
    at: ago("3m"),
    action: "deploy",
    by: "ci",
    before: {
      latestRevision: "web-00001",
      traffic: [{ revision: "latest", percent: 100 }],
      domains: [],
      revisionHistory: 20,
    },
    after: {
      latestRevision: "web-00002",
      traffic: [{ revision: "latest", percent: 100 }],
      domains: ["a.example"],
      revisionHistory: 20,
      changed: ["env", "image"],
    },
  },
  {
    at: ago("2h"),
    action: "traffic",
    by: "admin",
    before: { latestRevision: "web-00001", traffic: [{ revision: "latest", percent: 100 }] },
    after: { latestRevision: "web-00001", traffic: [{ revision: "web-00001", percent: 100, tag: "old" }] },
  },
  {
    at: ago("5h"),
    action: "deploy",
    by: "config",
    before: { latestRevision: "web-00001", revisionHistory: 20 },
    after: { latestRevision: "web-00001", revisionHistory: 5, declaredBy: "/srv/a.yaml", changed: [] },
  },
  { at: ago("3d"), action: "deploy", by: "admin", after: { latestRevision: "web-00001" } },
  { at: ago("4d"), action: "delete", by: "admin", before: { latestRevision: "web-00007" }, after: null },
];

apiTest("history is a table of what was before and after, or JSON", {
  "GET /v1/services/web/history": HISTORY,
}, async (api) => {
  assertEquals((await api.run("history", "web")).out.split("\n"), [
    "WHEN    BY      ACTION   WHAT",
    "3m ago  ci      deploy   web-00001 → web-00002 (env, image); domains - → a.example",
    "2h ago  admin   traffic  traffic latest 100% → web-00001 100% (old)",
    "5h ago  config  deploy   keeps 20 → 5 old revisions; declared by no file → /srv/a.yaml",
    "3d ago  admin   deploy   - → web-00001",
    "4d ago  admin   delete   web-00007 → -",
  ]);
  assertEquals(api.asked[0]!.line, "GET /v1/services/web/history?limit=50");
  assertEquals(JSON.parse((await api.run("history", "web", "-n", "3", "--json")).out), HISTORY);
  assertEquals(api.asked[1]!.line, "GET /v1/services/web/history?limit=3");
});

apiTest("secrets are names, and one can be deleted", {
  "GET /v1/secrets": [{ name: "web.token", version: 2, createdAt: ago("3m") }],
  "DELETE /v1/secrets/web.token": new Response(null, { status: 204 }),
}, async (api) => {
  assertEquals((await api.run("secrets")).out, "NAME       VERSION  SET\nweb.token  2        3m ago");
  assertEquals((await api.run("secrets", "-q")).out, "web.token");
  assertEquals((await api.run("secret", "delete", "web.token")).out, "web.token is deleted");
  const { code, err } = await api.run("secret", "st", "x");
  assertEquals([code, err], [2, 'cless: secret cannot "st"; it can set, delete: see cless secret --help']);
  assertEquals((await api.run("secret", "set")).err, "cless: secret needs NAME: cless secret set|delete NAME");
});

/** Runs a verb as a process of its own that gets an input. */
async function runWith(input: Uint8Array, api: FakeApi, ...args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArgs(...args, "--server", api.url, "--token", "secret"),
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test({
  name: "the value of a secret comes from the input, byte by byte",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({ "PUT /v1/secrets/key": { name: "key", version: 1 } });
    const run = await runWith(new TextEncoder().encode("two\nlines\n"), api, "secret", "set", "key");
    assertEquals(run, { code: 0, out: "key is set (new)\n", err: "" });
    assertEquals([api.asked[0]!.text, api.asked[0]!.headers.get("content-type")], [
      "two\nlines\n",
      "application/octet-stream",
    ]);
    const empty = await runWith(new Uint8Array(), api, "secret", "set", "key");
    assertEquals(empty, { code: 2, out: "", err: "cless: the value is empty: cless secret set key < FILE\n" });
  },
});

Deno.test({
  name: "apply reads what comes on the input, which is no file that declares",
  ignore: noNet || noRun,
  fn: async () => {
    const plan = { change: "none", changed: [], pull: false, traffic: { before: [], after: [] } };
    await using api = new FakeApi({
      ...ANSWERS,
      "PUT /v1/services/web": WEB,
      "PUT /v1/services/web?dryRun=true": { ...plan, domains: { before: [], after: [] } },
    });
    const input = new TextEncoder().encode("services: { web: { image: web } }");
    const { code, out } = await runWith(input, api, "apply", "-f", "-");
    assertEquals([code, out], [0, "= web\n0 made, 0 changed, 1 unchanged\n"]);
    assertEquals(api.changes, ["PUT /v1/services/web?dryRun=true", "PUT /v1/services/web"]);
    await runWith(input, api, "apply", "-f", "/dev/stdin");
    assertEquals(api.asked.filter(({ line }) => line.includes("declaredBy")), [], "a pipe is no file either");
    const wrong = await runWith(new TextEncoder().encode("web: {}"), api, "apply", "-f", "-");
    assertStringIncludes(wrong.err, "cless: (input):1:1: web: unknown field");
  },
});

apiTest("tokens are listed without what they are", {
  "GET /v1/tokens": [
    { name: "ci", scope: "deploy", createdAt: ago("3d"), expiresAt: new Date(Date.now() + 90_000_000).toISOString() },
    { name: "old", scope: "read", createdAt: ago("9d"), expiresAt: ago("2h") },
    { name: "eye", scope: "read", createdAt: ago("3d") },
  ],
}, async (api) => {
  assertEquals((await api.run("token")).out.split("\n"), [
    "NAME  SCOPE   MADE    EXPIRES",
    "ci    deploy  3d ago  in 1d",
    "old   read    9d ago  2h ago",
    "eye   read    3d ago  never",
  ]);
  assertEquals((await api.run("token", "-q")).out, "ci\nold\neye");
});

apiTest("a token is made, shown once, and revoked", {
  "POST /v1/tokens": { name: "ci", scope: "deploy", token: "cless_new" },
  "DELETE /v1/tokens/ci": new Response(null, { status: 204 }),
}, async (api) => {
  assertEquals(await api.run("token", "create", "ci", "--scope", "deploy", "--expires", "90d"), {
    code: 0,
    out: "cless_new",
    err: "the token ci, shown this once:",
  });
  assertEquals(api.sent("POST /v1/tokens"), { name: "ci", scope: "deploy", expiresIn: "90d" });
  assertEquals(await api.run("token", "create", "ci", "--scope", "deploy", "-q"), {
    code: 0,
    out: "cless_new",
    err: "",
  });
  assertEquals((await api.run("token", "revoke", "ci")).out, "ci is revoked");
  const cases: [args: string[], message: string][] = [
    [["create"], "token create needs NAME: cless token create NAME --scope SCOPE"],
    [["create", "ci"], "token create needs --scope read, --scope deploy or --scope admin"],
    [["create", "ci", "--scope", "read", "--expires", "0"], '--expires: "0" is not allowed: expected a length of time'],
    [["revoke"], "token revoke needs NAME: cless token revoke NAME"],
    [["rotate", "ci"], "token rotate takes no name"],
    [["rotat"], 'token cannot "rotat"; it can '],
    [["--scope", "read"], "--scope goes with token create alone"],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await api.run("token", ...args);
    assertEquals(code, 2);
    assertStringIncludes(err, `cless: ${message}`);
  }
});

Deno.test({
  name: "rotating says where the new token is, and does not show it",
  ignore: noNet || noWrite,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "token-" });
    const file = `${folder}/admin-token`;
    await using api = new FakeApi({
      "POST /v1/tokens/rotate": () => {
        Deno.writeTextFileSync(file, "new\n");
        return { token: "new" };
      },
    });
    try {
      await Deno.writeTextFile(file, "secret\n");
      const { out } = await runMain("token", "rotate", "--server", api.url, "--data-dir", folder);
      assertEquals(out, `the owner's token is a new one; it is in ${file}`);
      const given = await api.run("token", "rotate");
      assertEquals(given.out, "the owner's token is a new one; it is in admin-token in the data-dir of serve");
      assertEquals(JSON.parse((await api.run("token", "rotate", "--json")).out), { token: "new" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Runs a test with a folder for backups. */
function backupTest(name: string, files: unknown, fn: (api: FakeApi, folder: string) => Promise<void>): void {
  if (noWrite) return;
  apiTest(name, { "GET /v1/backup": { files } }, async (api) => {
    const folder = await Deno.makeTempDir({ prefix: "backup-" });
    await fn(api, folder).finally(() => Deno.remove(folder, { recursive: true }));
  });
}

const FILES = [{ name: "cless.sqlite", base64: btoa("data") }, { name: "secret-key", base64: btoa("key") }];

backupTest("a backup is files that only their owner can read", FILES, async (api, folder) => {
  const target = `${folder}/new/monday`;
  assertEquals((await api.run("backup", target)).out.split("\n"), [
    `${target}/cless.sqlite  4 bytes`,
    `${target}/secret-key  3 bytes`,
  ]);
  assertEquals(await Deno.readTextFile(`${target}/secret-key`), "key");
  const modes = [target, `${target}/cless.sqlite`].map((path) => Deno.statSync(path).mode! & 0o777);
  assertEquals(modes, [0o700, 0o600]);
  assertEquals([...Deno.readDirSync(`${folder}/new`)].map(({ name }) => name), ["monday"]);
});

backupTest("a backup takes an empty folder, and none with something in it", FILES, async (api, folder) => {
  await Deno.mkdir(`${folder}/empty`);
  assertEquals((await api.run("backup", `${folder}/empty`, "-q")).code, 0);
  const { code, err } = await api.run("backup", `${folder}/empty`);
  assertEquals([code, err], [1, `cless: ${folder}/empty is not empty; name another folder`]);
  assertEquals(api.asked.length, 1);
});

backupTest(
  "a backup that fails leaves nothing behind",
  [...FILES, { name: "../out", base64: "" }],
  async (api, folder) => {
    const { code, err } = await api.run("backup", `${folder}/monday`);
    assertEquals([code, err], [1, `cless: cannot write the backup ${folder}/monday: "../out" is no name of a file`]);
    api.answers["GET /v1/backup"] = problem(503, "the store cannot be used");
    assertEquals((await api.run("backup", `${folder}/monday`)).code, 1);
    assertEquals([...Deno.readDirSync(folder)], []);
    await Deno.writeTextFile(`${folder}/file`, "");
    assertStringIncludes(
      (await api.run("backup", `${folder}/file`)).err,
      `cannot write the backup ${folder}/file: Not a dir`,
    );
  },
);
