import { messageOf } from "../base/errors.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { isExhausted } from "../base/file_reserve.ts";
import { linesOf, readText } from "../base/streams.ts";
import { EngineError } from "./engine_error.ts";
import type { CallOptions } from "./engine_api.ts";

const encoder = new TextEncoder();
/** After this time, a command counts as stuck. It is long, since an engine under load may need many seconds. */
const TIMEOUT_MS = 120_000;

/** Options of one call. If the signal is aborted, the call rejects once the command has ended. */
export interface CommandOptions extends CallOptions {
  /** Variables for the command, besides those of cless. */
  readonly env?: Readonly<Record<string, string>>;
  /** The command's standard input; empty if missing. */
  readonly stdin?: string;
  /** Called for each line of the standard output, without its end; `run` then returns no output. */
  readonly onLine?: (line: string) => void;
}

/** The docker command. There is no shell, so arguments are passed unchanged. */
export class DockerCommand {
  readonly path: string;
  readonly #clock: Clock;
  readonly #reserve: { lend(): unknown } | undefined;
  /** Whether `setsid` exists, as far as known. */
  #hasSetsid = Deno.build.os === "linux";

  /** @param path The command's name or path. @param reserve Lends file descriptors when the process has none left. */
  constructor(path: string, clock: Clock = systemClock, reserve?: { lend(): unknown }) {
    this.path = path;
    this.#reserve = reserve;
    this.#clock = clock;
  }

  /**
   * Runs the command and returns its standard output.
   *
   * @throws {EngineError} `late` if it does not end in time; `refused`, with its error message, if it fails; and the
   * errors of {@linkcode spawn}.
   * @throws The signal's reason, if it is aborted first.
   */
  async run(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return await this.#finish(args, options, this.#hasSetsid);
  }

  /**
   * Starts a command that keeps running, such as `docker events`.
   *
   * @throws {EngineError} If it cannot be run: `away` if this machine has run out of file descriptors, memory or
   * processes, else `refused`.
   */
  spawn(
    args: readonly string[],
    stderr: "null" | "piped" = "null",
    stdin: "null" | "piped" = "null",
  ): Deno.ChildProcess {
    return this.#start(args, { stderr, stdin }, this.#hasSetsid);
  }

  async #finish(args: readonly string[], options: CommandOptions, setsid: boolean): Promise<string> {
    const { signal, stdin, onLine, env, timeoutMs = TIMEOUT_MS } = options;
    signal?.throwIfAborted();
    const child = this.#start(args, {
      stderr: "piped",
      stdin: stdin === undefined ? "null" : "piped",
      ...(env === undefined ? {} : { env }),
    }, setsid);
    let late = false;
    const end = () => killGroup(child, "SIGKILL");
    const cancelTimeout = this.#clock.after(timeoutMs, () => {
      late = true;
      end();
    });
    signal?.addEventListener("abort", end, { once: true });
    try {
      const fed = stdin === undefined ? undefined : feed(child.stdin, stdin);
      const { code, stderr, stdout } = await outputOf(child, onLine);
      await fed;
      if (code === 0) return stdout;
      signal?.throwIfAborted();
      if (late) throw new EngineError("late", `docker ${args[0]} did not end in time`);
      // setsid's own message is in the user's language. Without setsid, the platform gives a clear error.
      if (setsid && isSetsidFailure(code, stderr)) return await this.#finish(args, options, false);
      throw new EngineError("refused", problemLine(stderr) || `docker ${args[0]} ended with code ${code}`);
    } finally {
      cancelTimeout();
      signal?.removeEventListener("abort", end);
    }
  }

  /**
   * Starts the command as the leader of a process group. So an interrupt from the terminal reaches only cless, which
   * still needs its running commands. It uses `setsid` if possible: Deno's `detached` forks Deno, and blocks it for
   * milliseconds.
   */
  #start(args: readonly string[], options: Deno.CommandOptions, setsid: boolean): Deno.ChildProcess {
    try {
      return this.#spawn(args, options, setsid);
    } catch (error) {
      if (!isExhausted(error) || !this.#reserve?.lend()) throw error;
      return this.#spawn(args, options, setsid);
    }
  }

  #spawn(args: readonly string[], options: Deno.CommandOptions, setsid: boolean): Deno.ChildProcess {
    const common: Deno.CommandOptions = { stdin: "null", stdout: "piped", ...options };
    if (setsid) {
      try {
        return new Deno.Command("setsid", { ...common, args: [this.path, ...args] }).spawn();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) this.#hasSetsid = false;
      }
    }
    try {
      return new Deno.Command(this.path, { ...common, args: [...args], detached: true }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new EngineError("refused", `there is no command "${this.path}"`);
      const kind = isExhausted(error) ? "away" : "refused";
      throw new EngineError(kind, `cannot run "${this.path}": ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Whether `setsid` itself failed because it could not run the command. */
function isSetsidFailure(code: number, stderr: string): boolean {
  return (code === 126 || code === 127) && stderr.startsWith("setsid: ");
}

/**
 * Kills a command with all its children. If only a wrapper were killed, the docker command that it has started would
 * keep running.
 */
export function killGroup(child: Deno.ChildProcess, signal: Deno.Signal): void {
  if (signalGroup(child.pid, signal)) return;
  try {
    child.kill(signal); // it has just started, and does not lead a group yet
  } catch {
    return; // it has ended by itself
  }
  signalGroup(child.pid, signal); // it may lead a group by now
}

function signalGroup(leader: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes a command's input. If the command ends before it has read all, that is ignored here: its exit code says why.
 */
export async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(encoder.encode(text));
    await writer.close();
  } catch {
    await writer.abort().catch(() => {});
  }
}

async function outputOf(
  child: Deno.ChildProcess,
  onLine?: (line: string) => void,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const stderr = readText(child.stderr);
  let stdout = "";
  try {
    if (onLine === undefined) stdout = await readText(child.stdout);
    else for await (const line of linesOf(child.stdout)) onLine(line);
  } catch (error) {
    killGroup(child, "SIGKILL"); // the callback has failed, and nobody reads the rest
    await Promise.allSettled([stderr, child.status]);
    throw error;
  }
  return { code: (await child.status).code, stdout, stderr: await stderr };
}

/** The line of an error output that names the problem, without what the docker command adds to it. */
export function problemLine(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) =>
    line && !/^(Run|See) 'docker|^Error: failed to start containers: /.test(line)
  );
  const telling = lines.findLast((line) => /error|cannot|denied|invalid|unknown|no such/i.test(line)) ?? lines.at(-1);
  return (telling ?? "").replace(/^(docker: )?(Error response from daemon: )?/i, "").replace(/\.$/, "");
}
