import { type DockerCommand, jsonLines } from "./command.ts";
import type { EngineSocket } from "./engine_socket.ts";

/** With what a process ends that was killed: 128 and the number of the signal. */
const KILLED = 137;
/** The end of a container is not kept back any longer than that, ms. */
const PATIENCE_MS = 500;
/** So many containers are remembered that the engine has told of. */
const MOST_TOLD = 1000;

/** Finds out whether a container that has ended was killed since it needed more memory than it may have. */
export class OutOfMemory {
  readonly #docker: DockerCommand;
  readonly #socket: EngineSocket | undefined;
  /** Of whose processes one was killed, as the engine has told. */
  readonly #told = new Set<string>();

  constructor(docker: DockerCommand, socket?: EngineSocket) {
    this.#docker = docker;
    this.#socket = socket;
  }

  /** Notes that the engine has told of a process of the container that was killed for memory. */
  told(id: string): void {
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.add(id);
  }

  /**
   * Whether a container that has just ended was killed for memory. The engine may tell of the end before it tells why:
   * where that can be so, the container itself is asked.
   *
   * @returns At once where that is known, else a promise that never rejects; `undefined` is not known.
   */
  of(id: string, exitCode: number | undefined): boolean | Promise<boolean | undefined> {
    if (this.#told.delete(id)) return exitCode !== 0;
    return exitCode === KILLED ? this.#ask(id) : false;
  }

  async #ask(id: string): Promise<boolean | undefined> {
    try {
      return await this.#inspect(id);
    } catch {
      return undefined; // it has been removed, or the engine takes long
    }
  }

  async #inspect(id: string): Promise<boolean | undefined> {
    const answer = await this.#socket?.get(`/containers/${encodeURIComponent(id)}/json`, PATIENCE_MS);
    if (answer !== undefined) return (answer as { State?: { OOMKilled?: boolean } }).State?.OOMKilled;
    const output = await this.#docker.run(["inspect", "--type=container", "--format={{json .State}}", id], {
      timeout: PATIENCE_MS,
    });
    return jsonLines<{ OOMKilled: boolean }>(output, "OOMKilled")[0]?.OOMKilled;
  }
}
