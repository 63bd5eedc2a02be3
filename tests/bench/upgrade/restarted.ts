import { PEERS } from "../forward/peers.ts";
import type { ClessUnderTest } from "../support/cless_under_test.ts";
import { freePorts } from "../../support/free_ports.ts";
import { BenchError } from "../support/errors.ts";
import { Program } from "../support/program.ts";
import { howToInstall, TOOLS, versionOf } from "../support/tool.ts";

/** A proxy whose process can be ended, and another one started in its place. */
export interface Restarted {
  readonly name: string;
  readonly url: string;
  /** Ends the process by SIGTERM; resolves when it has exited. */
  readonly end: () => Promise<void>;
  /** Starts the next one, and does not wait for it. */
  readonly begin: () => void;
  /** @throws {BenchError} When the process has ended by itself. */
  readonly check: () => void;
}

/** cless itself. */
export function restartedCless(cless: ClessUnderTest): Restarted {
  return {
    name: "cless",
    url: cless.url,
    end: () => cless.end(),
    begin: () => cless.begin(),
    check: () => cless.program.check(),
  };
}

/** Caddy, with a route to one container. */
export class RestartedCaddy implements Restarted, AsyncDisposable {
  readonly name = "Caddy";
  readonly url: string;
  readonly #start: () => Program;
  #program: Program;

  private constructor(url: string, start: () => Program) {
    this.url = url;
    this.#start = start;
    this.#program = start();
  }

  /**
   * Starts it, and waits until it listens.
   *
   * @param origin Where the container is, such as `http://172.18.0.2:8080`.
   * @param folder Is made for its files.
   * @returns A line that says why there is none, where it is not installed.
   */
  static async start(origin: string, folder: string, signal: AbortSignal): Promise<RestartedCaddy | string> {
    if (await versionOf(TOOLS.caddy) === undefined) return `Left out: Caddy, ${howToInstall(TOOLS.caddy)}`;
    const peer = PEERS.find(({ id }) => id === "caddy")!;
    const place = { port: freePorts(1), origin, folder };
    await Deno.mkdir(folder);
    await peer.prepare?.(place, signal);
    const [command, ...args] = peer.command(place);
    const start = () => Program.start(peer.name, command, { args, env: peer.env?.(place) ?? {} });
    const caddy = new RestartedCaddy(`http://127.0.0.1:${place.port}/`, start);
    try {
      await caddy.#program.untilListening(caddy.url, signal);
      return caddy;
    } catch (error) {
      await caddy[Symbol.asyncDispose]();
      throw error;
    }
  }

  async end(): Promise<void> {
    const code = await this.#program.end();
    if (code !== 0) throw new BenchError(`Caddy has ended with exit code ${code}`);
  }

  begin(): void {
    this.#program = this.#start();
  }

  check(): void {
    this.#program.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}
