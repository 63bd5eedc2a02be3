import { BenchError } from "../support/errors.ts";
import { buildGo } from "../support/tool.ts";

const SOURCE = `${import.meta.dirname}/sender`;
/** How many requests are due in a second, on average. */
export const RATE = 1000;
/** How long the last requests may take to end, and the sender to print, ms; it waits for 30 s itself. */
const PATIENCE_MS = 45_000;
const decoder = new TextDecoder();

/** What is sent during one turn. */
export interface SendOptions {
  /** Whom the requests are for, each as often as the others. */
  readonly hosts: readonly string[];
  /** How long is sent before it is measured. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** When requests are due, and for whom: the same seed gives the same. */
  readonly seed: number;
}

/** What became of the requests of one turn; those of the warm-up count as failures only. */
export interface Sent {
  /** From when a request was due to the end of its answer, µs, of each that was answered as it should be. */
  readonly micros: readonly number[];
  /** By how much the sender itself was late with each, µs. */
  readonly lateMicros: readonly number[];
  readonly failures: number;
  /** What was wrong with the first that failed; empty where none did. */
  readonly failure: string;
  /** How many connections there were in the end. */
  readonly connections: number;
}

/** Sends requests when they are due, and never waits for an answer before the next: `sender/main.go`. */
export class OpenLoopSender {
  readonly #executable: string;

  private constructor(executable: string) {
    this.#executable = executable;
  }

  /** @param folder Where the executable is put. */
  static async build(folder: string, signal: AbortSignal): Promise<OpenLoopSender> {
    const executable = `${folder}/open-loop-sender`;
    await buildGo(SOURCE, executable, signal);
    return new OpenLoopSender(executable);
  }

  /**
   * Sends the requests of a turn to a loopback address.
   *
   * @throws {BenchError} When the sender does not end.
   */
  async send(url: string, { hosts, seconds, seed, warmUpSeconds }: SendOptions, signal: AbortSignal): Promise<Sent> {
    const limitMs = (warmUpSeconds + seconds) * 1000 + PATIENCE_MS;
    const { success, stdout, stderr } = await new Deno.Command(this.#executable, {
      args: [
        `-address=${new URL(url).host}`,
        `-hosts=${hosts.join(",")}`,
        `-rate=${RATE}`,
        `-warm-up=${warmUpSeconds}`,
        `-seconds=${seconds}`,
        `-seed=${seed}`,
      ],
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
