import { table } from "../bench/support/table.ts";
import type { ClessUnderTest } from "../bench/support/cless_under_test.ts";
import { docker } from "../support/docker.ts";
import { readContainers } from "./audit.ts";
import { mostGrowth, type Watch } from "./watch.ts";

const MIB = 1024 ** 2;
/** So many more files than at first may be open: connections to the engine, and what the platform keeps. */
const MOST_NEW_FILES = 20;
/** What an instance may take to be stopped when it is time, ms. */
const SLACK_MS = 15_000;

/** How much of something is there once nobody asks for anything any more. */
interface Leftover {
  readonly what: string;
  readonly found: number;
  /** More than that is a leak. */
  readonly most: number;
}

/** Options of {@linkcode findLeftovers}. */
interface LeftoversOptions {
  /** ms */
  readonly stopAfter: number;
  /** How many instances are kept up. */
  readonly mostInstances: number;
  readonly filesBefore: number;
  /** The folder of its data, which its helpers name in their arguments. */
  readonly dataDir: string;
  /** Is called before the program ends. */
  readonly ending: () => Promise<void>;
}

/** Looks at what the program has left once everything should be asleep, and then ends it and looks again. */
export async function findLeftovers(
  cless: ClessUnderTest,
  watch: Watch,
  { dataDir, ending, filesBefore, mostInstances, stopAfter }: LeftoversOptions,
): Promise<Leftover[]> {
  await new Promise((resolve) => setTimeout(resolve, stopAfter + SLACK_MS));
  const [slope, growth] = [watch.slope(), mostGrowth(watch.minutes)];
  const instances = await cless.instances();
  const containers = await readContainers(cless.owner);
  const { files } = await watch.look();
  await ending();
  const ids = instances.map(({ id }) => id);
  const code = await cless.program.end();
  const left = await readContainers(cless.owner);
  const networks = await docker("network", "ls", "--quiet", `--filter=name=cless-${cless.owner}`);
  return [
    { what: "instances, some of which are kept up", found: instances.length, most: mostInstances },
    { what: "containers without an instance", found: containers.filter(({ id }) => !ids.includes(id)).length, most: 0 },
    { what: "frozen containers", found: containers.filter(({ isFrozen }) => isFrozen).length, most: 0 },
    { what: "leases", found: instances.reduce((sum, { inFlight }) => sum + inFlight, 0), most: 0 },
    { what: `file descriptors, ${filesBefore} at first`, found: files, most: filesBefore + MOST_NEW_FILES },
    { what: "exit code", found: code, most: 0 },
    { what: "containers after the exit", found: left.length, most: 0 },
    { what: "networks after the exit", found: networks.split("\n").filter(Boolean).length, most: 0 },
    { what: "processes after the exit", found: await countProcesses(dataDir), most: 0 },
    ...(growth === Infinity
      ? []
      : [{ what: "memory, MiB a minute", found: Number((slope / MIB).toFixed(2)), most: growth / MIB }]),
  ];
}

/** How many processes have a folder among their arguments. */
async function countProcesses(folder: string): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""); // it has ended meanwhile
    if (command.includes(folder)) count++;
  }
  return count;
}

/** Whether it is more than there may be. */
export function isLeak({ found, most }: Leftover): boolean {
  return found > most;
}

/** The table of what is left. */
export function leftoversTable(leftovers: readonly Leftover[]): string {
  const rows = leftovers.map((leftover) => {
    const { found, most, what } = leftover;
    return [what, `${found}`, `${most}`, isLeak(leftover) ? "LEAK" : ""];
  });
  return table(["left at the end", "found", "at most", ""], rows);
}
