import { assertEquals, assertStringIncludes } from "@std/assert";
import { noNet, noWrite } from "../support/permissions.ts";
import { ago, apiTest, FakeApi } from "./fake_api.ts";
import { runMain } from "./run_main.ts";

apiTest("tokens are listed without their texts", {
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

apiTest("the token that the verbs use is shown on demand, and no other one", {}, async (api) => {
  assertEquals(await api.run("token", "show"), { code: 0, out: "secret", err: "" });
  assertEquals(await api.run("token", "show", "ci"), {
    code: 2,
    out: "",
    err: "cless: token show takes no name: the texts of others are not stored",
  });
});

apiTest("a token is created, shown once, and revoked", {
  "POST /v1/tokens": { name: "ci", scope: "deploy", token: "cless_new" },
  "DELETE /v1/tokens/ci": new Response(null, { status: 204 }),
}, async (api) => {
  assertEquals(await api.run("token", "create", "ci", "--scope", "deploy", "--expires", "90d"), {
    code: 0,
    out: "cless_new",
    err: "the token ci, shown only once:",
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
    [["--scope", "read"], "--scope is only for token create"],
    [["revoke", "ci", "--expires", "1d"], "--expires is only for token create"],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await api.run("token", ...args);
    assertEquals(code, 2);
    assertStringIncludes(err, `cless: ${message}`);
  }
});

Deno.test({
  name: "rotate says where the new token is, and does not show it",
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
      assertEquals(out, `the owner's token is replaced; the new one is in ${file}`);
      const given = await api.run("token", "rotate");
      assertEquals(given.out, "the owner's token is replaced; the new one is in admin-token in the data-dir of serve");
      assertEquals(JSON.parse((await api.run("token", "rotate", "--json")).out), { token: "new" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
