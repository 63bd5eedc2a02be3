import { table } from "../bench/support/table.ts";
import { docker } from "../support/docker.ts";
import type { Program } from "../support/program.ts";
import type { Watch } from "./watch.ts";

const MIB = 1024 ** 2;
/** So many more files than at first may be open: connections to the engine, and what the platform keeps. */
const MOST_NEW_FILES = 20;
/** What an instance may take to be stopped when it is time, ms. */
const SLACK_MS = 15_000;

/** How much of something is there once nobody asks for anything any more. */
interface Leftover {
  readonly what: string;
  readonly found: number;
  /** More than that is a leak; missing where it is only told. */
  readonly most?: number;
}

/** Options of {@linkcode findLeftovers}. */
interface LeftoversOptions {
  /** ms */
  readonly stopAfter: number;
  /** How many instances are kept up. */
  readonly mostInstances: number;
  readonly filesBefore: number;
  /** How fast the memory may grow, bytes a minute. */
  readonly mostGrowth: number;
}

/** Looks at what the program has left once everything should be asleep, and then ends it and looks again. */
export async function findLeftovers(
  program: Program,
  watch: Watch,
  { filesBefore, mostGrowth, mostInstances, stopAfter }: LeftoversOptions,
): Promise<Leftover[]> {
  await new Promise((resolve) => setTimeout(resolve, stopAfter + SLACK_MS));
  const slope = watch.slope();
  const instances = await program.api("/v1/instances");
  const containers = await program.containers();
  const { files } = await watch.look();
  const ids = instances.map(({ id }) => String(id));
  const code = await program.end();
  const left = await program.containers();
  const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
  const networks = (await docker("network", "ls", "--quiet", `--filter=name=cless-${owner}`)).split("\n").filter(
    Boolean,
  );
  return [
    { what: "instances, some of which are kept up", found: instances.length, most: mostInstances },
    { what: "containers without an instance", found: containers.filter((name) => !ids.includes(name)).length, most: 0 },
    { what: "leases", found: instances.reduce((sum, { inFlight }) => sum + Number(inFlight), 0), most: 0 },
    { what: `file descriptors, ${filesBefore} at first`, found: files, most: filesBefore + MOST_NEW_FILES },
    { what: "exit code", found: code, most: 0 },
    { what: "containers after the exit", found: left.length, most: 0 },
    { what: "networks after the exit", found: networks.length, most: 0 },
    {
      what: "memory, MiB a minute in the second half",
      found: Number((slope / MIB).toFixed(2)),
      ...(mostGrowth === Infinity ? {} : { most: mostGrowth / MIB }),
    },
  ];
}

/** Whether it is more than there may be. */
export function isLeak({ found, most }: Leftover): boolean {
  return most !== undefined && found > most;
}

/** The table of what is left. */
export function leftoversTable(leftovers: readonly Leftover[]): string {
  const rows = leftovers.map((leftover) => {
    const { found, most, what } = leftover;
    return [what, `${found}`, most === undefined ? "" : `${most}`, isLeak(leftover) ? "LEAK" : ""];
  });
  return table(["left at the end", "found", "at most", ""], rows);
}
