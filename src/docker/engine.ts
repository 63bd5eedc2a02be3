import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DataDir, isDataDirInUse } from "../control/data_dir.ts";
import type { ExecCommand, ExecProcess } from "../control/exec/process.ts";
import type { Revision } from "../model/revision.ts";
import type { Launcher } from "../pool/launcher.ts";
import type { EngineChoice } from "./engine_choice.ts";
import type { ImageSource } from "./images/image_source.ts";
import type { LocalImages } from "./images/local_images.ts";
import type { NamedImages } from "./images/named_images.ts";
import { DockerLauncher } from "./launcher.ts";
import { Addresses, type AddressPosition } from "./network/addresses.ts";
import { HostWall } from "./network/host_wall.ts";
import { OwnNetwork } from "./network/network.ts";
import { type EngineListener, type NodeConfig, NodeEngine } from "./node_engine.ts";
import type { OwnContainers } from "./own_containers.ts";

const log = logger("engine");
/**
 * The firewall rules that keep apps from the host are checked at this interval: reloading the firewall removes them.
 */
const REPAIR_INTERVAL_MS = 60_000;

/** What starts containers, with all that the program needs of it. */
export interface EngineLauncher extends Launcher, Pick<OwnContainers, "outputs" | "volumeAccess"> {
  /** The next address and port to give out. */
  readonly position: AddressPosition;
  /** Begins with the next address and port of another process. */
  continueFrom(position: AddressPosition): void;
  /** Runs a command in a running container. @throws {ExecError} @throws The signal's reason. */
  exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess>;
  /** Limits the grace time of all later stops to the time left, but to no less than a second. */
  hurry(leftMs: number): void;
  /** Resolves when no pause is running. Those that other cless have not agreed to yet are broken off. */
  endPauses(): Promise<void>;
  /** Lets the engine pause what is frozen, so that any later process can resume it. */
  handOver(): Promise<void>;
}

/** What runs the containers of this cless: the engine of this machine, or a Swarm. */
export interface ServiceEngine {
  readonly launcher: EngineLauncher;
  /** The images of this machine by the convention. */
  readonly images: LocalImages;
  /** What the names of images mean now. */
  readonly names: NamedImages;
  /** Finds and pulls images by their full names. */
  readonly source: ImageSource;
  /** Whether events are being received. */
  readonly listening: boolean;
  /** Whether an engine was found. If not, there is nothing to stop. */
  readonly found: boolean;
  /** Whether the memory of instances can be moved to disk now. */
  readonly canHibernate: boolean;
  /**
   * Prepares what the first request would have to wait for, and begins to listen to events.
   *
   * @param answer The engine's first answer; it was requested before the other parts existed.
   * @throws {OperatorError} When no engine answers. @throws {EngineError} When it refuses.
   */
  start(answer: Promise<unknown>, listener: EngineListener): Promise<void>;
  /** Lets apps reach the ports of the host on which the proxy listens. @throws {OperatorError} */
  proxyListens(ports: readonly number[]): Promise<void>;
  /** Undoes {@linkcode start}, and removes what is only for containers. No containers may be left. */
  stop(): Promise<void>;
  /** Undoes {@linkcode start}, but leaves the containers and what they need. */
  leave(): Promise<void>;
  /** Breaks off what moves memory to swap; from now on, nothing is moved. */
  stopHibernating(): void;
  /** Whether the engine answers. Calls within a second share one request. */
  answers(): Promise<boolean>;
  /** The services of other data-dirs that have a container with this named volume, each as `SERVICE of OWNER`. */
  othersWithVolume(volume: string): Promise<string[]>;
  /** Why a revision runs on some machines only; `undefined` if it does not, or nobody knows. Never rejects. */
  boundsOf(revision: Revision): Promise<string | undefined>;
}

