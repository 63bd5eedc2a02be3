import type { OutputLine, OutputOptions } from "../../logs/instance_output.ts";
import { type DockerCommand, DockerError, killGroup, lastWords } from "../command.ts";
import { LogSplitter, type StampedLine } from "./log_lines.ts";

/** Which lines of a container are read; all that there are where nothing is said. */
export type LogOptions = Partial<OutputOptions>;

/** A line that an app has written, without its end; the time is when the engine got it. */
export interface LogLine extends OutputLine {
  /** The line is longer than 64 KiB, and goes on in the next one of its stream. */
  readonly cut?: true;
}

/** What one stream had to give, or that it has ended. */
interface Turn {
  readonly source: Source;
  readonly lines: StampedLine[] | undefined;
}

/**
 * The lines that the app in a container writes, in each stream's own order. Nothing is read before it is asked for, and
 * no more than a pipe holds is read in advance. The docker command ends with the lines: when the container does, when
 * the signal is aborted, or when the reader breaks off; it has ended by the time that they have.
 *
 * @throws {DockerError} When there is no such container, or the engine refuses.
 */
export async function* readLogs(
  docker: DockerCommand,
  containerId: string,
  options: LogOptions = {},
): AsyncGenerator<LogLine, void, void> {
  const { signal } = options;
  if (signal?.aborted) return;
  const child = docker.spawn(logArgs(containerId, options), "piped");
  const end = () => killGroup(child, "SIGKILL"); // it has nothing to tidy up
  signal?.addEventListener("abort", end, { once: true });
  const sources = [new Source("stdout", child.stdout), new Source("stderr", child.stderr)];
  const turns = new Turns();
  try {
    for (const source of sources) turns.expect(source.next());
    let words = "";
    for (let open = sources.length; open > 0;) {
      const { source, lines } = await turns.next();
      for (const line of lines ?? []) {
        if (signal?.aborted) return;
        // Without a time it is no line of the app.
        const { cut, text, time } = line;
        if (time === undefined) words += `${text}\n`;
        else yield { stream: source.stream, time, text, ...(cut ? { cut } : {}) };
      }
      if (lines === undefined) open--;
      else turns.expect(source.next());
    }
    const { code, success } = await child.status;
    if (success || signal?.aborted) return;
    throw new DockerError(lastWords(words) || `docker logs ended with code ${code}`);
  } finally {
    signal?.removeEventListener("abort", end);
    end();
    await Promise.all([...sources.map((source) => source.cancel()), child.status]);
  }
}

function logArgs(containerId: string, { follow = false, since, tail }: LogOptions): string[] {
  return [
    "logs",
    "--timestamps", // always: they tell the app's lines from the docker command's own words
    ...(follow ? ["--follow"] : []),
    ...(tail === undefined ? [] : [`--tail=${tail}`]),
    ...(since === undefined ? [] : [`--since=${since}`]),
    containerId,
  ];
}

/** Tells which of several promises was first; in contrast to `Promise.race`, a silent one collects no listeners. */
class Turns {
  readonly #ready: Turn[] = [];
  #bell = Promise.withResolvers<void>();

  expect(turn: Promise<Turn>): void {
    turn.then((turn) => {
      this.#ready.push(turn);
      this.#bell.resolve();
    });
  }

  async next(): Promise<Turn> {
    if (this.#ready.length === 0) {
      this.#bell = Promise.withResolvers();
      await this.#bell.promise;
    }
    return this.#ready.shift()!;
  }
}

/** One of the two streams of the docker command. */
class Source {
  readonly stream: LogLine["stream"];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #splitter = new LogSplitter();
  #ended = false;

  constructor(stream: LogLine["stream"], bytes: ReadableStream<Uint8Array>) {
    this.stream = stream;
    this.#reader = bytes.getReader();
  }

  /** The next lines, perhaps none yet; `undefined` where there will be no more. Never rejects. */
  async next(): Promise<Turn> {
    if (this.#ended) return { source: this, lines: undefined };
    const { value } = await this.#reader.read().catch(() => ({ value: undefined })); // the exit code will tell
    this.#ended = value === undefined;
    return { source: this, lines: value === undefined ? this.#splitter.end() : this.#splitter.push(value) };
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {}); // it has failed already, and that was told
  }
}
