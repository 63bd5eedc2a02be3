import { messageOf } from "../base/errors.ts";
import { piecesOf, readWhole } from "./output_pieces.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
/** After that a command is taken for stuck, ms; an engine under load may need many seconds. */
const PATIENCE_MS = 120_000;

/** The docker command has failed. */
export class DockerError extends Error {
  override readonly name = "DockerError";
}

/** The docker command was ended since it took too long. */
export class DockerTimeout extends DockerError {}

/** Options of one call. */
export interface CommandOptions {
  /** ms */
  readonly timeout?: number;
  /** Ends the command; the call then rejects with the signal's reason, once the command has ended. */
  readonly signal?: AbortSignal | undefined;
  /** What the command's environment has beside that of cless. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the command reads from its standard input; nothing where it is missing. */
  readonly stdin?: string;
  /** Is told of each line of the standard output as it comes, without its end. */
  readonly onLine?: (line: string) => void;
}

/** The docker command. Arguments are passed as they are: there is no shell in between. */
export class DockerCommand {
  readonly #path: string;
  /** Whether there is a `setsid`, as far as is known. */
  #hasSetsid = Deno.build.os === "linux";

  /** @param path The command's name or path. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Runs the command and waits for its end.
   *
   * @returns What it wrote to its standard output.
   * @throws {DockerError} When it cannot be run, fails, or takes too long; the message is the last thing it said.
   */
  async run(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { stdout } = await this.#finish(args, options);
    return decoder.decode(stdout);
  }

  /** Runs the command with both streams put together, as `docker logs` needs it. */
  async runMerged(args: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.#finish(args, {});
    return (decoder.decode(stdout) + decoder.decode(stderr)).trim();
  }

  /**
   * Starts a command that goes on, such as `docker events`.
   *
   * @param stderr Whether somebody reads what the command writes there.
   * @throws {DockerError} When it cannot be run.
   */
  spawn(args: readonly string[], stderr: "null" | "piped" = "null"): Deno.ChildProcess {
    return this.#start(args, { stderr });
  }

  async #finish(
    args: readonly string[],
    options: CommandOptions,
    setsid: boolean = this.#hasSetsid,
  ): Promise<Deno.CommandOutput> {
    const { signal, stdin, onLine, env, timeout = PATIENCE_MS } = options;
    signal?.throwIfAborted();
    const child = this.#start(args, {
      stderr: "piped",
      stdin: stdin === undefined ? "null" : "piped",
      ...(env === undefined ? {} : { env }),
    }, setsid);
    let late = false;
    const end = () => killGroup(child, "SIGKILL");
    const timer = setTimeout(() => {
      late = true;
      end();
    }, timeout);
    signal?.addEventListener("abort", end, { once: true });
    try {
      const fed = stdin === undefined ? undefined : feed(child.stdin, stdin);
      const output = await (onLine === undefined ? wholeOutput(child) : outputByLines(child, onLine));
      await fed;
      if (output.success) return output;
      signal?.throwIfAborted();
      if (late) throw new DockerTimeout(`docker ${args[0]} did not end in time`);
      const said = decoder.decode(output.stderr);
      // It says so in its own words and the user's language; without it, the system says what is wrong.
      if (setsid && isOfSetsid(output.code, said)) return await this.#finish(args, options, false);
      throw new DockerError(lastWords(said) || `docker ${args[0]} ended with code ${output.code}`);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }

  /**
   * Starts the command as the leader of a group: an interrupt from the terminal is for cless alone, which then still needs
   * the commands that are on their way. For `detached`, Deno forks itself and stands still for milliseconds; `setsid` does
   * the same in the new process, and then becomes the command.
   */
  #start(
    args: readonly string[],
    options: Deno.CommandOptions,
    setsid: boolean = this.#hasSetsid,
  ): Deno.ChildProcess {
    const common: Deno.CommandOptions = { stdin: "null", stdout: "piped", ...options };
    if (setsid) {
      try {
        return new Deno.Command("setsid", { ...common, args: [this.#path, ...args] }).spawn();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) this.#hasSetsid = false;
      }
    }
    try {
      return new Deno.Command(this.#path, { ...common, args: [...args], detached: true }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new DockerError(`there is no command "${this.#path}"`);
      throw new DockerError(`cannot run "${this.#path}": ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Whether it was `setsid` that has failed, since it could not run the command. */
function isOfSetsid(code: number, stderr: string): boolean {
  return (code === 126 || code === 127) && stderr.startsWith("setsid: ");
}

/** Ends a command with all that it has started itself: a wrapper's death is not its docker command's. */
export function killGroup(child: Deno.ChildProcess, signal: Deno.Signal): void {
  if (signalGroup(child.pid, signal)) return;
  try {
    child.kill(signal); // it has just been started, and is no group yet
  } catch {
    return; // it has ended by itself
  }
  signalGroup(child.pid, signal); // it may have become one meanwhile
}

/** Whether there was such a group. */
function signalGroup(leader: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

/** Writes all that a command is to read; one that ends before it has read everything says itself why. */
async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(encoder.encode(text));
    await writer.close();
  } catch {
    await writer.abort().catch(() => {});
  }
}

/** The output of a command. */
async function wholeOutput(child: Deno.ChildProcess): Promise<Deno.CommandOutput> {
  const [stdout, stderr, status] = await Promise.all([readWhole(child.stdout), readWhole(child.stderr), child.status]);
  return Object.assign(status, { stdout, stderr });
}

/** The output of a command whose lines somebody wants to know at once. */
async function outputByLines(child: Deno.ChildProcess, onLine: (line: string) => void): Promise<Deno.CommandOutput> {
  const stderr = readWhole(child.stderr);
  const text = new TextDecoder();
  let stdout = "";
  let rest = "";
  try {
    for await (const piece of piecesOf(child.stdout)) {
      const more = text.decode(piece, { stream: true });
      stdout += more;
      const lines = (rest + more).split("\n");
      rest = lines.pop()!;
      for (const line of lines) onLine(line.replace(/\r$/, ""));
    }
    if (rest !== "") onLine(rest);
  } catch (error) {
    killGroup(child, "SIGKILL"); // the listener has failed, and nobody reads on
    await Promise.allSettled([stderr, child.status]);
    throw error;
  }
  return Object.assign(await child.status, { stdout: encoder.encode(stdout), stderr: await stderr });
}

/** The line of an error output that says what was wrong, without the docker command's own trimmings. */
export function lastWords(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) =>
    line && !/^(Run|See) 'docker|^Error: failed to start containers: /.test(line)
  );
  const telling = lines.findLast((line) => /error|cannot|denied|invalid|unknown|no such/i.test(line)) ?? lines.at(-1);
  return (telling ?? "").replace(/^(docker: )?(Error response from daemon: )?/i, "").replace(/\.$/, "");
}

/**
 * Reads an output of one JSON value per line. Lines that are none, or that lack one of the fields, such as a wrapper's
 * warnings, are passed over.
 */
export function jsonLines<T>(output: string, ...fields: (keyof T & string)[]): T[] {
  return output.split("\n").flatMap((line) => {
    if (!line.startsWith("{") && !line.startsWith("[")) return [];
    try {
      const value = JSON.parse(line);
      return fields.every((field) => field in value) ? [value as T] : [];
    } catch {
      return [];
    }
  });
}
