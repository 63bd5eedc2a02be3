import { assertEquals, assertThrows } from "@std/assert";
import { Connection } from "../../src/sqlite/connection.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { creationOf, fileIn, folderTest, modeOf, namesIn } from "./kit.ts";

folderTest("nobody else can read the files at any moment, whatever the umask", async (folder) => {
  // The first file is made before SQLite opens it, and the others get its rights, so it is enough to look once.
  const before = Deno.umask(0);
  try {
    using store = SqliteStore.open(folder);
    const names = ["cless.sqlite", "cless.sqlite-shm", "cless.sqlite-wal"];
    assertEquals(namesIn(folder), names);
    for (const name of names) assertEquals(modeOf(`${folder}/${name}`), "600", name);
    await store.change(creationOf("golang"));
    for (const name of names) assertEquals(modeOf(`${folder}/${name}`), "600", name);
  } finally {
    Deno.umask(before);
  }
});

folderTest("others lose the right to read an existing file", (folder) => {
  SqliteStore.open(folder)[Symbol.dispose]();
  Deno.chmodSync(fileIn(folder), 0o644);
  using _store = SqliteStore.open(folder);
  for (const name of namesIn(folder)) assertEquals(modeOf(`${folder}/${name}`), "600", name);
});

folderTest("a closed store leaves one file", (folder) => {
  SqliteStore.open(folder)[Symbol.dispose]();
  assertEquals(namesIn(folder), ["cless.sqlite"]);
});

folderTest("commits are synced, foreign keys are enforced, and pages are checked for damage", (folder) => {
  using connection = Connection.open(fileIn(folder), 123);
  const settings = { journal_mode: "wal", synchronous: 2, foreign_keys: 1, busy_timeout: 123, cell_size_check: 1 };
  for (const [name, value] of Object.entries(settings)) {
    assertEquals(Object.values(connection.db.prepare(`PRAGMA ${name}`).get()!), [value], name);
  }
});

folderTest("a change that throws is rolled back completely, and the next one works", (folder) => {
  using connection = Connection.open(fileIn(folder), 0);
  const { db } = connection;
  connection.write(() => db.exec("CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT"));
  const rows = () => connection.read(() => db.prepare("SELECT x FROM t").all().map(({ x }) => x));
  assertThrows(
    () =>
      connection.write(() => {
        db.exec("INSERT INTO t VALUES (1)");
        throw new RangeError("no");
      }),
    RangeError,
  );
  assertEquals(rows(), []);
  // a change that SQLite itself rolls back before it reports the error
  assertThrows(
    () =>
      connection.write(() => {
        db.exec("INSERT INTO t VALUES (2)");
        db.exec("INSERT OR ROLLBACK INTO t VALUES (2)");
      }),
    Error,
    "UNIQUE constraint failed",
  );
  assertEquals(rows(), []);
  connection.write(() => db.exec("INSERT INTO t VALUES (3)"));
  assertEquals(rows(), [3]);
});
