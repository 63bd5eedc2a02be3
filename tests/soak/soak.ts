import { DockerCommand } from "../../src/docker/command.ts";
import { buildApp } from "../bench/support/app.ts";
import { ClessUnderTest } from "../bench/support/cless_under_test.ts";
import { table } from "../bench/support/table.ts";
import { Engine, mayStartEngine } from "../chaos/engine.ts";
import { Random } from "../support/random.ts";
import { SwapFile } from "../support/swap_file.ts";
import { audit } from "./audit.ts";
import { bareTimes } from "./bare.ts";
import { changeServices, harmContainers, moveSwap, restart } from "./chaos.ts";
import { findLeftovers, isLeak, leftoversTable } from "./leftovers.ts";
import { Tally } from "./tally.ts";
import { newClient, pauseFor, useService } from "./traffic.ts";
import { LEAST_MINUTES, Watch } from "./watch.ts";

const TIERS = { pauseAfter: 1000, hibernateAfter: 2000, stopAfter: 5000 };
/** A start waits for an engine that was killed, which may take half a minute to answer again. */
const START_TIMEOUT = "90s";
/** The swap that the services hibernate in, where it can be had. */
const SWAP_MEGABYTES = 2048;
/** How often something happens on average, ms. */
const EVERY_MS = { harm: 1500, change: 3000, restart: 15_000, swap: 20_000 };
/** Nobody has a service of such a name by chance. */
const PREFIX = "soak";
const MIB = 1024 ** 2;

/** Options of {@linkcode soak}. */
export interface SoakOptions {
  readonly minutes: number;
  readonly services: number;
  readonly seed: number;
  /** A file for what cless logs. */
  readonly log: string | undefined;
  readonly tell: (line: string) => void;
}

/** Uses many services at random and does harm to them; resolves with whether everything was as it should be. */
export async function soak({ log, minutes, seed, services: count, tell }: SoakOptions): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "soak-" });
  await using made = new AsyncDisposableStack();
  made.defer(() => Deno.remove(folder, { recursive: true }));
  const engine = made.use(await startEngine(`${folder}/engine`));
  if (!engine.isOwn) tell("without root and dockerd it takes the engine of the machine, which is not restarted");
  Deno.env.set("DOCKER_HOST", `unix://${engine.socket}`);
  const docker = new DockerCommand("docker");
  const { image } = await buildApp(docker, folder, new AbortController().signal);
  const swap = await SwapFile.make(`${folder}/swap`, SWAP_MEGABYTES).catch((error) =>
    tell(`no swap: ${error.message}`)
  );
  if (swap) made.use(swap);
  const bare = await bareTimes(image);
  const dataDir = `${folder}/data`;
  const logFile = log ?? `${folder}/log`;
  const cless = made.use(
    await ClessUnderTest.start(docker, dataDir, new AbortController().signal, {
      flags: [
        `--pause-after=${TIERS.pauseAfter}ms`,
        `--hibernate-after=${TIERS.hibernateAfter}ms`,
        `--stop-after=${TIERS.stopAfter}ms`,
        "--no-convention",
        "--log-format=json",
      ],
      log: logFile,
    }),
  );
  const tally = new Tally();
  const kinds = [{}, {}, { concurrency: 2, maxInstances: 2 }, { minInstances: 1 }];
  const templates = new Map(
    Array.from(
      { length: count },
      (_, n) => [`${PREFIX}-${n}`, { image, startTimeout: START_TIMEOUT, ...kinds[n % kinds.length] }],
    ),
  );
  for (const [name, template] of templates) await cless.deploy(name, template);

  const watch = new Watch({
    get pid() {
      return cless.program.pid;
    },
  }, 5000);
  const before = await watch.look();
  const ending = new AbortController();
  const { signal } = ending;
  const auditing = new AbortController();
  const audited = audit(cless, tally, auditing.signal);
  const random = (part: number) => new Random(seed, part);
  const client = newClient();
  const use = { ...TIERS, client, proxy: new URL(cless.url).host, tally, signal };
  const users = [...templates.keys()].map((service, n) => useService({ ...use, service, random: random(n) }));
  const began = performance.now();
  const end = began + minutes * 60_000;
  // How fast its memory grows is judged by its last process.
  const killsUntil = minutes > LEAST_MINUTES ? end - LEAST_MINUTES * 60_000 : end;
  const chaos = { cless, tally, signal };
  const harmed = harmContainers({ ...chaos, random: random(-1), every: EVERY_MS.harm });
  const changed = changeServices({ ...chaos, random: random(-2), every: EVERY_MS.change, templates });
  const swapped = swap ? moveSwap(swap, { random: random(-3), signal, tally, every: EVERY_MS.swap }) : 0;
  const restarted = restart({ ...chaos, random: random(-4), every: EVERY_MS.restart, engine, killsUntil });
  while (performance.now() < end) {
    await pauseFor(Math.min(30_000, end - performance.now()), signal);
    const seconds = Math.round((performance.now() - began) / 1000);
    const used = await watch.look().then(
      ({ files, memory }) => `${(memory / MIB).toFixed(0)} MiB, ${files} files`,
      () => "cless has been killed",
    );
    tell(`${seconds} s: ${tally.requests} requests, ${used}`);
  }
  ending.abort();
  await Promise.all(users);
  client.close(); // its connections are no leak
  const counts = [...await restarted].map(([what, { count, longestMs }]) =>
    `${what} ${count} times, for ${(longestMs / 1000).toFixed(1)} s at most`
  );
  tell(
    [
      `${await harmed} containers harmed`,
      `${await changed} revisions deployed`,
      `swap removed ${await swapped} times`,
      ...counts,
    ].join("; "),
  );
  watch.stop();
  const leftovers = await findLeftovers(cless, watch, {
    stopAfter: TIERS.stopAfter,
    mostInstances: Math.floor(count / kinds.length),
    filesBefore: before.files,
    dataDir,
    ending: () => {
      auditing.abort();
      return audited;
    },
  });
  const complaints = complaintsTable(await Deno.readTextFile(logFile));
  const tables = [tally.requestsTable(), tally.failuresTable(), tally.wakesTable(bare), complaints];
  for (const text of [...tables, leftoversTable(leftovers)]) tell(`\n${text}`);
  return !tally.failed && !leftovers.some(isLeak);
}

/** An engine for this run alone, whose containers go on without it, where this user may start one. */
async function startEngine(folder: string): Promise<Engine> {
  if (await mayStartEngine()) return await Engine.start(folder, { keepsContainers: true });
  await Deno.mkdir(folder);
  return Engine.ofMachine(folder);
}

/** What the program has warned of, and how often. @param log Lines, of which some may not be its own. */
function complaintsTable(log: string): string {
  const lines = log.split("\n").flatMap((line) => {
    try {
      return line.startsWith("{") ? [JSON.parse(line)] : [];
    } catch {
      return [{ level: "error", message: "a line of a process that was killed" }];
    }
  });
  const said = lines.filter(({ level }) => level === "warning" || level === "error").map(({ code, message, reason }) =>
    [message, code, reason].filter(Boolean).join("; ").replaceAll(/soak-[\w-]+|\b[0-9a-f]{12,}\b/g, "…")
  );
  const rows = [...Map.groupBy(said, (text) => text)].map(([text, those]) => [text, `${those.length}`]);
  return table(["warnings and errors in the log", "count"], rows.length > 0 ? rows : [["none", "0"]]);
}
