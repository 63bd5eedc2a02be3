import { DockerCommand } from "../../src/docker/command.ts";
import { buildApp } from "../bench/support/app.ts";
import { table } from "../bench/support/table.ts";
import { Program } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { SwapFile } from "../support/swap_file.ts";
import { bareTimes } from "./bare.ts";
import { changeServices, harmContainers } from "./chaos.ts";
import { findLeftovers, isLeak, leftoversTable } from "./leftovers.ts";
import { Tally } from "./tally.ts";
import { newClient, pauseFor, useService } from "./traffic.ts";
import { mostGrowth, Watch } from "./watch.ts";

const TIERS = { pauseAfter: 1000, hibernateAfter: 2000, stopAfter: 5000 };
/** The swap that the services hibernate in, where it can be had. */
const SWAP_MEGABYTES = 2048;
/** The swap is taken away and comes back again and again, on average after this time. */
const SWAP_EVERY_MS = 20_000;
/** Nobody has a service of such a name by chance. */
const PREFIX = "soak";
const MIB = 1024 ** 2;

/** Options of {@linkcode soak}. */
export interface SoakOptions {
  readonly minutes: number;
  readonly services: number;
  readonly seed: number;
  readonly tell: (line: string) => void;
}

/** Uses many services at random and does harm to them; resolves with whether everything was as it should be. */
export async function soak({ minutes, seed, services: count, tell }: SoakOptions): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "soak-" });
  await using made = new AsyncDisposableStack();
  made.defer(() => Deno.remove(folder, { recursive: true }));
  const { image } = await buildApp(new DockerCommand("docker"), folder, new AbortController().signal);
  const swap = await SwapFile.make(`${folder}/swap`, SWAP_MEGABYTES).catch((error) =>
    tell(`no swap: ${error.message}`)
  );
  if (swap) made.use(swap);
  const bare = await bareTimes(image);
  const flags = ["--pause-after", `${TIERS.pauseAfter}ms`, "--stop-after", `${TIERS.stopAfter}ms`];
  flags.push("--hibernate-after", `${TIERS.hibernateAfter}ms`);
  await using program = await Program.start({ flags: [...flags, "--no-convention"], logLevel: "info" });
  const tally = new Tally();
  const names = Array.from({ length: count }, (_, n) => `${PREFIX}-${n}`);
  const templates = [{}, {}, { concurrency: 2, maxInstances: 2 }, { minInstances: 1 }];
  for (const [n, name] of names.entries()) {
    const { status, text } = await program.send("PUT", `/v1/services/${name}`, {
      image,
      ...templates[n % templates.length],
    });
    if (status !== 201) throw new Error(`cannot deploy ${name}: ${text}`);
  }

  const watch = new Watch(program.pid, 5000);
  const before = await watch.look();
  const ending = new AbortController();
  const { signal } = ending;
  const random = (part: number) => new Random(seed, part);
  const { hostname, port } = program.proxy;
  const proxy = `${hostname}:${port}`;
  const client = newClient();
  const use = { ...TIERS, client, proxy, tally, signal };
  const users = names.map((service, n) => useService({ ...use, service, random: random(n) }));
  const chaos = { program, services: names, tally, signal };
  const harmed = harmContainers({ ...chaos, random: random(-1), every: 1500 });
  const changed = changeServices({ ...chaos, random: random(-2), every: 3000, template: { image } });
  const swapped = swap ? moveSwap(swap, { random: random(-3), signal }) : 0;
  const began = performance.now();
  while (performance.now() - began < minutes * 60_000) {
    await pauseFor(Math.min(30_000, began + minutes * 60_000 - performance.now()), signal);
    const { files, memory } = await watch.look();
    const seconds = Math.round((performance.now() - began) / 1000);
    tell(`${seconds} s: ${tally.requests} requests, ${(memory / MIB).toFixed(0)} MiB, ${files} files`);
  }
  ending.abort();
  await Promise.all(users);
  client.close(); // its connections are no leak
  tell(`${await harmed} containers harmed, ${await changed} revisions deployed, swap removed ${await swapped} times`);
  watch.stop();
  const leftovers = await findLeftovers(program, watch, {
    stopAfter: TIERS.stopAfter,
    mostInstances: Math.floor(count / templates.length),
    filesBefore: before.files,
    mostGrowth: mostGrowth(minutes),
  });
  const tables = [tally.requestsTable(), tally.failuresTable(), tally.wakesTable(bare), complaintsTable(program)];
  for (const text of [...tables, leftoversTable(leftovers)]) tell(`\n${text}`);
  return !tally.failed && !leftovers.some(isLeak);
}

/** Takes the swap away and brings it back; resolves with how often. */
async function moveSwap(
  swap: SwapFile,
  { random, signal }: { readonly random: Random; readonly signal: AbortSignal },
): Promise<number> {
  for (let count = 0;; count++) {
    await pauseFor(random.below(2 * SWAP_EVERY_MS), signal);
    if (signal.aborted) return count;
    await swap.off();
    await pauseFor(random.below(2 * SWAP_EVERY_MS), signal);
    await swap.on();
  }
}

/** What the program has warned of, and how often. */
function complaintsTable({ log }: Program): string {
  const said = log.filter(({ level }) => level === "warning" || level === "error").map(({ code, message, reason }) =>
    [message, code, reason].filter(Boolean).join("; ").replaceAll(/soak-[\w-]+|\b[0-9a-f]{12,}\b/g, "…")
  );
  const rows = [...Map.groupBy(said, (text) => text)].map(([text, those]) => [text, `${those.length}`]);
  return table(["warnings and errors in the log", "count"], rows.length > 0 ? rows : [["none", "0"]]);
}
