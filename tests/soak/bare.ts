import { docker } from "../support/docker.ts";

const RESUMES = 30;
const STARTS = 10;

/** What the engine alone takes for what wakes a service, ms by what it is. */
export async function bareTimes(image: string): Promise<Record<string, readonly number[]>> {
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
  return { "bare docker unpause": resumes, "bare docker run": starts };
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
