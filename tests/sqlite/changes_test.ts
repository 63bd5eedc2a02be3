import { assert, assertEquals } from "@std/assert";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { Random } from "../support/random.ts";
import { Model, take } from "./changes.ts";
import { fileIn, folderTest } from "./kit.ts";

/** At how many places a log is cut. */
const CUTS = 120;

folderTest("after any changes the store has the right content, also when it is opened again", async (folder) => {
  const random = new Random(1);
  const model = new Model();
  let store = SqliteStore.open(folder);
  try {
    for (let at = 1; at <= 400; at++) {
      const step = model.next(random, at);
      await take(step, store);
      model.take(step);
      if (random.chance(0.05)) {
        store[Symbol.dispose]();
        store = SqliteStore.open(folder);
      }
      if (random.chance(0.2)) assertEquals(Model.of(store).text(), model.text(), `after change ${at}`);
    }
    assertEquals(Model.of(store).text(), model.text());
  } finally {
    store[Symbol.dispose]();
  }
});

folderTest("a log that ends anywhere, as after a power cut, yields the state after some change", async (folder) => {
  const random = new Random(2);
  const model = new Model();
  using store = SqliteStore.open(folder);
  const states = [model.text()];
  for (let at = 1; at <= 60; at++) {
    const step = model.next(random, at);
    await take(step, store);
    model.take(step);
    states.push(model.text());
  }
  const [file, log] = [Deno.readFileSync(fileIn(folder)), Deno.readFileSync(`${fileIn(folder)}-wal`)];
  Deno.mkdirSync(`${folder}/cut`);
  let last = 0;
  for (const [number, cut] of random.cuts(CUTS, log.length).entries()) {
    Deno.writeFileSync(fileIn(`${folder}/cut`), file);
    // The system may have allocated space that it did not write to.
    const rest = number % 2 === 0 ? log.slice(0, cut) : log.slice().fill(0, cut);
    Deno.writeFileSync(`${fileIn(`${folder}/cut`)}-wal`, rest);
    using reopened = SqliteStore.open(`${folder}/cut`);
    const state = states.indexOf(Model.of(reopened).text());
    assert(state >= last, `${cut} of ${log.length} bytes give state ${state}, and fewer gave ${last}`);
    last = state;
  }
  assert(last > 50, `only state ${last} was reached`);
});
