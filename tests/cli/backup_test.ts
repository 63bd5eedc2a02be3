import { assertEquals, assertStringIncludes } from "@std/assert";
import { noWrite } from "../support/permissions.ts";
import { apiTest, FakeApi, problem } from "./fake_api.ts";

/** A test with a folder for backups, and an admin API with these files. */
function backupTest(name: string, files: unknown, fn: (api: FakeApi, folder: string) => Promise<void>): void {
  if (noWrite) return;
  apiTest(name, { "GET /v1/backup": { files } }, async (api) => {
    const folder = await Deno.makeTempDir({ prefix: "backup-" });
    await fn(api, folder).finally(() => Deno.remove(folder, { recursive: true }));
  });
}

const FILES = [{ name: "cless.sqlite", base64: btoa("data") }, { name: "secret-key", base64: btoa("key") }];

backupTest("a backup consists of files that only their owner can read", FILES, async (api, folder) => {
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

backupTest("a backup goes into a new or empty folder, and into no other", FILES, async (api, folder) => {
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
    assertEquals([code, err], [
      1,
      `cless: cannot write the backup ${folder}/monday: "../out" is not a valid name of a file`,
    ]);
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
