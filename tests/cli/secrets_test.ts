import { assertEquals } from "@std/assert";
import { noNet, noRun } from "../support/permissions.ts";
import { ago, apiTest, FakeApi } from "./fake_api.ts";

apiTest("secrets are listed by name, and one can be deleted", {
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

Deno.test({
  name: "the value of a secret comes from standard input, byte by byte",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({ "PUT /v1/secrets/key": { name: "key", version: 1 } });
    const run = await api.runWith("two\nlines\n", "secret", "set", "key");
    assertEquals(run, { code: 0, out: "key is set (new)\n", err: "" });
    assertEquals([api.asked[0]!.text, api.asked[0]!.headers.get("content-type")], [
      "two\nlines\n",
      "application/octet-stream",
    ]);
    const empty = await api.runWith("", "secret", "set", "key");
    assertEquals(empty, { code: 2, out: "", err: "cless: the value is empty: cless secret set key < FILE\n" });
  },
});
