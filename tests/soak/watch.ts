/** How the program stood at one moment. */
interface Sample {
  /** In the clock's ms. */
  readonly at: number;
  /** Bytes. */
  readonly memory: number;
  readonly files: number;
}

/** In less time, what is still being warmed up looks like a leak. */
export const LEAST_MINUTES = 10;
/**
 * More than twice what a good run has come to whose heap did not grow: 1.1 MiB a minute in the second half of 12 minutes, and
 * 0.2 over 18 minutes.
 */
const MOST_GROWTH = 2.5 * 1024 ** 2;

/** How fast the memory of a good program may grow in the second half of a run, bytes per minute. */
export function mostGrowth(minutes: number): number {
  return minutes < LEAST_MINUTES ? Infinity : MOST_GROWTH;
}

/**
 * Looks at a program every so often: how much memory and how many file descriptors it has. Begins anew when it runs as
 * another process.
 */
export class Watch {
  readonly #program: { readonly pid: number };
  #pid: number;
  #samples: Sample[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(program: { readonly pid: number }, intervalMs: number) {
    this.#program = program;
    this.#pid = program.pid;
    this.#timer = setInterval(() => void this.look().catch(() => {}), intervalMs); // it may have been killed
  }

  /** How it is now. @throws {Error} If it does not run. */
  async look(): Promise<Sample> {
    const { pid } = this.#program;
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    const memory = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    const files = (await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`))).length;
    if (pid !== this.#pid) this.#samples = [];
    this.#pid = pid;
    const sample = { at: performance.now(), memory, files };
    this.#samples.push(sample);
    return sample;
  }

  /** For how long it has been watched as the same process. */
  get minutes(): number {
    return (performance.now() - (this.#samples[0]?.at ?? Infinity)) / 60_000;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** How fast the memory has grown in the second half of the time, bytes per minute; by least squares. */
  slope(): number {
    const late = this.#samples.slice(Math.floor(this.#samples.length / 2));
    const mean = (of: (sample: Sample) => number) => late.reduce((sum, sample) => sum + of(sample), 0) / late.length;
    const [time, memory] = [mean(({ at }) => at), mean(({ memory }) => memory)];
    const over = late.reduce((sum, sample) => sum + (sample.at - time) * (sample.memory - memory), 0);
    const under = late.reduce((sum, { at }) => sum + (at - time) ** 2, 0);
    return over / under * 60_000;
  }
}
