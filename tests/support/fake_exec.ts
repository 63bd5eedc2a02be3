import type { ExecCommand, ExecEnd, ExecPiece, ExecProcess, TerminalSize } from "../../src/control/exec/process.ts";
import type { ExecEngine } from "../../src/control/exec/sessions.ts";

/** A command that does what the test says. */
export class FakeProcess implements ExecProcess {
  readonly command: ExecCommand;
  /** What was written to it. */
  readonly written: Uint8Array[] = [];
  readonly sizes: TerminalSize[] = [];
  inputEnded = false;
  disposed = false;
  /** Called for what is written; may wait, and may throw as for a command that reads no more. */
  onWrite: (bytes: Uint8Array) => Promise<void> | void = () => {};
  readonly #pieces: (ExecPiece | ExecEnd | Error)[] = [];
  #news = Promise.withResolvers<void>();

  constructor(command: ExecCommand) {
    this.command = command;
  }

  /** Writes output. */
  say(text: string | Uint8Array, stream: ExecPiece["stream"] = "stdout"): void {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    this.#push({ stream, bytes });
  }

  /** Ends. */
  end(code: number, more: Omit<ExecEnd, "code"> = {}): void {
    this.#push({ code, ...more });
  }

  /** Lets the connection to the engine break. */
  fail(error: Error): void {
    this.#push(error);
  }

  /** What was written to it, as text. */
  get text(): string {
    return this.written.map((bytes) => new TextDecoder().decode(bytes)).join("");
  }

  async *run(): AsyncGenerator<ExecPiece, ExecEnd, void> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece === undefined) {
        if (this.disposed) throw new Error("the connection is closed");
        this.#news = Promise.withResolvers();
        await this.#news.promise;
      } else if (piece instanceof Error) throw piece;
      else if ("code" in piece) return piece;
      else yield piece;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.onWrite(bytes);
    this.written.push(bytes.slice());
  }

  endInput(): Promise<void> {
    this.inputEnded = true;
    return Promise.resolve();
  }

  resize(size: TerminalSize): Promise<void> {
    this.sizes.push(size);
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.disposed = true;
    this.#news.resolve();
  }

  #push(piece: ExecPiece | ExecEnd | Error): void {
    this.#pieces.push(piece);
    this.#news.resolve();
  }
}

/** An engine whose commands the test decides about. */
export class FakeExecEngine implements ExecEngine {
  /** What was run, and where. */
  readonly calls: (ExecCommand & { readonly id: string })[] = [];
  /** Thrown for every command if it is set. */
  error: Error | undefined;
  readonly #made: FakeProcess[] = [];
  readonly #expecting: ((process: FakeProcess) => void)[] = [];

  exec(id: string, { command, terminal, user }: ExecCommand): Promise<ExecProcess> {
    this.calls.push({ id, command, terminal, user });
    if (this.error !== undefined) return Promise.reject(this.error);
    const process = new FakeProcess({ command, terminal, user });
    const expecting = this.#expecting.shift();
    if (expecting === undefined) this.#made.push(process);
    else expecting(process);
    return Promise.resolve(process);
  }

  /** The next command, as soon as it runs. */
  next(): Promise<FakeProcess> {
    const made = this.#made.shift();
    return made === undefined ? new Promise((resolve) => this.#expecting.push(resolve)) : Promise.resolve(made);
  }
}
