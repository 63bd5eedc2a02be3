/** How long a clock tick of the kernel's accounting is on Linux, µs: proc(5), `sysconf(_SC_CLK_TCK)` is 100 on every port. */
const TICK_MICROS = 10_000;

/** The CPU time that a process has used so far, in user mode and in the kernel, µs. Its children are not counted. */
export async function cpuMicros(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The second field is the program's name, in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
}

/** How much of a process is in memory, MB. */
export async function residentMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
