/** How long a clock tick of the kernel's accounting is on Linux, µs: proc(5), `sysconf(_SC_CLK_TCK)` is 100 on every port. */
const TICK_MICROS = 10_000;

/** The CPU time that a process has used so far, in user mode and in the kernel, µs. Its children are not counted. */
export async function cpuMicros(pid: number): Promise<number> {
  return (await readStat(pid)).ownMicros;
}

/** As {@linkcode cpuMicros}, in user mode alone: without what the kernel does, which may be for others. */
export async function userMicros(pid: number): Promise<number> {
  return (await readStat(pid)).userMicros;
}

/** What the processes that a process has started use. */
export interface Children {
  /** The CPU time of those that run, and of those that have ended, µs. */
  readonly cpuMicros: number;
  /** How much of those that run is in memory, MB. */
  readonly residentMb: number;
  /** How many run. */
  readonly count: number;
}

/** What the children of a process have used so far, and theirs as far as they have ended. */
export async function childrenOf(pid: number): Promise<Children> {
  let { endedMicros: micros } = await readStat(pid);
  let [mb, count] = [0, 0];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const { endedMicros, ownMicros, parent } = await readStat(Number(name));
      if (parent !== pid) continue;
      mb += await residentMb(Number(name));
      micros += ownMicros + endedMicros;
      count++;
    } catch {
      // It has ended meanwhile.
    }
  }
  return { cpuMicros: micros, residentMb: mb, count };
}

/** What the kernel says of a process, µs. */
interface Stat {
  readonly parent: number;
  readonly userMicros: number;
  readonly ownMicros: number;
  readonly endedMicros: number;
}

async function readStat(pid: number): Promise<Stat> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The second field is the program's name, in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const micros = (first: number) => (fields[first]! + fields[first + 1]!) * TICK_MICROS;
  return {
    ...{ parent: fields[1]!, userMicros: fields[11]! * TICK_MICROS },
    ...{ ownMicros: micros(11), endedMicros: micros(13) },
  };
}

/** How much of a process is in memory, MB. */
export async function residentMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
