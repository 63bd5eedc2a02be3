import { linesOf } from "../base/streams.ts";
import { type CaddyLine, lastError, readLine } from "./caddy_log.ts";

/** How many lines before its end are searched for the reason. */
const KEPT_LINES = 50;

/** Caddy as a child of this process. */
export class CaddyChild {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #reading: Promise<void>;

  /**
   * Starts Caddy.
   *
   * @param caddy Its path. @param home The folder for the files that it makes without being told where.
   * @param onLine Is called with each line of its log.
   */
  constructor(caddy: string, caddyfile: string, home: string, onLine: (line: CaddyLine) => void) {
    this.#child = new Deno.Command(caddy, {
      args: ["run", "--config", caddyfile, "--adapter", "caddyfile"],
      env: { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home },
      detached: true, // Ctrl-C ends this process, which then ends Caddy
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read(onLine);
  }

  /** Lets it finish what is in flight, and end. */
  stop(): void {
    this.#signal("SIGTERM");
  }

  /** Ends it at once. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  /** Resolves when it has ended: with its exit code, and with the last error that it logged. */
  async ended(): Promise<{ code: number; reason: string | undefined }> {
    const { code } = await this.#child.status;
    await this.#reading;
    return { code, reason: lastError(this.#lines) };
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  async #read(onLine: (line: CaddyLine) => void): Promise<void> {
    for await (const line of linesOf(this.#child.stderr)) {
      this.#lines.push(line);
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
      onLine(readLine(line));
    }
  }
}
