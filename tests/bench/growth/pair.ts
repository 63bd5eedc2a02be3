import type { DockerCommand } from "../../../src/docker/command.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { cpuMicros, residentMb } from "../support/process.ts";
import type { Bench } from "../scenario.ts";

/** For how long nothing is asked of a cless that has just started, ms. */
export const IDLE_MS = 5000;

/** What is measured of a cless with many services, and of one with one. */
export type Side = "one" | "many";

/** Where the data-dirs of both are; what was declared in them stays from one start to the next. */
export type Folders = Readonly<Record<Side, string>>;

/** How a cless was when it had just started. */
export interface Start {
  /** From the start of the process to a good /readyz, ms. */
  readonly startMs: number;
  /** In memory, {@linkcode IDLE_MS} later, MB. */
  readonly idleMb: number;
  /** CPU time in the second half of that time, µs per second. */
  readonly idleMicros: number;
}

/** Both, at work at the same time. */
export class Pair implements AsyncDisposable {
  readonly one: ClessUnderTest;
  readonly many: ClessUnderTest;
  readonly starts: Readonly<Record<Side, Start>>;
  readonly #running: AsyncDisposableStack;

  private constructor(
    both: Readonly<Record<Side, ClessUnderTest>>,
    starts: Readonly<Record<Side, Start>>,
    running: AsyncDisposableStack,
  ) {
    this.one = both.one;
    this.many = both.many;
    this.starts = starts;
    this.#running = running;
  }

  /** Starts one after the other, and leaves both alone for a while. @param order Which one comes first. */
  static async start(
    { docker, signal }: { readonly docker: DockerCommand; readonly signal: Bench["signal"] },
    folders: Folders,
    order: readonly Side[],
  ): Promise<Pair> {
    await using running = new AsyncDisposableStack();
    const both: Partial<Record<Side, ClessUnderTest>> = {};
    for (const side of order) both[side] = running.use(await ClessUnderTest.start(docker, folders[side], signal));
    const { one, many } = both as Record<Side, ClessUnderTest>;
    await pause(IDLE_MS / 2);
    const before = { one: await cpuMicros(one.program.pid), many: await cpuMicros(many.program.pid) };
    await pause(IDLE_MS / 2);
    const startOf = async ({ program: { pid }, startMs }: ClessUnderTest, cpuBefore: number): Promise<Start> => ({
      startMs,
      idleMb: await residentMb(pid),
      idleMicros: (await cpuMicros(pid) - cpuBefore) / (IDLE_MS / 2 / 1000),
    });
    const starts = { one: await startOf(one, before.one), many: await startOf(many, before.many) };
    return new Pair({ one, many }, starts, running.move());
  }

  /** Ends both. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}

/** The order of a round: by turns. */
export function sidesOf(round: number): readonly [Side, Side] {
  return round % 2 === 0 ? ["one", "many"] : ["many", "one"];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
