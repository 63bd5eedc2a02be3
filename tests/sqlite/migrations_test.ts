import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { StoreUnavailable } from "../../src/control/store.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate, MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { contentOf, fill, fixtureOf, newestDump, schemaOf } from "./fixture.ts";
import { fileIn, folderTest, modeOf, namesIn } from "./kit.ts";

const NEWEST = MIGRATIONS.length;
const VERSIONS = Array.from({ length: NEWEST }, (_, at) => at + 1);
/** Migrations as a later cless might have them. */
const MADE_UP = [
  "CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT; INSERT INTO a VALUES (1)",
  "CREATE TABLE b (x INTEGER PRIMARY KEY REFERENCES a (x)) STRICT; INSERT INTO b VALUES (1)",
  // replaces a table that another one refers to
  `CREATE TABLE a2 (x INTEGER PRIMARY KEY, y TEXT) STRICT; INSERT INTO a2 SELECT x, 'new' FROM a; DROP TABLE a;
   ALTER TABLE a2 RENAME TO a`,
];

/** Applies migrations to the database in a folder. */
function migrated(folder: string, migrations: readonly string[]): void {
  using connection = Connection.open(fileIn(folder), 0);
  migrate(connection, migrations);
}

/** Reads a database with a connection of its own. */
function look<T>(path: string, query: (db: DatabaseSync) => T): T {
  using db = new DatabaseSync(path);
  return query(db);
}

function versionOf(path: string): unknown {
  return look(path, (db) => db.prepare("PRAGMA user_version").get()!.user_version);
}

/** The content of the tables of the made-up migrations. */
function rowsIn(path: string, table: string): unknown[] {
  return look(path, (db) => db.prepare(`SELECT * FROM ${table}`).all().map((row) => ({ ...row })));
}

folderTest("every version has a fixture, and that of the newest version is up to date", async (folder) => {
  for (const version of VERSIONS) {
    const path = fixtureOf(version);
    assert(Deno.statSync(path).isFile, `there is no fixture of version ${version}: see fixture.ts`);
  }
  assertEquals(Deno.readTextFileSync(fixtureOf(NEWEST)), await newestDump(folder), "see fixture.ts");
});

for (const version of VERSIONS) {
  folderTest(`the migrations lead to version ${version} as it was released`, (folder) => {
    migrated(folder, MIGRATIONS.slice(0, version));
    using fixture = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
    fixture.exec(Deno.readTextFileSync(fixtureOf(version)));
    assertEquals(look(fileIn(folder), schemaOf), schemaOf(fixture));
    assertEquals(versionOf(fileIn(folder)), version);
  });

  folderTest(`a database of version ${version} comes up to date with all its content`, async (folder) => {
    {
      using db = new DatabaseSync(fileIn(folder), { enableForeignKeyConstraints: false });
      db.exec(Deno.readTextFileSync(fixtureOf(version)));
    }
    Deno.mkdirSync(`${folder}/fresh`);
    using fresh = SqliteStore.open(`${folder}/fresh`);
    await fill(fresh, version);
    {
      using store = SqliteStore.open(folder);
      assertEquals(contentOf(store), contentOf(fresh));
    }
    assertEquals(look(fileIn(folder), schemaOf), look(fileIn(`${folder}/fresh`), schemaOf));
    assertEquals(versionOf(fileIn(folder)), NEWEST);
    const copy = `cless.sqlite.before-${version + 1}`;
    assertEquals(namesIn(folder), ["cless.sqlite", ...version === NEWEST ? [] : [copy], "fresh"]);
  });
}

folderTest("an empty file becomes a database of the newest version, without a copy", (folder) => {
  Deno.writeTextFileSync(fileIn(folder), "");
  SqliteStore.open(folder)[Symbol.dispose]();
  assertEquals(namesIn(folder), ["cless.sqlite"]);
  assertEquals(versionOf(fileIn(folder)), NEWEST);
});

folderTest(
  "without its database, or with an empty one, a folder that has been used is refused and left alone",
  (folder) => {
    const refused = () => {
      const { message } = assertThrows(() => SqliteStore.open(folder, { isNew: false }), OperatorError);
      assertEquals(
        message,
        `${fileIn(folder)} is missing or empty, though this data-dir has been used: its services would be lost; put ` +
          "back the database or a backup of it, or name a new folder with --data-dir",
      );
    };
    refused();
    assertEquals(namesIn(folder), []);
    Deno.writeTextFileSync(fileIn(folder), "");
    refused();
    assertEquals(Deno.statSync(fileIn(folder)).size, 0);
    look(fileIn(folder), (db) => db.exec("VACUUM")); // an empty database of one page, or none
    refused();
    Deno.removeSync(fileIn(folder));
    SqliteStore.open(folder)[Symbol.dispose]();
    SqliteStore.open(folder, { isNew: false })[Symbol.dispose](); // without services, but not empty
  },
);

folderTest("a database of the newest version is not changed when it is opened", async (folder) => {
  await newestDump(folder);
  const before = Deno.readFileSync(fileIn(folder));
  SqliteStore.open(folder)[Symbol.dispose]();
  assertEquals(Deno.readFileSync(fileIn(folder)), before);
  assertEquals(namesIn(folder), ["cless.sqlite"]);
});

