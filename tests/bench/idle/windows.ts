import { childrenOf, cpuMicros, residentMb } from "../support/process.ts";

/** Somebody who does nothing. */
export interface Idler {
  readonly name: string;
  readonly pid: number;
}

/** What somebody used in one window of time. */
export interface Idleness {
  /** The process itself, as a share of one core. */
  readonly cpu: number;
  /** What it has started, as a share of one core. */
  readonly childrenCpu: number;
  /** In memory at the end, MB. */
  readonly residentMb: number;
  /** What it has started, in memory at the end, MB. */
  readonly childrenMb: number;
  /** How many processes it has started that run at the end. */
  readonly children: number;
}

/**
 * Looks at some processes while nothing happens. All are looked at in the same windows, so that what else the machine
 * does is the same for all.
 *
 * @returns What each has used, by its place in the list, window by window.
 */
export async function watchIdle(
  idlers: readonly Idler[],
  { windows, seconds }: { windows: number; seconds: number },
  signal: AbortSignal,
): Promise<Idleness[][]> {
  const all: Idleness[][] = idlers.map(() => []);
  for (let n = 0; n < windows; n++) {
    const before = await Promise.all(idlers.map(usageOf));
    await sleep(seconds * 1000, signal);
    const after = await Promise.all(idlers.map(usageOf));
    idlers.forEach((_, at) => {
      const [a, b] = [before[at]!, after[at]!];
      const micros = (b.at - a.at) * 1000;
      all[at]!.push({
        cpu: (b.cpuMicros - a.cpuMicros) / micros,
        childrenCpu: (b.children.cpuMicros - a.children.cpuMicros) / micros,
        residentMb: b.residentMb,
        childrenMb: b.children.residentMb,
        children: b.children.count,
      });
    });
  }
  return all;
}

async function usageOf({ pid }: Idler) {
  return {
    at: performance.now(),
    cpuMicros: await cpuMicros(pid),
    residentMb: await residentMb(pid),
    children: await childrenOf(pid),
  };
}

/** Lets time pass. @param ms How much. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + ms;
  for (let left = ms; left > 0; left = end - performance.now()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, 500)));
  }
}
