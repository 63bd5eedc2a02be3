import { messageOf } from "../../../src/base/errors.ts";
import { BenchError } from "./errors.ts";
import { untilAnswer } from "./http_client.ts";

/** How long a program may take to end by itself, ms. */
const PATIENCE_MS = 20_000;
/** How much of a program's output is kept, characters. */
const KEPT = 4000;

/** How a {@linkcode Program} is started. */
export interface ProgramOptions {
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** A file that what it writes is added to. */
  readonly log?: string;
}

/** A server that the bench has started, and that ends with it. */
export class Program implements AsyncDisposable {
  readonly name: string;
  readonly #child: Deno.ChildProcess;
  #output = "";
  #ended = false;

  private constructor(name: string, child: Deno.ChildProcess, log?: string) {
    this.name = name;
    this.#child = child;
    this.#keep(child.stdout, log);
    this.#keep(child.stderr, log);
    child.status.then(() => this.#ended = true);
  }

  /**
   * Starts it.
   *
   * @throws {BenchError} When there is no such command.
   */
  static start(name: string, command: string, { args, cwd, env, log }: ProgramOptions): Program {
    try {
      const child = new Deno.Command(command, {
        args: [...args],
        env: env ?? {},
        ...(cwd === undefined ? {} : { cwd }),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        // Ctrl-C is for the bench, which ends its programs in order; a second signal would make cless leave at once.
        detached: true,
      }).spawn();
      return new Program(name, child, log);
    } catch (error) {
      throw new BenchError(`cannot start ${name}: ${messageOf(error)}`);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a signal; nothing happens where it has ended. */
  signal(signal: Deno.Signal): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Waits until it has ended by itself or by a signal; returns its exit code. */
  async exit(): Promise<number> {
    return (await this.#child.status).code;
  }

  /** @throws {BenchError} When it has ended; the message is the last thing it said. */
  check(): void {
    if (this.#ended) throw new BenchError(`${this.name} has ended: ${this.lastLine}`);
  }

  /** The last line that it has written. */
  get lastLine(): string {
    return this.#output.trim().split("\n").at(-1) ?? "";
  }

  /**
   * Waits until it answers, whatever it says.
   *
   * @throws {BenchError} When it has ended, or does not answer.
   */
  async untilListening(url: string, signal: AbortSignal): Promise<void> {
    await untilAnswer(url, () => true, () => {
      signal.throwIfAborted();
      this.check();
    });
  }

  /** Ends it, and waits until it has; returns its exit code. */
  async end(): Promise<number> {
    if (!this.#ended) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #keep(stream: ReadableStream<Uint8Array<ArrayBuffer>>, log?: string): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#output = (this.#output + text).slice(-KEPT);
      if (log !== undefined) Deno.writeTextFileSync(log, text, { append: true });
    }
  }
}
