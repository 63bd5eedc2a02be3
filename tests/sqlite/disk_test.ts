import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ServiceChange } from "../../src/control/records.ts";
import { OperatorError } from "../../src/errors.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { noRun } from "../support/permissions.ts";
import { changeAfter, creationOf, fileIn, folderTest, noStore } from "./kit.ts";
import { assertHolds, denied, deployUntilRefused, full, refusal } from "./refusals.ts";

/** Only root may mount file systems that are really full or read-only; faults_test.ts has the same faults for everybody. */
const mayMount = noStore || noRun || Deno.build.os === "linux" && await (async () => {
      const folder = await Deno.makeTempDir({ prefix: "mount-" });
      const mounted = await mount("-t", "tmpfs", "none", folder);
      if (mounted) await new Deno.Command("umount", { args: [folder] }).output();
      await Deno.remove(folder);
      return mounted;
    })();

async function mount(...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("mount", { args, stdin: "null", stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** A test with a small file system of its own. */
function mountTest(name: string, fn: (folder: string) => void | Promise<void>): void {
  if (!mayMount) return;
  folderTest(name, async (folder) => {
    assert(await mount("-t", "tmpfs", "-o", "size=1m", "none", folder));
    try {
      await fn(folder);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  }, noStore || noRun);
}

mountTest("on a full disk nothing that was acknowledged is lost, and with room again it goes on", (folder) => {
  const creation = creationOf("golang");
  let last: ServiceChange;
  {
    using store = SqliteStore.open(folder);
    store.change(creation);
    let { kept, message } = deployUntilRefused(store, creation);
    assertEquals(message, full(fileIn(folder)));
    message = refusal(() => {
      // What is smaller may still fit, for a while.
      for (let revisionHistory = 9; revisionHistory < 1000; revisionHistory++) {
        const next = changeAfter(kept, { revisionHistory });
        store.change(next);
        kept = next;
      }
    });
    assertEquals(message, full(fileIn(folder)));
    assertHolds(store, kept);
    const backup = assertThrows(() => store.backup(`${folder}/backup`), OperatorError);
    assertEquals(backup.message, full(`${folder}/backup`));
    last = kept;
  }
  using store = SqliteStore.open(folder); // also while the disk is full
  assertHolds(store, last);
});

mountTest("room that another file gives back is used", (folder) => {
  const creation = creationOf("golang");
  using store = SqliteStore.open(folder);
  store.change(creation);
  fillUp(`${folder}/filler`);
  const { kept, message } = deployUntilRefused(store, creation);
  assertEquals(message, full(fileIn(folder)));
  Deno.removeSync(`${folder}/filler`);
  const next = changeAfter(kept);
  store.change(next);
  assertHolds(store, next);
  store.backup(`${folder}/backup`);
});

mountTest("a store that finds no room when it is made says so, and is made when there is some", (folder) => {
  fillUp(`${folder}/filler`);
  assertEquals(refusal(() => SqliteStore.open(folder)), full(fileIn(folder)));
  Deno.removeSync(`${folder}/filler`);
  using store = SqliteStore.open(folder);
  store.change(creationOf("golang"));
});

mountTest("on a read-only file system the store is refused, and works when it can be written again", async (folder) => {
  const creation = creationOf("golang");
  {
    using store = SqliteStore.open(folder);
    store.change(creation);
  }
  assert(await mount("-o", "remount,ro", folder));
  assertEquals(refusal(() => SqliteStore.open(folder)), denied(fileIn(folder)));
  assert(await mount("-o", "remount,rw", folder));
  using store = SqliteStore.open(folder);
  assertHolds(store, creation);
  store.change(changeAfter(creation));
});

/** Writes a file until no more fits. */
function fillUp(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  for (const size of [4096, 1]) {
    try {
      for (;;) file.writeSync(new Uint8Array(size));
    } catch {
      // Full, in pieces of that size.
    }
  }
}
