import type { Upstream } from "../config.ts";
import { messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { Container, Launch, Launcher } from "../serving/launcher.ts";
import { toAddress } from "./network/addresses.ts";
import type { DockerCommand } from "./command.ts";
import { carryEnv } from "./container_env.ts";
import { goneError } from "./container_gone.ts";
import { ContainerOutputs } from "./logs/container_outputs.ts";
import { ContainerList } from "./container_list.ts";
import { ContainerMemory } from "./container_memory.ts";
import { discreetError } from "./discretion.ts";
import { awayError } from "./engine_away.ts";
import type { EngineSocket } from "./engine_socket.ts";
import { HostPorts } from "./network/host_ports.ts";
import { ImageRecovery, isImageGone } from "./images/image_recovery.ts";
import { ImageSource } from "./images/image_source.ts";
import type { OwnNetwork } from "./network/network.ts";
import { environmentOf, type Placement, runArgs } from "./run_args.ts";
import { Turns } from "./turns.ts";

const log = logger("launcher");
const STOP_GRACE_S = 10;
const MOST_PLACES = 8;
const MOST_REMOVALS = 3;
/** So many commands stop or remove containers at once: each is a process of some 30 MB. */
const MOST_ENDING = 16;

/** What a {@linkcode DockerLauncher} works with. */
export interface DockerLauncherOptions {
  readonly docker: DockerCommand;
  /** For what the command is too slow for; everything is left to the command where it is missing. */
  readonly socket?: EngineSocket;
  readonly network: OwnNetwork;
  readonly owner: string;
  readonly portRange: { readonly first: number; readonly last: number };
  /** Whether the host reaches the containers' own addresses: `auto` finds out. */
  readonly upstream: Upstream;
  /** Wall-clock time, ms since 1970; the machine's where it is missing. */
  readonly now?: () => number;
}

/**
 * Starts containers by the docker command; pauses, stops and removes them by the engine's socket where there is one: that is
 * much faster.
 */
export class DockerLauncher implements Launcher {
  /** What the apps write, also for a while after their containers were removed. */
  readonly outputs: ContainerOutputs;
  readonly #docker: DockerCommand;
  readonly #socket: EngineSocket | undefined;
  readonly #list: ContainerList;
  readonly #memory: ContainerMemory;
  readonly #network: OwnNetwork;
  readonly #owner: string;
  readonly #ports: HostPorts;
  readonly #recovery: ImageRecovery;
  readonly #upstream: DockerLauncherOptions["upstream"];
  readonly #placements = new Map<string, Placement>();
  readonly #starting = new Map<string, () => void>();
  readonly #ending = new Turns(MOST_ENDING);
  /** The commands that make containers, until they have ended. */
  readonly #commands = new Set<Promise<unknown>>();
  #direct: Promise<boolean> | undefined;

  constructor(options: DockerLauncherOptions) {
    this.#docker = options.docker;
    this.#socket = options.socket;
    this.#list = new ContainerList(options.docker, options.owner, options.socket);
    this.#memory = new ContainerMemory(this.#list, options.socket);
    this.#network = options.network;
    this.#owner = options.owner;
    this.#ports = new HostPorts(options.portRange);
    this.#recovery = new ImageRecovery(new ImageSource(options.docker));
    this.#upstream = options.upstream;
    this.outputs = new ContainerOutputs(options.docker, options.now ?? Date.now);
  }

  /** Does in advance what the first start would have to wait for. */
  async prepare(): Promise<void> {
    await this.#network.ensure();
    await this.#reachesDirectly();
  }

  async launch({ id, revision }: Launch): Promise<{ origin: string }> {
    const { options } = carryEnv(environmentOf(revision));
    let restored = false;
    for (let places = 1;; places++) {
      const placement = await this.#place(id, revision.port);
      const started = new Promise<void>((resolve) => this.#starting.set(id, resolve));
      const ran = this.#docker.run(runArgs(revision, placement), options);
      const ended: Promise<unknown> = ran.catch(() => {}).finally(() => this.#commands.delete(ended));
      this.#commands.add(ended);
      try {
        // The engine's event comes some milliseconds before the command has ended.
        await Promise.race([ran, started]);
        // What happens to the container from now on is told by events.
        this.outputs.started(id, { service: revision.service, revision: revision.name });
        return { origin: placement.origin };
      } catch (error) {
        if (!restored && isImageGone(error)) {
          await this.#recovery.restore(revision);
          restored = true;
          continue;
        }
        const reason = messageOf(error);
        const network = /network .* not found/i.test(reason);
        if (network) this.#network.lost();
        const taken = /already (in use|allocated)/i.test(reason) && !/container name/i.test(reason);
        if (!(network || taken) || places >= MOST_PLACES) throw discreetError(goneError(awayError(error)), revision);
        log.warning("place is taken; trying the next", { instance: id, origin: placement.origin, reason });
        await this.#remove(id); // the container was made, though it does not run
      } finally {
        this.#starting.delete(id);
      }
    }
  }

  /** Notes that a container runs, so that its start need not wait for the end of the command. */
  started(id: string): void {
    this.#starting.get(id)?.();
    this.#starting.delete(id);
  }

  /** Whether the command that makes a container has yet to tell how that went: until then no event does. */
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

  async stop(id: string): Promise<void> {
    const stopped = this.#perform("POST", id, `/stop?t=${STOP_GRACE_S}`, ["stop", `--time=${STOP_GRACE_S}`, id]);
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
    const placement = this.#placements.get(id);
    if (placement === undefined) return;
    this.#placements.delete(id);
    this.#network.free(placement.address);
    if (placement.hostPort !== undefined) this.#ports.free(placement.hostPort);
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

  /** Has something done to a container by the socket, or else by the command. */
  async #perform(method: "POST" | "DELETE", id: string, rest: string, command: readonly string[]): Promise<void> {
    const done = await this.#socket?.perform(method, `/containers/${encodeURIComponent(id)}${rest}`) ?? false;
    if (done) return;
    const run = () => this.#docker.run(command).catch((error) => Promise.reject(awayError(error)));
    const isEnding = method === "DELETE" || command[0] === "stop";
    await (isEnding ? this.#ending.take(run) : run());
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
    const direct = await this.#reachesDirectly();
    const placed = new Set(this.#placements.keys());
    return (await this.#list.read()).map(({ address, engineId: _, origin, ...container }) => {
      const state = stateOf(container.state);
      // One that has ended holds no place; the place of one that was known has perhaps been given up meanwhile.
      if (state !== "ended" && !placed.has(container.id)) this.#keep(container, address, origin);
      const published = origin.startsWith("http://127.0.0.1:");
      // One that was started when the host reached containers in the other way is of no use now.
      const reachable = origin !== "" && published !== direct;
      return { ...container, state, origin: reachable ? origin : undefined };
    });
  }

  /** Notes where a container is that an earlier process has started. */
  #keep({ id, revision, service }: Omit<Container, "state" | "origin">, address: string, origin: string): void {
    if (this.#placements.has(id) || address === "" || origin === "") return;
    this.outputs.started(id, { service, revision });
    const { hostname, port } = new URL(origin);
    const hostPort = hostname === "127.0.0.1" ? Number(port) : undefined;
    this.#network.occupy(address);
    if (hostPort !== undefined) this.#ports.occupy(hostPort);
    this.#placements.set(id, { id, owner: this.#owner, network: this.#network.name, address, hostPort, origin });
  }

  async #place(id: string, port: number): Promise<Placement> {
    this.forget(id);
    await this.#network.ensure();
    const direct = await this.#reachesDirectly();
    const hostPort = direct ? undefined : this.#ports.take(); // may throw, and then no address is taken yet
    const address = this.#network.take();
    const origin = `http://${direct ? address : "127.0.0.1"}:${hostPort ?? port}`;
    const placement = { id, owner: this.#owner, network: this.#network.name, address, hostPort, origin };
    this.#placements.set(id, placement);
    return placement;
  }

  /** Whether the host has an address on the containers' network; where the engine runs in a machine of its own, it has none. */
  #reachesDirectly(): Promise<boolean> {
    this.#direct ??= this.#upstream === "auto" ? this.#isOnBridge() : Promise.resolve(this.#upstream === "direct");
    this.#direct.catch(() => this.#direct = undefined);
    return this.#direct;
  }

  async #isOnBridge(): Promise<boolean> {
    const { base } = await this.#network.ensure();
    return Deno.networkInterfaces().some(({ address }) => address === toAddress(base + 1));
  }
}

function stateOf(state: string): Container["state"] {
  if (state === "running" || state === "paused" || state === "created") return state;
  return "ended";
}