folderTest("the steps from every version lead to the same database, and the copy has the old state", (folder) => {
  for (const version of [0, 1, 2, 3]) {
    const inner = `${folder}/${version}`;
    Deno.mkdirSync(inner);
    migrated(inner, MADE_UP.slice(0, version));
    migrated(inner, MADE_UP);
    assertEquals(versionOf(fileIn(inner)), 3);
    assertEquals([rowsIn(fileIn(inner), "a"), rowsIn(fileIn(inner), "b")], [[{ x: 1, y: "new" }], [{ x: 1 }]]);
    const copy = version === 0 || version === 3 ? [] : [`cless.sqlite.before-${version + 1}`];
    assertEquals(namesIn(inner), ["cless.sqlite", ...copy]);
    for (const name of copy) {
      assertEquals(versionOf(`${inner}/${name}`), version);
      assertEquals(rowsIn(`${inner}/${name}`, "a"), [{ x: 1 }]);
      assertEquals(modeOf(`${inner}/${name}`), "600");
    }
  }
});

folderTest("foreign keys are enforced again after a migration", (folder) => {
  using connection = Connection.open(fileIn(folder), 0);
  migrate(connection, MADE_UP);
  assertThrows(() => connection.write(() => connection.db.exec("INSERT INTO b VALUES (9)")), Error, "FOREIGN KEY");
});

folderTest("a failed migration leaves the version before it, and is done at a later start", (folder) => {
  for (const bad of ["CREATE TABLE c (x) STRICT; oops", "CREATE TABLE c (x INT) STRICT; DELETE FROM a"]) {
    migrated(folder, MADE_UP.slice(0, 1));
    assertThrows(() => migrated(folder, [...MADE_UP.slice(0, 2), bad]));
    assertEquals(versionOf(fileIn(folder)), 2);
    assertEquals(look(fileIn(folder), schemaOf).some((sql) => sql.includes("TABLE c")), false);
    assertThrows(() => migrated(folder, [...MADE_UP.slice(0, 2), bad]));
    // the second attempt must not spoil the copy of the first
    assertEquals(namesIn(folder), ["cless.sqlite", "cless.sqlite.before-2", "cless.sqlite.before-3"]);
    assertEquals([2, 3].map((n) => versionOf(`${fileIn(folder)}.before-${n}`)), [1, 2]);
    migrated(folder, MADE_UP);
    assertEquals(versionOf(fileIn(folder)), 3);
    for (const name of namesIn(folder)) Deno.removeSync(`${folder}/${name}`);
  }
});

folderTest("without space for the copy there is no migration", (folder) => {
  migrated(folder, MADE_UP.slice(0, 1));
  Deno.mkdirSync(`${fileIn(folder)}.before-2/x`, { recursive: true });
  const refusal = assertThrows(() => migrated(folder, MADE_UP), OperatorError);
  assertEquals(refusal.message.split(";")[0], `cannot open or write ${fileIn(folder)}.before-2`);
  assertEquals(versionOf(fileIn(folder)), 1);
});

folderTest("a locked database is not migrated in part", (folder) => {
  migrated(folder, MADE_UP.slice(0, 1));
  using other = new DatabaseSync(fileIn(folder));
  other.exec("BEGIN IMMEDIATE");
  assertThrows(() => migrated(folder, MADE_UP), StoreUnavailable, "another process has locked");
  other.exec("ROLLBACK");
  migrated(folder, MADE_UP);
});

folderTest("a database that is newer than the program is refused, and not changed", async (folder) => {
  await newestDump(folder);
  look(fileIn(folder), (db) => db.exec(`PRAGMA user_version = ${NEWEST + 1}`));
  const before = Deno.readFileSync(fileIn(folder));
  const refusal = assertThrows(() => SqliteStore.open(folder), OperatorError);
  assertEquals(
    refusal.message,
    `${fileIn(folder)} is of version ${
      NEWEST + 1
    }, and this cless knows only ${NEWEST}; use a newer cless, or the copy ` +
      "from before the update",
  );
  assertEquals(Deno.readFileSync(fileIn(folder)), before);
  assertEquals(namesIn(folder), ["cless.sqlite"]);
});

folderTest("a database of another program is refused", (folder) => {
  look(fileIn(folder), (db) => db.exec("CREATE TABLE songs (title TEXT)"));
  const refusal = assertThrows(() => SqliteStore.open(folder), OperatorError);
  assertEquals(refusal.message, `${fileIn(folder)} is a database of another program; move it away`);
});

folderTest("revisions stored with a field that is retired come back without it", async (folder) => {
  using db = new DatabaseSync(fileIn(folder));
  db.exec(Deno.readTextFileSync(new URL("fixtures/retired-fields.sql", import.meta.url)));
  db.close();
  using store = SqliteStore.open(folder);
  using expected = SqliteStore.open(Deno.makeTempDirSync({ dir: folder }));
  await fill(expected, 2);
  assertEquals(contentOf(store), contentOf(expected));
});
