import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Container, Launch, Launcher } from "../pool/launcher.ts";
import type { DockerCommand } from "./command.ts";
import { goneError } from "./container_gone.ts";
import { ContainerOutputs } from "./logs/container_outputs.ts";
import { ContainerList } from "./container_list.ts";
import { ContainerMaker } from "./container_maker.ts";
import { ContainerMemory } from "./container_memory.ts";
import { discreetError } from "./discretion.ts";
import { awayError } from "./engine_away.ts";
import type { EngineSocket } from "./engine_socket.ts";
import { ImageRecovery, isImageGone } from "./images/image_recovery.ts";
import { ImageSource } from "./images/image_source.ts";
import type { OwnNetwork } from "./network/network.ts";
import { Placements, type PlacementsOptions } from "./network/placements.ts";
import { Limiter } from "../base/async.ts";
import { uptime } from "./uptime.ts";

const log = logger("launcher");
/** For how long an app that is asked to end may take. */
const STOP_GRACE_S = 10;
const MOST_PLACES = 8;
const MOST_REMOVALS = 3;
/** So many commands stop or remove containers at once: each is a process of some 30 MB. */
const MOST_ENDING = 16;

/** What a {@linkcode DockerLauncher} works with. */
export interface DockerLauncherOptions extends PlacementsOptions {
  readonly docker: DockerCommand;
  /** For what the command is too slow for; everything is left to the command where it is missing. */
  readonly socket?: EngineSocket;
  /** The command's own settings; where they are missing, only the command knows what containers it makes. */
  readonly settings?: string | undefined;
  /** Wall-clock time, ms since 1970; the machine's where it is missing. */
  readonly now?: () => number;
}

/** Makes, starts, pauses, stops and removes containers by the engine's socket where there is one, else by the command. */
export class DockerLauncher implements Launcher {
  /** What the apps write, also for a while after their containers were removed. */
  readonly outputs: ContainerOutputs;
  readonly #docker: DockerCommand;
  readonly #socket: EngineSocket | undefined;
  readonly #list: ContainerList;
  readonly #maker: ContainerMaker;
  readonly #memory: ContainerMemory;
  readonly #network: OwnNetwork;
  readonly #placements: Placements;
  readonly #recovery: ImageRecovery;
  #graceS = STOP_GRACE_S;
  readonly #starting = new Map<string, () => void>();
  readonly #ending = new Limiter(MOST_ENDING);
  /** The commands that make containers, until they have ended. */
  readonly #commands = new Set<Promise<unknown>>();

