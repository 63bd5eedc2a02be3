import { readProc } from "../../base/machine.ts";

/** The machine's swap, bytes. */
export interface SwapSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Reads the machine's swap from the text of proc_meminfo(5). */
export function parseSwap(meminfo: string): SwapSpace {
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  return { totalBytes: bytes("SwapTotal"), freeBytes: bytes("SwapFree") };
}

/** The machine's swap now; none if it is not known. */
export async function readSwap(): Promise<SwapSpace> {
  return parseSwap(await readProc("/proc/meminfo"));
}