/** The Docker engine of this machine, with this cless's network, containers and images, and its events. */
export class Engine implements ServiceEngine {
  readonly launcher: DockerLauncher;
  readonly #node: NodeEngine;
  readonly #clock: Clock;
  readonly #network: OwnNetwork;
  readonly #wall: HostWall;
  /** Whether containers are kept from the ports of the host. */
  readonly #isWalled: boolean;
  #stopRepairs: (() => void) | undefined;
  #found = false;

  constructor(
    choice: Pick<EngineChoice, "api" | "docker" | "whyNotSocket">,
    config: NodeConfig & Pick<Config, "listen" | "noHostAccess" | "portRange" | "upstream">,
    dataDir: DataDir,
    clock: Clock,
  ) {
    const { api } = choice;
    this.#clock = clock;
    this.#wall = new HostWall(dataDir.owner, config.listen.map(({ port }) => port).filter((port) => port > 0));
    this.#isWalled = config.noHostAccess;
    this.#network = new OwnNetwork(api, dataDir, isDataDirInUse, this.#isWalled ? this.#wall : undefined);
    this.#node = new NodeEngine(choice, config, dataDir, clock);
    const { freezer, hibernator, outputs, source } = this.#node;
    const addresses = new Addresses(this.#network, config);
    this.launcher = new DockerLauncher(api, source, addresses, outputs, freezer, hibernator, clock);
  }

  get images(): LocalImages {
    return this.#node.images;
  }

  get names(): NamedImages {
    return this.#node.names;
  }

  get source(): ImageSource {
    return this.#node.source;
  }

  get listening(): boolean {
    return this.#node.listening;
  }

  get found(): boolean {
    return this.#found;
  }

  async start(answer: Promise<unknown>, listener: EngineListener): Promise<void> {
    const network = this.#network.ensure();
    network.catch(() => {});
    try {
      await answer; // its error says what to do
    } catch (error) {
      await network.catch(() => {});
      throw error;
    }
    // The events are read from the time when this object was made, so they report every change after this list.
    const listed = this.images.changed();
    try {
      await network; // if this fails, the containers may belong to another process, and must not be stopped
    } catch (error) {
      await listed;
      this.images.stop();
      throw error;
    }
    this.#found = true;
    this.#node.start(this.launcher, {
      apply: (event) => listener.apply(event),
      gap: () => {
        this.#repairWall();
        listener.gap();
      },
    });
    await Promise.all([listed, this.launcher.prepare(), this.#startWall()]);
  }

  async proxyListens(ports: readonly number[]): Promise<void> {
    if (this.#isWalled) await this.#wall.letThrough(ports);
  }

  async stop(): Promise<void> {
    await this.#end();
    await this.#network.remove();
    if (this.#isWalled) await this.#wall.remove();
    this.#node[Symbol.dispose]();
  }

  async leave(): Promise<void> {
    await this.#end();
    this.#node[Symbol.dispose]();
  }

  stopHibernating(): void {
    this.#node.hibernator.stop();
  }

  get canHibernate(): boolean {
    return this.launcher.canHibernate;
  }

  answers(): Promise<boolean> {
    return this.#node.answers();
  }

  /** There is no other machine. */
  async boundsOf(): Promise<undefined> {}

  othersWithVolume(volume: string): Promise<string[]> {
    return this.#node.othersWithVolume(volume);
  }

  /** Repairs the firewall rules periodically if they are wanted. If not, removes those of an earlier process. */
  async #startWall(): Promise<void> {
    if (this.#isWalled) this.#stopRepairs = this.#clock.every(REPAIR_INTERVAL_MS, () => this.#repairWall());
    else if (Deno.uid() === 0) await this.#wall.remove();
  }

  async #repairWall(): Promise<void> {
    if (!this.#isWalled) return;
    await this.#wall.repair().catch((error) => {
      log.error("apps may reach the ports of this machine", { reason: messageOf(error) });
    });
  }

  async #end(): Promise<void> {
    this.#stopRepairs?.();
    await this.launcher.settled(); // the next process must find the containers that are still being created
    await this.#node.end();
  }
}