  constructor(options: DockerLauncherOptions) {
    this.#docker = options.docker;
    this.#socket = options.socket;
    this.#list = new ContainerList(options.docker, options.owner, options.socket);
    this.#maker = new ContainerMaker({
      docker: options.docker,
      socket: options.socket,
      settings: options.settings,
      remove: (id) => this.#remove(id),
      isLaunching: (id) => this.isLaunching(id),
    });
    this.#memory = new ContainerMemory(this.#list, options.socket);
    this.#network = options.network;
    this.#placements = new Placements(options);
    this.#recovery = new ImageRecovery(new ImageSource(options.docker));
    this.outputs = new ContainerOutputs(options.docker, options.now ?? Date.now);
  }

  /** Does in advance what the first start would have to wait for. */
  async prepare(): Promise<void> {
    await this.#placements.prepare();
  }

  async launch({ id, revision }: Launch): Promise<{ origin: string }> {
    try {
      const origin = await this.#run(id, revision);
      // What happens to the container from now on is told by events.
      this.outputs.started(id, { service: revision.service, revision: revision.name });
      return { origin };
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Notes that a container runs, so that its start need not wait for the end of the command. */
  started(id: string): void {
    this.#starting.get(id)?.();
    this.#starting.delete(id);
  }

  /** Whether what starts a container has yet to tell how that went: until then no event does. */
  isLaunching(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Resolves when no command that makes a container is running any more. */
  async settled(): Promise<void> {
    while (this.#commands.size > 0) await Promise.all(this.#commands);
  }

  pause(id: string): Promise<void> {
    return this.#freeze("pause", id, /is already paused/i);
  }

  resume(id: string): Promise<void> {
    return this.#freeze("unpause", id, /is not paused/i);
  }

  /** Gives apps that are asked to end from now on no more time than is left, but a second. @param left In ms. */
  hurry(left: number): void {
    this.#graceS = Math.max(1, Math.min(STOP_GRACE_S, Math.floor(left / 1000)));
  }

  async stop(id: string): Promise<void> {
    const stopped = this.#perform("POST", id, `/stop?t=${this.#graceS}`, ["stop", `--time=${this.#graceS}`, id]);
    await stopped.catch(() => {}); // what does not stop is removed
    await this.remove(id);
  }

  async remove(id: string): Promise<void> {
    await this.outputs.keep(id);
    await this.#remove(id);
  }

  memory(): Promise<ReadonlyMap<string, number>> {
    return this.#memory.read();
  }

  forget(id: string): void {
    this.outputs.forget(id);
    this.#placements.free(id);
  }

  async output(id: string, lines: number): Promise<string> {
    try {
      return await this.#docker.runMerged(["logs", `--tail=${lines}`, id]);
    } catch (error) {
      const kept = await this.outputs.kept(id, lines);
      if (kept === undefined) throw error;
      return kept;
    }
  }

  /** Makes and starts a container. */
  async #run(id: string, revision: Revision): Promise<string> {
    this.#maker.check(revision);
    let restored = false;
    for (let places = 1;; places++) {
      this.outputs.forget(id);
      const placement = await this.#placements.take(id, revision.port);
      try {
        await this.#untilStarted(id, this.#maker.run(revision, placement));
        return placement.origin;
      } catch (error) {
        if (!restored && isImageGone(error)) {
          await this.#recovery.restore(revision);
          restored = true;
          continue;
        }
        const reason = messageOf(error);
        const network = isNetworkGone(error);
        if (network) this.#network.lost();
        const taken = /already (in use|allocated)/i.test(reason) && !/container name/i.test(reason);
        if (!(network || taken) || places >= MOST_PLACES) throw discreetError(goneError(awayError(error)), revision);
        log.warning("place is taken; trying the next", { instance: id, origin: placement.origin, reason });
        await this.#remove(id); // the container was made, though it does not run
      }
    }
  }

  /** Waits for what starts a container, or for the engine's event, which comes some milliseconds before that has ended. */
  async #untilStarted(id: string, starting: Promise<unknown>): Promise<void> {
    const started = new Promise<void>((resolve) => this.#starting.set(id, resolve));
    await Promise.race([this.#track(starting), started]);
  }

  /** Has {@linkcode settled} wait for what may make a container. */
  #track(command: Promise<unknown>): Promise<unknown> {
    const ended: Promise<unknown> = command.catch(() => {}).finally(() => this.#commands.delete(ended));
    this.#commands.add(ended);
    return command;
  }

  /** Has something done to a container by the socket, or else by the command. */
  async #perform(method: "POST" | "DELETE", id: string, rest: string, command: readonly string[]): Promise<void> {
    try {
      const done = await this.#socket?.perform(method, `/containers/${encodeURIComponent(id)}${rest}`) ?? false;
      if (done) return;
      const run = () => this.#docker.run(command);
      const isEnding = method === "DELETE" || command[0] === "stop";
      await (isEnding ? this.#ending.run(run) : run());
    } catch (error) {
      throw awayError(error);
    }
  }

  /** @param already What the engine says where there is nothing to do. */
  async #freeze(verb: "pause" | "unpause", id: string, already: RegExp): Promise<void> {
    try {
      await this.#perform("POST", id, `/${verb}`, [verb, id]);
    } catch (error) {
      if (!already.test(messageOf(error))) throw error;
    }
  }

  async #remove(id: string): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        await this.#perform("DELETE", id, "?force=true&v=true", ["rm", "--force", "--volumes", id]);
        return;
      } catch (error) {
        if (/no such container|already in progress/i.test(messageOf(error))) return;
        if (tries >= MOST_REMOVALS) throw error;
      }
    }
  }

  async list(): Promise<Container[]> {
    const direct = await this.#placements.reachesDirectly();
    const placed = this.#placements.ids();
    return (await this.#list.read()).map(({ address, engineId: _, origin, status, ...container }) => {
      const { id, revision, service } = container;
      const state = stateOf(container.state);
      // One that has ended holds no place; the place of one that was known has perhaps been given up meanwhile.
      if (state !== "ended" && !placed.has(id) && this.#placements.found(id, address, origin)) {
        this.outputs.started(id, { service, revision });
      }
      const published = origin.startsWith("http://127.0.0.1:");
      // One that was started when the host reached containers in the other way is of no use now.
      const reachable = origin !== "" && published !== direct;
      return { ...container, state, upFor: uptime(status), origin: reachable ? origin : undefined };
    });
  }
}

function isNetworkGone(error: unknown): boolean {
  return /network .* not found/i.test(messageOf(error));
}

function stateOf(state: string): Container["state"] {
  if (state === "running" || state === "paused" || state === "created") return state;
  return "ended";
}
