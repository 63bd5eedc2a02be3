import { assert, assertEquals, assertThrows } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, creationOf, fileIn, folderTest, modeOf, namesIn, noStore, revisionOf } from "./kit.ts";
import { damaged, refusal } from "./refusals.ts";
import { loaded } from "../support/loaded.ts";

folderTest("a backup has the state at its time, and can replace the store", async (folder) => {
  Deno.mkdirSync(`${folder}/restored`);
  const creation = creationOf("golang", { domains: ["example.org"] });
  {
    using store = SqliteStore.open(folder);
    await store.change(creation);
    await store.addSecret({ name: "key", version: 1, createdAt: 1, sealed: Uint8Array.of(1) });
    store.backup(fileIn(`${folder}/restored`));
    await store.change(changeAfter(creation)); // not in the backup
    assertEquals(namesIn(`${folder}/restored`), ["cless.sqlite"]);
    assertEquals(modeOf(fileIn(`${folder}/restored`)), "600");
  }
  using restored = SqliteStore.open(`${folder}/restored`);
  assertEquals(loaded(restored), { services: [creation.service], revisions: [creation.addRevision!] });
  assertEquals(restored.history("golang", 9), [creation.history]);
  assertEquals(restored.secretVersions().length, 1);
  restored.change(changeAfter(creation));
});

folderTest("a backup never replaces a file", (folder) => {
  using store = SqliteStore.open(folder);
  Deno.writeTextFileSync(`${folder}/there`, "mine");
  const refusal = assertThrows(() => store.backup(`${folder}/there`), OperatorError);
  assertEquals(refusal.message, `${folder}/there is there already; name another file`);
  assertEquals(Deno.readTextFileSync(`${folder}/there`), "mine");
  assertThrows(() => store.backup(fileIn(folder)), OperatorError, "is there already");
  assertThrows(() => store.backup(folder), OperatorError, "is there already");
});

folderTest("a backup to a path that cannot be written is refused, and the store still works", async (folder) => {
  using store = SqliteStore.open(folder);
  const path = `${folder}/none/backup`;
  const refusal = assertThrows(() => store.backup(path), OperatorError);
  assertEquals(refusal.message.split(";")[0], `cannot open or write ${path}`);
  await store.change(creationOf("golang"));
});

folderTest("the leftovers of a killed backup are not in the way", (folder) => {
  using store = SqliteStore.open(folder);
  Deno.writeTextFileSync(`${folder}/backup.new`, "half");
  store.backup(`${folder}/backup`);
  assertEquals(namesIn(folder).filter((name) => name.startsWith("backup")), ["backup"]);
});

folderTest(
  "a backup of a database with one damaged page is refused, whichever it is, and no file gets its name",
  async (folder) => {
    const connection = Connection.open(fileIn(folder), 20);
    migrate(connection);
    using store = new SqliteStore(connection);
    let last = creationOf("golang");
    await store.change(last);
    for (let number = 2; number < 20; number++) {
      last = changeAfter(last, { lastNumber: number });
      await store.change({ ...last, addRevision: revisionOf("golang", number, { env: { FILLER: "x".repeat(9000) } }) });
    }
    connection.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    const good = Deno.readFileSync(fileIn(folder));
    const pages = good.length / 4096;
    assert(pages > 40, `${pages} pages`);
    Deno.mkdirSync(`${folder}/copies`);
    Deno.writeTextFileSync(`${folder}/copies/earlier`, "an earlier copy");
    for (let page = 0; page < pages; page++) {
      overwrite(fileIn(folder), page * 4096, new Uint8Array(4096).fill(0x55));
      connection.db.exec("PRAGMA shrink_memory"); // SQLite may have the page in memory
      assertEquals(await refusal(() => store.backup(`${folder}/copies/new`)), damaged(fileIn(folder)), `page ${page}`);
      const replace = () => connection.copyTo(`${folder}/copies/earlier`, "replace");
      assertEquals(await refusal(replace), damaged(fileIn(folder)), `page ${page}`);
      assertEquals(namesIn(`${folder}/copies`), ["earlier"], `page ${page}`);
      assertEquals(Deno.readTextFileSync(`${folder}/copies/earlier`), "an earlier copy", `page ${page}`);
      overwrite(fileIn(folder), page * 4096, good.subarray(page * 4096, (page + 1) * 4096));
    }
    connection.db.exec("PRAGMA shrink_memory");
    store.backup(fileIn(`${folder}/copies`));
    using copy = SqliteStore.open(`${folder}/copies`);
    assertEquals(loaded(copy), loaded(store));
  },
);

/** Overwrites a part of a file as a failing disk could. */
function overwrite(path: string, at: number, bytes: Uint8Array): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(bytes);
}

Deno.test({
  name: "a backup needs only the permissions to read and write",
  ignore: noStore,
  // The platform lets only a process with every permission attach a file to a database.
  permissions: { read: true, write: true },
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "sqlite-" });
    try {
      using store = SqliteStore.open(folder);
      await store.change(creationOf("golang"));
      store.backup(`${folder}/backup`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
