import { assert, assertEquals, assertRejects } from "@std/assert";
import { backupFiles } from "../../src/control/backup.ts";
import { openDataDir } from "../../src/control/data_dir.ts";
import { Secrets } from "../../src/control/secrets/secrets.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { noRead, noWrite } from "../support/permissions.ts";
import { keyOf, valueOf } from "./secrets/secrets_kit.ts";

/** A test with two folders of its own. */
function foldersTest(name: string, fn: (folder: string, other: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "backup-" });
      try {
        await Deno.mkdir(`${folder}/one`);
        await Deno.mkdir(`${folder}/two`);
        await fn(`${folder}/one`, `${folder}/two`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

foldersTest(
  "what a backup has makes a data-dir of an empty folder, while the first is in use",
  async (folder, other) => {
    using dir = await openDataDir(folder);
    using store = SqliteStore.open(folder);
    const secrets = await Secrets.open(store, { folder });
    await secrets.set("key", "hunter2");
    const before = await namesIn(folder);
    const [files] = await Promise.all([backupFiles(store, folder), backupFiles(store, folder)]);
    assertEquals(files.map(({ name }) => name), ["cless.sqlite", "owner", "admin-token", "secret-key"]);
    assertEquals(await namesIn(folder), before);
    for (const { name, bytes } of files) await Deno.writeFile(`${other}/${name}`, bytes);
    using restored = await openDataDir(other);
    assertEquals([restored.owner, restored.token], [dir.owner, dir.token]);
    using copy = SqliteStore.open(other);
    assertEquals(await valueOf(await Secrets.open(copy, { folder: other }), "key"), "hunter2");
    await dir.rotateToken();
    const later = (await backupFiles(store, folder)).find(({ name }) => name === "admin-token")!;
    assertEquals(new TextDecoder().decode(later.bytes), `${dir.token}\n`);
  },
);

foldersTest(
  "without a file for the key there is none in the backup, and what a crash has left is in no way",
  async (folder) => {
    using _dir = await openDataDir(folder);
    using store = SqliteStore.open(folder);
    await Secrets.open(store, { folder, text: keyOf(1) });
    await Deno.writeTextFile(`${folder}/cless.sqlite.backup`, "half");
    const files = await backupFiles(store, folder);
    assertEquals(files.map(({ name }) => name), ["cless.sqlite", "owner", "admin-token"]);
    assert(files[0]!.bytes.length > 1000);
    assert(!(await namesIn(folder)).includes("cless.sqlite.backup"));
  },
);

foldersTest("a backup that cannot be whole is none", async (folder) => {
  using _dir = await openDataDir(folder);
  using store = SqliteStore.open(folder);
  await Deno.remove(`${folder}/owner`);
  const { message } = await assertRejects(() => backupFiles(store, folder), OperatorError);
  assertEquals(message, `cannot read ${folder}/owner: No such file or directory`);
  await Deno.mkdir(`${folder}/cless.sqlite.backup`);
  await Deno.mkdir(`${folder}/cless.sqlite.backup/inner`);
  await assertRejects(() => backupFiles(store, folder), OperatorError);
});
