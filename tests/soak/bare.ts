import { docker } from "../support/docker.ts";
import { at } from "./tally.ts";

const RESUMES = 30;
const STARTS = 10;

/** What the engine alone takes for what wakes a service: the line of a report. */
export async function bareTimes(image: string): Promise<string[]> {
  const name = `soak-bare-${crypto.randomUUID().slice(0, 8)}`;
  const starts: number[] = [];
  const resumes: number[] = [];
  try {
    for (let n = 0; n < STARTS; n++) {
      await docker("rm", "--force", name);
      starts.push(await timed(() => docker("run", "--detach", "--pull=never", `--name=${name}`, image)));
    }
    for (let n = 0; n < RESUMES; n++) {
      await docker("pause", name);
      resumes.push(await timed(() => docker("unpause", name)));
    }
  } finally {
    await docker("rm", "--force", name);
  }
  return [line("docker unpause", resumes), line("docker run", starts)];
}

function line(what: string, times: number[]): string {
  const sorted = times.sort((a, b) => a - b);
  return `bare ${what.padEnd(14)}   p50 ${at(sorted, 0.5)} ms   p99 ${at(sorted, 0.99)} ms`;
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
