/** A program that a test has started: its lines, and its end. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #stderr: ReadableStreamDefaultReader<string>;
  readonly #seen = { stdout: "", stderr: "" };

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#stdout = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Runs a module with a limit on its file descriptors. */
  static withDescriptors(limit: number, module: URL, ...args: string[]): Child {
    const script = `ulimit -n ${limit} && exec "$0" run -A --quiet "$@"`;
    return new Child(
      new Deno.Command("sh", {
        args: ["-c", script, Deno.execPath(), module.pathname, ...args],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  }

  /** The first match in what it writes. */
  async until(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    const reader = stream === "stdout" ? this.#stdout : this.#stderr;
    for (;;) {
      const match = pattern.exec(this.#seen[stream]);
      if (match !== null) return match;
      const { value, done } = await reader.read();
      if (done) throw new Error(`Cannot find ${pattern} in what the program wrote: ${this.#seen[stream]}`);
      this.#seen[stream] += value;
    }
  }

  /** Writes to its standard input. */
  async write(text: string): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  /** Closes its standard input. */
  async closeInput(): Promise<void> {
    await this.#process.stdin.close();
  }

  /** Resolves with its exit code. */
  async ended(): Promise<number> {
    const rest = async (reader: ReadableStreamDefaultReader<string>) => {
      while (!(await reader.read()).done);
    };
    await Promise.all([rest(this.#stdout), rest(this.#stderr)]);
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#process.stdin.close().catch(() => {});
    await this.ended();
  }
}
