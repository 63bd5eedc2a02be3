import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type CommandOptions, type DockerCommand, DockerError } from "./command.ts";
import { addsToContainers } from "./command_settings.ts";
import { carryEnv } from "./container_env.ts";
import { createBody } from "./create_body.ts";
import { discreetError } from "./discretion.ts";
import type { EngineSocket } from "./engine_socket.ts";
import { environmentOf, type Placement, runArgs } from "./run_args.ts";

const log = logger("launcher");
const MOST_TRIES = 3;

/** What a {@linkcode ContainerMaker} works with. */
export interface ContainerMakerParts {
  readonly docker: DockerCommand;
  /** Makes the containers where it can: no process has to be started for that. */
  readonly socket: EngineSocket | undefined;
  /** The file of the command's settings; the command makes every container where it is missing. */
  readonly settings: string | undefined;
  /** Removes a container by its name; does not mind one that is gone. */
  readonly remove: (id: string) => Promise<void>;
  /** Whether a container that is being started is not known to run yet: an event may tell that before the answer does. */
  readonly isLaunching: (id: string) => boolean;
}

/** Makes containers: by the engine's socket where there is one, else by the docker command; both make the same. */
export class ContainerMaker {
  readonly #docker: DockerCommand;
  readonly #socket: EngineSocket | undefined;
  readonly #settings: string | undefined;
  readonly #remove: (id: string) => Promise<void>;
  readonly #isLaunching: (id: string) => boolean;

  constructor({ docker, isLaunching, remove, settings, socket }: ContainerMakerParts) {
    this.#docker = docker;
    this.#socket = socket;
    this.#settings = settings;
    this.#remove = remove;
    this.#isLaunching = isLaunching;
  }

  /** @throws {DockerError} When a variable cannot be given to a container. */
  check(revision: Revision): void {
    carryEnv(environmentOf(revision)); // the socket could take more, but may go at any time
  }

  /** Makes a container and starts it. @throws {DockerError} When the engine refuses. */
  async run(revision: Revision, placement: Placement): Promise<void> {
    const { engineId, unsure } = await this.#make(revision, placement);
    const isStarted = engineId !== undefined && await this.#start(engineId, revision, placement.id);
    if (isStarted) return;
    await this.#command(runArgs(revision, placement), revision, placement.id, unsure || engineId !== undefined);
  }

  /**
   * Makes one by the socket.
   *
   * @returns What the engine calls it; nothing where it is left to the command. `unsure` where the answer has been lost, so
   * that one may be there, or come.
   */
  async #make(revision: Revision, placement: Placement): Promise<{ engineId?: string; unsure: boolean }> {
    const [socket, settings] = [this.#socket, this.#settings];
    if (socket === undefined || settings === undefined || await addsToContainers(settings)) return { unsure: false };
    const unsure = socket.path !== undefined;
    const path = `/containers/create?name=${encodeURIComponent(placement.id)}`;
    const answer = await socket.create(path, createBody(revision, placement)) as { Id?: unknown } | undefined;
    if (answer === undefined) return { unsure };
    if (typeof answer?.Id !== "string") {
      throw new DockerError("the engine does not name the container that it has made");
    }
    return { engineId: answer.Id, unsure: false };
  }

  /** Starts one that was made by the socket; whether that went well. @throws {DockerError} When the engine refuses. */
  async #start(engineId: string, revision: Revision, id: string): Promise<boolean> {
    if (await this.#socket?.perform("POST", `/containers/${engineId}/start`)) return true;
    if (!this.#isLaunching(id)) return true; // it serves by now, and must not be made anew
    try {
      await this.#docker.run(["start", engineId]); // which does not mind one that runs
      return true;
    } catch (error) {
      if (/no such container/i.test(messageOf(error))) throw error; // somebody wants it no more
      const reason = messageOf(discreetError(error, revision));
      log.warning("a container whose start was not answered cannot be started; making another", { reason });
      return false;
    }
  }

  /** @param unsure Whether a container with that name may be there, or may come in a moment. */
  async #command(args: readonly string[], revision: Revision, id: string, unsure: boolean): Promise<void> {
    const options: CommandOptions = carryEnv(environmentOf(revision)).options;
    for (let tries = 1;; tries++) {
      if (unsure) await this.#remove(id);
      try {
        await this.#docker.run(args, options);
        return;
      } catch (error) {
        const isTaken = /container name .* already in use/i.test(messageOf(error));
        if (!unsure || !isTaken || tries >= MOST_TRIES) throw error;
      }
    }
  }
}
