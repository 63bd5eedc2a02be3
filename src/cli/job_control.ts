import { readProcSync } from "../base/machine.ts";

/** What a process belongs to. */
export interface ProcessPlace {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/**
 * Whether a shell can let this program go on after it has stopped, or nobody knows. There is no shell with job control
 * above `ssh -t HOST cless top`: in the words of POSIX, the program's process group is orphaned.
 *
 * @param placeOf What a process belongs to; `undefined` if unknown.
 */
export function hasJobControl(placeOf = readPlace, pid = Deno.pid): boolean {
  const own = placeOf(pid);
  let above = own;
  while (own !== undefined && above !== undefined) {
    if (above.parent === 0) return false;
    above = placeOf(above.parent);
    if (above === undefined) break;
    if (above.session !== own.session) return false;
    if (above.group !== own.group) return true;
  }
  return true;
}

/** See proc_pid_stat(5). */
function readPlace(pid: number): ProcessPlace | undefined {
  const text = readProcSync(`/proc/${pid}/stat`);
  const [, parent = NaN, group = NaN, session = NaN] = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  return Number.isNaN(session) ? undefined : { parent, group, session };
}
