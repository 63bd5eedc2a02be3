import { APP_HOST } from "../support/app.ts";
import type { Count } from "../support/count.ts";
import { BenchError } from "../support/errors.ts";
import type { Load } from "./loads.ts";
import { buildGo } from "../support/tool.ts";

const SOURCE = `${import.meta.dirname}/../sender`;
/** How long requests that were begun may take to end, ms. */
const PATIENCE_MS = 90_000;
const decoder = new TextDecoder();

/** How long a {@linkcode Sender} begins new requests, or how many it sends. */
export type Amount = { readonly seconds: number } | { readonly requests: number };

/** Sends requests, lets each finish, and looks at every byte of every answer: `sender/main.go`. */
export class Sender {
  readonly #executable: string;

  private constructor(executable: string) {
    this.#executable = executable;
  }

  /** @param folder Where the executable is put. */
  static async build(folder: string, signal: AbortSignal): Promise<Sender> {
    const executable = `${folder}/sender`;
    await buildGo(SOURCE, executable, signal);
    return new Sender(executable);
  }

  /**
   * Sends the requests of a load.
   *
   * @param url The proxy's loopback address.
   * @throws {BenchError} When there was a wrong answer.
   */
  async send(load: Load, url: string, amount: Amount, signal: AbortSignal): Promise<Count> {
    const limitMs = ("seconds" in amount ? amount.seconds * 1000 : 0) + PATIENCE_MS;
    const { success, stdout, stderr } = await new Deno.Command(this.#executable, {
      args: [
        `-address=${new URL(url).host}`,
        `-host=${APP_HOST}`,
        `-connections=${load.connections}`,
        `-download=${load.download}`,
        `-upload=${load.upload ?? 0}`,
        `-once=${load.once ?? false}`,
        "seconds" in amount ? `-seconds=${amount.seconds}` : `-requests=${amount.requests}`,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
    }).output();
    signal.throwIfAborted();
    if (!success) throw new BenchError(`wrong answer: ${decoder.decode(stderr).trim() || "none in time"}`);
    const { requests, seconds, p99Ms } = JSON.parse(decoder.decode(stdout));
    return { requests, requestsPerSecond: requests / seconds, p99Ms };
  }
}
