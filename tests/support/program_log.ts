/** A line of the program's log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A line that has not come after this time will not come. */
const LOGGED_MS = 90_000;

/** The log of a program that runs. */
export class ProgramLog {
  readonly log: LogLine[] = [];
  readonly #reading: Promise<void>;
  readonly #expecting = new Set<() => void>();
  #ended = false;

  /** @param stream Where the program writes its log, as JSON. */
  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reading = this.#read(stream);
  }

  /** Whether the program has closed its log. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Resolves when the program has closed its log. */
  readWhole(): Promise<void> {
    return this.#reading;
  }

  /** The first line with that message, and with those fields; waits until it comes, at most {@linkcode LOGGED_MS}. */
  async logged(message: string, fields: Record<string, unknown> = {}): Promise<LogLine> {
    const lastLines = () => this.log.slice(-30).map((line) => JSON.stringify(line)).join("\n");
    const isLate = AbortSignal.timeout(LOGGED_MS);
    isLate.addEventListener("abort", () => this.#tell());
    for (;;) {
      const found = this.log.find((line) =>
        line.message === message && Object.entries(fields).every(([name, value]) => line[name] === value)
      );
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`the program ended before it logged "${message}":\n${lastLines()}`);
      if (isLate.aborted) throw new Error(`the program did not log "${message}" in time:\n${lastLines()}`);
      await new Promise<void>((resolve) => this.#expecting.add(resolve));
    }
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        this.log.push(line.startsWith("{") ? JSON.parse(line) : { level: "text", message: line });
      }
      this.#tell();
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#expecting) resolve();
    this.#expecting.clear();
  }
}
