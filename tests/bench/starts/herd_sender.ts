import { APP_HOST } from "../support/app.ts";
import { BenchError } from "../support/errors.ts";
import { buildGo } from "../support/tool.ts";

const SOURCE = `${import.meta.dirname}/../sender`;
const PATIENCE_MS = 90_000;
const decoder = new TextDecoder();

/** What those who sent a herd have seen; times are from the first request on, ms. */
export interface Sent {
  readonly answers: number;
  readonly failures: number;
  /** What was wrong with one that failed; empty where none did. */
  readonly failure: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Sends many requests at once, each over a connection of its own: `sender/herd.go`. */
export class HerdSender {
  readonly #executable: string;

  private constructor(executable: string) {
    this.#executable = executable;
  }

  /** @param folder Where the executable is put. */
  static async build(folder: string, signal: AbortSignal): Promise<HerdSender> {
    const executable = `${folder}/sender`;
    await buildGo(SOURCE, executable, signal);
    return new HerdSender(executable);
  }

  /**
   * Sends a herd of requests for the 12 bytes.
   *
   * @param url The proxy's loopback address.
   * @throws {BenchError} When it has not been answered in time.
   */
  async send(url: string, size: number, signal: AbortSignal): Promise<Sent> {
    const { success, stdout, stderr } = await new Deno.Command(this.#executable, {
      args: ["-herd", `-address=${new URL(url).host}`, `-host=${APP_HOST}`, `-connections=${size}`, "-download=12"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    }).output();
    signal.throwIfAborted();
    if (!success) throw new BenchError(`the sender has failed: ${decoder.decode(stderr).trim() || "not in time"}`);
    return JSON.parse(decoder.decode(stdout));
  }
}
