import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { StaleError } from "../../src/control/store.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, creationOf, fileIn, folderTest, namesIn, revisionOf } from "./kit.ts";
import { assertHolds, damaged, denied, deployUntilRefused, full, locked, refusal } from "./refusals.ts";
import { loaded } from "../support/loaded.ts";

/** A store whose connection a test can break. */
function openWithConnection(folder: string): { store: SqliteStore; db: DatabaseSync } {
  const connection = Connection.open(fileIn(folder), 20);
  migrate(connection);
  return { store: new SqliteStore(connection), db: connection.db };
}

folderTest("on a full disk nothing acknowledged is lost, and with more space changes work again", async (folder) => {
  const { store, db } = openWithConnection(folder);
  using _store = store;
  const creation = creationOf("golang");
  await store.change(creation);
  db.exec("PRAGMA max_page_count = 60");
  const { kept, message } = await deployUntilRefused(store, creation);
  assertEquals(message, full(fileIn(folder)));
  assertHolds(store, kept);
  db.exec("PRAGMA max_page_count = 100000");
  const more = { ...changeAfter(kept, { lastNumber: kept.service.lastNumber + 1 }) };
  await store.change({ ...more, addRevision: revisionOf("golang", more.service.lastNumber) });
  assertHolds(store, more);
});

folderTest(
  "an observer learns how long changes took, and of those that have failed, also after a take-over",
  async (folder) => {
    const { store, db } = openWithConnection(folder);
    const told: string[] = [];
    const wrote = (ms: number) => void told.push(ms > 0 && ms < 60_000 ? "wrote" : `wrote in ${ms} ms`);
    store.observe({ wrote, failed: (what) => void told.push(`failed to ${what}`) });
    const creation = creationOf("golang");
    await store.change(creation);
    assertEquals(told.splice(0), ["wrote"]);
    assert(store.bytes > 4096);
    await assertRejects(() => store.change(creation), StaleError); // which is no fault of the store
    store.service("golang");
    assertEquals(told, []);
    db.exec("PRAGMA query_only = ON");
    await refusal(() => store.change(changeAfter(creation)));
    db.exec("PRAGMA query_only = OFF");
    assertEquals(told.splice(0), ["failed to write"]);
    store.seal();
    await refusal(() => store.change(changeAfter(creation)));
    store.unseal();
    await store.change(changeAfter(creation));
    assertEquals(told.splice(0), ["failed to write", "wrote"]);
    store[Symbol.dispose]();
  },
);

folderTest(
  "a store that becomes read-only still reads, refuses changes, and takes them again later",
  async (folder) => {
    // Like a file system that is remounted read-only under an open file, which the system refuses to do.
    const { store, db } = openWithConnection(folder);
    using _store = store;
    const creation = creationOf("golang");
    await store.change(creation);
    db.exec("PRAGMA query_only = ON");
    assertEquals(await refusal(() => store.change(changeAfter(creation))), denied(fileIn(folder)));
    assertEquals(await refusal(() => store.delete("golang", 1, creation.history)), denied(fileIn(folder)));
    assertHolds(store, creation);
    db.exec("PRAGMA query_only = OFF");
    await store.change(changeAfter(creation));
  },
);

// Root may write everywhere but to a read-only file system, which is in disk_test.ts.
if (!await mayBeRoot()) {
  folderTest("a folder or a file without the right to write is refused", async (folder) => {
    Deno.chmodSync(folder, 0o500);
    assertEquals(await refusal(() => SqliteStore.open(folder)), denied(fileIn(folder)));
    Deno.chmodSync(folder, 0o700);
    SqliteStore.open(folder)[Symbol.dispose]();
    Deno.chmodSync(fileIn(folder), 0o400);
    assertEquals(await refusal(() => SqliteStore.open(folder)), denied(fileIn(folder)));
  });
}

folderTest("a missing folder, and a folder in the file's place, are refused", async (folder) => {
  assertEquals(await refusal(() => SqliteStore.open(`${folder}/none`)), denied(fileIn(`${folder}/none`)));
  Deno.mkdirSync(fileIn(folder));
  assertEquals(await refusal(() => SqliteStore.open(folder)), denied(fileIn(folder)));
});

folderTest("while another process has the lock, only changes are refused, after a timeout", async (folder) => {
  const busyTimeoutMs = 60;
  using store = SqliteStore.open(folder, { busyTimeoutMs });
  const creation = creationOf("golang");
  await store.change(creation);
  using other = new DatabaseSync(fileIn(folder));
  other.exec("BEGIN IMMEDIATE; DELETE FROM service");
  const start = performance.now();
  assertEquals(await refusal(() => store.change(changeAfter(creation))), locked(fileIn(folder)));
  assert(performance.now() - start > busyTimeoutMs - 10, "it has not waited");
  assertHolds(store, creation);
  store.backup(`${folder}/backup`);
  SqliteStore.open(folder, { busyTimeoutMs })[Symbol.dispose]();
  other.exec("ROLLBACK");
  const next = changeAfter(creation);
  await store.change(next);
  assertHolds(store, next);
});

folderTest(
  "a database with another process's exclusive lock cannot be opened until the lock is released",
  async (folder) => {
    SqliteStore.open(folder)[Symbol.dispose]();
    {
      using other = new DatabaseSync(fileIn(folder));
      other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
      assertEquals(await refusal(() => SqliteStore.open(folder, { busyTimeoutMs: 20 })), locked(fileIn(folder)));
    }
    SqliteStore.open(folder)[Symbol.dispose]();
  },
);

