import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { noRun } from "../support/permissions.ts";
import { Random } from "../support/random.ts";
import { Model, type Step } from "./changes.ts";
import { fileIn, folderTest, noStore } from "./kit.ts";

const SEED = 1;
/** How many stores are tested at once, each with a process of its own. */
const LANES = 4;
const KILLS_PER_LANE = 50;
/** A process is killed at most this long after it has opened the store, ms. */
const LONGEST_LIFE_MS = 60;
const CHILD = new URL("kill_child.ts", import.meta.url).pathname;

/** What a killed process had written. */
interface LastWords {
  readonly kept: Step[];
  /** A change that was begun and not acknowledged. */
  readonly inFlight: Step | undefined;
}

/** Lets a process change the store in a folder, and kills it at a random moment. */
async function runAndKill(folder: string, random: Random, at: number): Promise<LastWords> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CHILD, folder, String(random.below(1e9)), String(at)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  const opened = Promise.withResolvers<void>();
  const listening = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.startsWith("open\n")) opened.resolve();
    }
    opened.resolve(); // it has ended before that
  })();
  // Some are killed while they open the store and recover what the last one has left.
  if (!random.chance(0.15)) await opened.promise;
  await new Promise((resolve) => setTimeout(resolve, random.below(LONGEST_LIFE_MS)));
  child.kill("SIGKILL");
  const { signal } = await child.status;
  await listening;
  assertEquals(signal, "SIGKILL", "it has ended by itself");
  return lastWords(said);
}

function lastWords(said: string): LastWords {
  const kept: Step[] = [];
  let inFlight: Step | undefined;
  for (const line of said.split("\n").slice(1, -1)) { // without `open`, and without a line that was cut off
    if (line === "!") {
      kept.push(inFlight!);
      inFlight = undefined;
    } else inFlight = JSON.parse(line.slice(2));
  }
  return { kept, inFlight };
}

/** What the store in a folder holds; fails if the file is damaged. */
function heldIn(folder: string): string {
  using store = SqliteStore.open(folder);
  using db = new DatabaseSync(fileIn(folder));
  assertEquals(db.prepare("PRAGMA integrity_check").all().map((row) => ({ ...row })), [{ integrity_check: "ok" }]);
  assertEquals(db.prepare("PRAGMA foreign_key_check").all(), []);
  return Model.of(store).text();
}

/** The same from copies of the files, so that the next process finds them as the killed one has left them. */
async function heldInCopy(folder: string): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "sqlite-copy-" });
  try {
    for (const end of ["", "-wal"]) {
      await Deno.copyFile(`${fileIn(folder)}${end}`, `${fileIn(copy)}${end}`).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // the process was killed before the file was made
      });
    }
    return heldIn(copy);
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

/** Kills many processes on one store, and checks the store after each; adds to the counts in `figures`. */
async function lane(folder: string, number: number, figures: Record<string, number>): Promise<void> {
  const random = new Random(SEED, number);
  let model = new Model();
  let at = 1;
  for (let kill = 0; kill < KILLS_PER_LANE; kill++) {
    const { kept, inFlight } = await runAndKill(folder, random, at);
    for (const step of kept) model.take(step);
    at += kept.length + 1;
    const held = random.chance(0.5) ? heldIn(folder) : await heldInCopy(folder);
    const after = model.copy();
    if (inFlight !== undefined) after.take(inFlight);
    const where = `seed ${SEED}, lane ${number}, kill ${kill}, after ${kept.length} changes`;
    assert([model.text(), after.text()].includes(held), `${where}: held ${held}, and not ${after.text()}`);
    figures.kills!++;
    figures.acknowledged! += kept.length;
    if (inFlight !== undefined) figures[held === after.text() ? "done" : "undone"]!++;
    else figures.between!++;
    if (held === after.text()) model = after;
  }
}

folderTest(
  "whenever a process is killed, the store holds all that was acknowledged, and a change in flight whole or not at all",
  async (folder) => {
    const figures = { kills: 0, acknowledged: 0, done: 0, undone: 0, between: 0 };
    await Promise.all(Array.from({ length: LANES }, async (_, number) => {
      await Deno.mkdir(`${folder}/${number}`);
      await lane(`${folder}/${number}`, number, figures);
    }));
    console.log(
      `${figures.kills} kills, ${figures.acknowledged} changes acknowledged and there; of those in flight ` +
        `${figures.done} were done and ${figures.undone} not; ${figures.between} kills fell between two changes`,
    );
    assert(figures.acknowledged > figures.kills, "too few changes to tell");
    assert(figures.undone > 0, "no kill fell into a change");
  },
  noStore || noRun,
);
