import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ServiceChange } from "../../src/control/records.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { fillUp, mayMount, mount, unmount } from "../support/mounts.ts";
import { changeAfter, creationOf, fileIn, folderTest, noStore } from "./kit.ts";
import { assertHolds, denied, deployUntilRefused, full, refusal } from "./refusals.ts";

/** A test with a small file system of its own; faults_test.ts has the same faults for processes that may not mount. */
function mountTest(name: string, fn: (folder: string) => void | Promise<void>): void {
  if (noStore || !mayMount) return;
  folderTest(name, async (folder) => {
    assert(await mount("-t", "tmpfs", "-o", "size=1m", "none", folder));
    try {
      await fn(folder);
    } finally {
      await unmount(folder);
    }
  });
}

mountTest("on a full disk nothing that was acknowledged is lost, and with room again it goes on", async (folder) => {
  const creation = creationOf("golang");
  let last: ServiceChange;
  {
    using store = SqliteStore.open(folder);
    await store.change(creation);
    let { kept, message } = await deployUntilRefused(store, creation);
    assertEquals(message, full(fileIn(folder)));
    message = await refusal(async () => {
      // a smaller change may still fit
      for (let revisionHistory = 9; revisionHistory < 1000; revisionHistory++) {
        const next = changeAfter(kept, { revisionHistory });
        await store.change(next);
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

mountTest("room that another file gives back is used", async (folder) => {
  const creation = creationOf("golang");
  using store = SqliteStore.open(folder);
  await store.change(creation);
  fillUp(`${folder}/filler`);
  const { kept, message } = await deployUntilRefused(store, creation);
  assertEquals(message, full(fileIn(folder)));
  Deno.removeSync(`${folder}/filler`);
  const next = changeAfter(kept);
  await store.change(next);
  assertHolds(store, next);
  store.backup(`${folder}/backup`);
});

mountTest("a store that finds no room when it is made says so, and is made when there is some", async (folder) => {
  fillUp(`${folder}/filler`);
  assertEquals(await refusal(() => SqliteStore.open(folder)), full(fileIn(folder)));
  Deno.removeSync(`${folder}/filler`);
  using store = SqliteStore.open(folder);
  await store.change(creationOf("golang"));
});

mountTest("on a read-only file system the store is refused, and works when it can be written again", async (folder) => {
  const creation = creationOf("golang");
  {
    using store = SqliteStore.open(folder);
    await store.change(creation);
  }
  assert(await mount("-o", "remount,ro", folder));
  assertEquals(await refusal(() => SqliteStore.open(folder)), denied(fileIn(folder)));
  assert(await mount("-o", "remount,rw", folder));
  using store = SqliteStore.open(folder);
  assertHolds(store, creation);
  await store.change(changeAfter(creation));
});
