import { assertEquals, assertThrows } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, creationOf, fileIn, folderTest, modeOf, namesIn, noStore } from "./kit.ts";
import { loaded } from "../support/loaded.ts";

folderTest("a backup holds what was there when it was made, and can be put in the store's place", (folder) => {
  Deno.mkdirSync(`${folder}/restored`);
  const creation = creationOf("golang", { domains: ["example.org"] });
  {
    using store = SqliteStore.open(folder);
    store.change(creation);
    store.addSecret("key", Uint8Array.of(1), 1);
    store.backup(fileIn(`${folder}/restored`));
    store.change(changeAfter(creation)); // not in it
    assertEquals(namesIn(`${folder}/restored`), ["cless.sqlite"]);
    assertEquals(modeOf(fileIn(`${folder}/restored`)), "600");
  }
  using restored = SqliteStore.open(`${folder}/restored`);
  assertEquals(loaded(restored), { services: [creation.service], revisions: [creation.addRevision!] });
  assertEquals(restored.history("golang", 9), [creation.history]);
  assertEquals(restored.secretVersions().length, 1);
  restored.change(changeAfter(creation));
});

folderTest("a backup never takes the place of a file", (folder) => {
  using store = SqliteStore.open(folder);
  Deno.writeTextFileSync(`${folder}/there`, "mine");
  const refusal = assertThrows(() => store.backup(`${folder}/there`), OperatorError);
  assertEquals(refusal.message, `${folder}/there is there already; name another file`);
  assertEquals(Deno.readTextFileSync(`${folder}/there`), "mine");
  assertThrows(() => store.backup(fileIn(folder)), OperatorError, "is there already");
  assertThrows(() => store.backup(folder), OperatorError, "is there already");
});

folderTest("a backup to where no file can be is refused, and the store goes on", (folder) => {
  using store = SqliteStore.open(folder);
  const path = `${folder}/none/backup`;
  const refusal = assertThrows(() => store.backup(path), OperatorError);
  assertEquals(refusal.message.split(";")[0], `cannot open or write ${path}`);
  store.change(creationOf("golang"));
});

folderTest("what a killed backup has left is no hindrance", (folder) => {
  using store = SqliteStore.open(folder);
  Deno.writeTextFileSync(`${folder}/backup.partial`, "half");
  store.backup(`${folder}/backup`);
  assertEquals(namesIn(folder).filter((name) => name.startsWith("backup")), ["backup"]);
});

Deno.test({
  name: "a backup needs no permission but to read and write",
  ignore: noStore,
  // The platform lets only a process with every permission attach a file to a database.
  permissions: { read: true, write: true },
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "sqlite-" });
    try {
      using store = SqliteStore.open(folder);
      store.change(creationOf("golang"));
      store.backup(`${folder}/backup`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
