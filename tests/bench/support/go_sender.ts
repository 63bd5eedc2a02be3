import { BenchError } from "./errors.ts";
import { buildGo } from "./tool.ts";

const decoder = new TextDecoder();

/** A program of Go that sends requests, and prints what came of them as one line of JSON. */
export class GoSender {
  readonly #executable: string;

  private constructor(executable: string) {
    this.#executable = executable;
  }

  /**
   * @param source The folder of its source, below that of the bench.
   * @param folder Where the executable is put.
   * @throws {BenchError} When Go refuses.
   */
  static async build(source: string, folder: string, signal: AbortSignal): Promise<GoSender> {
    const executable = `${folder}/sender`;
    await buildGo(`${import.meta.dirname}/../${source}`, executable, signal);
    return new GoSender(executable);
  }

  /**
   * Has it send, and waits for its end.
   *
   * @param limitMs How long it may take.
   * @returns What it has printed.
   * @throws {BenchError} When it has failed, with what it says, or is not done in time.
   */
  async run<T>(args: readonly string[], limitMs: number, signal: AbortSignal): Promise<T> {
    const { success, stdout, stderr } = await new Deno.Command(this.#executable, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
    }).output();
    signal.throwIfAborted();
    if (!success) throw new BenchError(`the sender has failed: ${decoder.decode(stderr).trim() || "not done in time"}`);
    return JSON.parse(decoder.decode(stdout));
  }
}