folderTest("a file that is not a database is refused, and not changed", async (folder) => {
  const text = "This is not a database. ".repeat(500);
  Deno.writeTextFileSync(fileIn(folder), text);
  assertEquals(await refusal(() => SqliteStore.open(folder)), damaged(fileIn(folder)));
  assertEquals(Deno.readTextFileSync(fileIn(folder)), text);
});

if (Deno.build.os === "linux") {
  folderTest("a database that is refused is not left open", async (folder) => {
    Deno.writeTextFileSync(fileIn(folder), "This is not a database. ".repeat(500));
    for (let time = 0; time < 5; time++) await refusal(() => SqliteStore.open(folder));
    const open: string[] = [];
    for await (const { name } of Deno.readDir("/proc/self/fd")) {
      open.push(await Deno.readLink(`/proc/self/fd/${name}`).catch(() => "closed"));
    }
    assertEquals(open.filter((path) => path.startsWith(folder)), []);
  });
}

folderTest("a database with any page overwritten, or cut short, is refused when it is opened", async (folder) => {
  {
    using store = SqliteStore.open(folder);
    let last = creationOf("golang");
    await store.change(last);
    for (let number = 2; number < 60; number++) {
      last = changeAfter(last, { lastNumber: number });
      await store.change({ ...last, addRevision: revisionOf("golang", number, { env: { FILLER: "x".repeat(500) } }) });
    }
  }
  const good = Deno.readFileSync(fileIn(folder));
  const pages = good.length / 4096;
  assert(pages > 20);
  for (let page = 0; page < pages; page++) {
    Deno.writeFileSync(fileIn(folder), good.slice().fill(0x55, page * 4096, (page + 1) * 4096));
    assertEquals(await refusal(() => SqliteStore.open(folder)), damaged(fileIn(folder)), `page ${page}`);
  }
  Deno.writeFileSync(fileIn(folder), good.subarray(0, 4096 * (pages >> 1)));
  assertEquals(await refusal(() => SqliteStore.open(folder)), damaged(fileIn(folder)));
  Deno.writeFileSync(fileIn(folder), good); // a backup
  using store = SqliteStore.open(folder);
  assertEquals(loaded(store).revisions.length, 59);
});

folderTest("damage to an open database is reported when that part is read", async (folder) => {
  const { store, db } = openWithConnection(folder);
  using _store = store;
  await store.change(creationOf("golang"));
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const size = Deno.statSync(fileIn(folder)).size;
  Deno.writeFileSync(fileIn(folder), new Uint8Array(size).fill(0x55, 4096), { mode: 0o600 });
  db.exec("PRAGMA shrink_memory");
  assertEquals(await refusal(() => loaded(store)), damaged(fileIn(folder)));
  assertEquals(await refusal(() => store.backup(`${folder}/backup`)), damaged(fileIn(folder)));
  assertEquals(namesIn(folder), ["cless.sqlite", "cless.sqlite-shm", "cless.sqlite-wal"]);
});

folderTest("no change is acknowledged once the part of the file that it writes to is damaged", async (folder) => {
  const damages: readonly ((path: string, size: number) => void)[] = [
    (path) => Deno.truncateSync(path),
    (path) => Deno.writeTextFileSync(path, "garbage"),
    (path, size) => overwrite(path, 0, size), // while everything that the change reads is in the log
  ];
  for (const [at, damage] of damages.entries()) {
    const own = `${folder}/${at}`;
    Deno.mkdirSync(own);
    using store = SqliteStore.open(own);
    const creation = creationOf("golang");
    await store.change(creation);
    damage(fileIn(own), Deno.statSync(fileIn(own)).size);
    assertEquals(await refusal(() => store.change(changeAfter(creation))), damaged(fileIn(own)));
  }
  const { store, db } = openWithConnection(folder);
  using _store = store;
  const creation = creationOf("golang");
  await store.change(creation);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  overwrite(fileIn(folder), 4096, Deno.statSync(fileIn(folder)).size); // while SQLite has the pages in memory
  assertEquals(await refusal(() => store.change(changeAfter(creation))), damaged(fileIn(folder)));
});

folderTest("a stored value that cless cannot have written is damage too", async (folder) => {
  const { store, db } = openWithConnection(folder);
  using _store = store;
  await store.change(creationOf("golang"));
  db.exec("UPDATE revision SET template = '{\"image'");
  assertEquals(await refusal(() => loaded(store)), damaged(fileIn(folder)));
});

folderTest("changes are refused while the file or its log is moved away, since they would be lost", async (folder) => {
  using store = SqliteStore.open(folder);
  const creation = creationOf("golang");
  await store.change(creation);
  for (const path of [fileIn(folder), `${fileIn(folder)}-wal`]) {
    const message = `${fileIn(folder)} was moved or replaced while it was in use; restart cless`;
    Deno.renameSync(path, `${folder}/away`);
    assertEquals(await refusal(() => store.change(changeAfter(creation))), message);
    Deno.writeTextFileSync(path, "");
    assertEquals(await refusal(() => store.change(changeAfter(creation))), message);
    Deno.renameSync(`${folder}/away`, path);
  }
  await store.change(changeAfter(creation));
});

/** Overwrites a part of a file as a failing disk could. */
function overwrite(path: string, from: number, to: number): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(from, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(to - from).fill(0x55));
}

async function mayBeRoot(): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "uid" });
  return state !== "granted" || Deno.uid() === 0;
}
