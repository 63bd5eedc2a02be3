import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { StoreUnavailable } from "../../src/control/store.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate, MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, creationOf, fileIn, folderTest, modeOf, namesIn } from "./kit.ts";

const ONE = creationOf("one");

/** A store with a service, sealed. */
async function sealed(folder: string): Promise<SqliteStore> {
  const store = SqliteStore.open(folder);
  await store.change(ONE);
  store.seal();
  return store;
}

function names(store: SqliteStore): string[] {
  return store.services("", 10).map(({ name }) => name);
}

folderTest(
  "a sealed store is read as before, refuses changes, and leaves complete files to nobody else",
  async (folder) => {
    using store = await sealed(folder);
    assertEquals([names(store), store.revisions("one").length], [["one"], 1]);
    await assertRejects(() => store.change(creationOf("two")), StoreUnavailable, "taking over");
    assertEquals(namesIn(folder), ["cless.sqlite", "cless.sqlite.next"]);
    assertEquals(modeOf(`${fileIn(folder)}.next`), "600");
  },
);

folderTest("what a killed successor has left beside its copy does not get into the next copy", async (folder) => {
  using store = SqliteStore.open(folder);
  await store.change(ONE);
  const next = `${fileIn(folder)}.next`;
  for (const suffix of ["-wal", "-shm"]) Deno.writeTextFileSync(next + suffix, "old");
  store.seal();
  assertEquals(namesIn(folder), ["cless.sqlite", "cless.sqlite.next"]);
  {
    using successor = SqliteStore.openNext(folder);
    assertEquals(names(successor), ["one"]);
    Deno.writeTextFileSync(`${fileIn(folder)}.replaced`, "of an earlier take-over");
    successor.install();
    assertEquals(names(successor), ["one"]);
  }
  store.unseal();
  assertEquals(names(store), ["one"]);
});

folderTest("what a successor stores is in the database once its copy is installed", async (folder) => {
  using old = await sealed(folder);
  {
    using next = SqliteStore.openNext(folder);
    await next.change(changeAfter(ONE, { domains: ["a.example.org"] }));
    assertEquals(old.service("one")?.domains, []);
    next.install();
    assertEquals(next.service("one")?.domains, ["a.example.org"]);
    await next.change(creationOf("two"));
    next.confirm();
  }
  assertEquals(namesIn(folder), ["cless.sqlite"]);
  using again = SqliteStore.open(folder);
  assertEquals(names(again), ["one", "two"]);
  assertEquals(names(old), ["one"]); // it goes on with what it has read
});

folderTest(
  "a store goes on as it was if its successor fails, before or after it has installed its copy",
  async (folder) => {
    using old = await sealed(folder);
    old.unseal();
    assertEquals(namesIn(folder).filter((name) => /next|replaced/.test(name)), []);
    await old.change(creationOf("two"));
    old.seal();
    {
      using next = SqliteStore.openNext(folder);
      await next.delete("two", 1, ONE.history);
      next.install();
      await next.change(creationOf("three")); // stays in the log beside the database
      old.unseal();
      await assertRejects(() => next.change(creationOf("four")), StoreUnavailable, "replaced");
    }
    assertEquals(names(old), ["one", "two"]);
    await old.change(creationOf("five"));
    assertEquals(namesIn(folder).filter((name) => /next|replaced/.test(name)), []);
  },
);

folderTest(
  "a copy is migrated, with a copy from before beside the database, and the database stays as it is",
  (folder) => {
    {
      using old = Connection.open(fileIn(folder), 0);
      migrate(old, MIGRATIONS.slice(0, 1));
      using _copy = old.seal();
    }
    {
      using _next = SqliteStore.openNext(folder);
      using old = Connection.open(fileIn(folder), 0);
      const version = old.read(() => old.db.prepare("PRAGMA user_version").get());
      assertEquals(version, { ...version, user_version: 1 });
    }
    assert(namesIn(folder).includes("cless.sqlite.before-2"), String(namesIn(folder)));
  },
);

folderTest("a copy does not replace a database that was changed after it was sealed", async (folder) => {
  using _old = await sealed(folder);
  using next = SqliteStore.openNext(folder);
  using other = SqliteStore.open(folder);
  await other.change(creationOf("two"));
  assertThrows(() => next.install(), StoreUnavailable, "was changed while it was handed over");
  assertEquals(names(other), ["one", "two"]);
  other[Symbol.dispose]();
  using again = SqliteStore.open(folder);
  assertEquals(names(again), ["one", "two"]);
});

folderTest("what killed processes have left of a take-over is removed at the next start", async (folder) => {
  (await sealed(folder))[Symbol.dispose]();
  {
    using next = SqliteStore.openNext(folder);
    next.install();
  }
  Deno.writeTextFileSync(`${fileIn(folder)}.next`, "");
  using again = SqliteStore.open(folder);
  assertEquals(names(again), ["one"]);
  assertEquals(namesIn(folder).filter((name) => /next|replaced/.test(name)), []);
});
