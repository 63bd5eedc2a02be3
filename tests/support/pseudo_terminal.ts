import { VirtualScreen } from "./virtual_screen.ts";

/** What has not been shown after this time will not be shown. */
const SHOWN_MS = 60_000;

/** Options of {@linkcode PseudoTerminal.start}. */
export interface PseudoTerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Record<string, string>;
  /** Whether the program is a job of a shell, which waits for Enter after the program has stopped, and continues it. */
  readonly hasJobControl?: boolean;
}

/** Whether there are the programs that make a pseudo terminal. */
export async function hasPseudoTerminals(): Promise<boolean> {
  try {
    const args = ["-qec", "stty -a", "/dev/null"];
    const { success } = await new Deno.Command("script", { args, stdin: "null", stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch {
    return false;
  }
}

/** A program in a terminal, made by `script` of util-linux. */
export class PseudoTerminal implements AsyncDisposable {
  readonly screen: VirtualScreen;
  /** What the program has written, in bytes. */
  written = 0;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reading: Promise<void>;
  #shown = Promise.withResolvers<void>();
  #ended = false;
  #failure: unknown;

  private constructor(child: Deno.ChildProcess, screen: VirtualScreen) {
    this.#child = child;
    this.screen = screen;
    this.#input = child.stdin.getWriter();
    this.#reading = this.#read().catch((error) => this.#failure = error).then(() => {
      this.#ended = true;
      this.#shown.resolve();
    });
  }

  /**
   * Starts a program. Before it, the screen has lines with the terminal's name, its settings and the program's process
   * id; after it, lines with the settings and the exit code.
   */
  static start(
    program: readonly string[],
    { columns = 80, env = {}, hasJobControl = false, rows = 24 }: PseudoTerminalOptions = {},
  ): PseudoTerminal {
    const quoted = program.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    const command = [
      ...(hasJobControl ? ["set -m"] : []),
      `stty cols ${columns} rows ${rows}`,
      "echo terminal $(tty)",
      'echo before $(stty -g | cksum | cut -d " " -f 1)',
      `sh -c 'echo process $$; exec "$@"' sh ${quoted}`,
      "code=$?",
      "while test $code = 147; do read line; fg >/dev/null; code=$?; done", // 128 + SIGSTOP
      'echo after $(stty -g | cksum | cut -d " " -f 1)',
      "echo code $code",
    ].join("\n");
    const child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      env: { SHELL: "/bin/sh", TERM: "xterm-256color", NO_COLOR: "", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return new PseudoTerminal(child, new VirtualScreen(columns, rows));
  }

  /** The program's process id. */
  get pid(): number {
    return Number(this.#said("process"));
  }

  /** The settings of the terminal before and after the program; the latter `undefined` until it has ended. */
  get settings(): { before: string | undefined; after: string | undefined } {
    return { before: this.#said("before"), after: this.#said("after") };
  }

  /** The program's exit code. */
  get code(): number {
    return Number(this.#said("code"));
  }

  /** Presses keys. */
  async press(keys: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(keys));
  }

  async resize(columns: number, rows: number): Promise<void> {
    const args = ["-F", this.#said("terminal")!, "cols", String(columns), "rows", String(rows)];
    this.screen.resize(columns, rows);
    const { success } = await new Deno.Command("stty", { args, stdout: "null", stderr: "null" }).output();
    if (!success) throw new Error("the terminal could not be resized");
  }

  /** Waits until the screen shows something. */
  async until(isShown: (screen: VirtualScreen) => boolean): Promise<void> {
    const late = AbortSignal.timeout(SHOWN_MS);
    late.addEventListener("abort", () => this.#shown.resolve());
    while (!isShown(this.screen)) {
      if (this.#failure !== undefined) throw this.#failure;
      if (late.aborted || this.#ended) throw new Error(`the screen has something else:\n${this.screen.text}`);
      await this.#shown.promise;
      this.#shown = Promise.withResolvers();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until the screen has a text. */
  async shows(text: string): Promise<void> {
    await this.until(({ lines }) => lines.join("\n").includes(text));
  }

  /** Waits until the program has ended. */
  async end(): Promise<void> {
    await this.until(({ isOther, text }) => !isOther && /^code \d+$/m.test(text));
  }

  /** Takes the terminal away, as a lost connection does. */
  async hangUp(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#reading;
    await this.#input.abort().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hangUp();
  }

  #said(what: string): string | undefined {
    return new RegExp(`^${what} (\\S+)$`, "m").exec(this.screen.mainText)?.[1];
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.written += chunk.length;
      this.screen.write(decoder.decode(chunk, { stream: true }));
      this.#shown.resolve();
    }
  }
}
