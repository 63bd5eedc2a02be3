import { messageOf } from "../errors.ts";

const decoder = new TextDecoder();
/** After that a command is taken for stuck, ms; an engine under load may need many seconds. */
const PATIENCE_MS = 120_000;

/** The docker command has failed. */
export class DockerError extends Error {
  override readonly name = "DockerError";
}

/** Options of one call. */
export interface CommandOptions {
  /** ms */
  readonly timeout?: number;
}

/** The docker command. Arguments are passed as they are: there is no shell in between. */
export class DockerCommand {
  readonly #path: string;

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
    const { stdout } = await this.#finish(args, options.timeout ?? PATIENCE_MS);
    return decoder.decode(stdout);
  }

  /** Runs the command with both streams put together, as `docker logs` needs it. */
  async runMerged(args: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.#finish(args, PATIENCE_MS);
    return (decoder.decode(stdout) + decoder.decode(stderr)).trim();
  }

  /** Starts a command that goes on, such as `docker events`. */
  spawn(args: readonly string[]): Deno.ChildProcess {
    return this.#start(args, { stderr: "null" });
  }

  async #finish(args: readonly string[], timeout: number): Promise<Deno.CommandOutput> {
    const child = this.#start(args, { stderr: "piped" });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child, "SIGKILL");
    }, timeout);
    const output = await child.output().finally(() => clearTimeout(timer));
    if (output.success) return output;
    if (late) throw new DockerError(`docker ${args[0]} did not end in time`);
    throw new DockerError(
      lastWords(decoder.decode(output.stderr)) || `docker ${args[0]} ended with code ${output.code}`,
    );
  }

  /** An interrupt from the terminal is for cless alone, which then still needs the commands that are on their way. */
  #start(args: readonly string[], options: Deno.CommandOptions): Deno.ChildProcess {
    try {
      return new Deno.Command(this.#path, {
        args: [...args],
        stdin: "null",
        stdout: "piped",
        detached: true,
        ...options,
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new DockerError(`there is no command "${this.#path}"`);
      throw new DockerError(`cannot run "${this.#path}": ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Ends a command with all that it has started itself: a wrapper's death is not its docker command's. */
export function killGroup(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    Deno.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** The line of an error output that says what was wrong, without the docker command's own trimmings. */
function lastWords(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) =>
    line && !/^(Run|See) 'docker/.test(line)
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
