import { residentMb } from "./process.ts";

const PERIOD_MS = 100;

/**
 * Looks again and again how much of a process is in memory, while something goes on.
 *
 * @returns What came of it, and the most that was seen, MB.
 */
export async function watchMemory<T>(pid: number, work: () => Promise<T>): Promise<{ value: T; highestMb: number }> {
  let highestMb = await residentMb(pid);
  // A process that has ended meanwhile shows elsewhere.
  const look = () => residentMb(pid).then((mb) => highestMb = Math.max(highestMb, mb), () => {});
  const timer = setInterval(look, PERIOD_MS);
  try {
    const value = await work();
    await look();
    return { value, highestMb };
  } finally {
    clearInterval(timer);
  }
}
