/**
 * Makes changes until it is killed: `deno run -A kill_child.ts FOLDER SEED AT`. Writes `open` when the store is open, and
 * for each change first `?` with the change, and then `!` when the store has acknowledged it.
 */

import { SqliteStore } from "../../src/sqlite/store.ts";
import { Random } from "../support/random.ts";
import { Model, take } from "./changes.ts";

const [folder, seed, at] = Deno.args;
const random = new Random(Number(seed));
const store = SqliteStore.open(folder!);
const model = Model.of(store);
say("open");
for (let time = Number(at);; time++) {
  const step = model.next(random, time);
  say(`? ${JSON.stringify(step)}`);
  await take(step, store);
  say("!");
  model.take(step);
}

function say(line: string): void {
  let rest = new TextEncoder().encode(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
