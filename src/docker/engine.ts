import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DataDir, isDataDirInUse } from "../control/data_dir.ts";
import type { ContainerEvent } from "../pool/launcher.ts";
import { LABEL } from "./container_spec.ts";
import type { EngineApi, EngineEvent } from "./engine_api.ts";
import type { EngineChoice } from "./engine_choice.ts";
import { ContainerEvents, EventStream } from "./events.ts";
import { Freezer } from "./freezer/freezer.ts";
import { Hibernator } from "./freezer/hibernator.ts";
import { findHelper, makeHelper } from "./freezer/helper_choice.ts";
import type { FreezerHelper } from "./freezer/helper.ts";
import { ImageSource } from "./images/image_source.ts";
import { LocalImages } from "./images/local_images.ts";
import { NamedImages } from "./images/named_images.ts";
import { DockerLauncher } from "./launcher.ts";
import { ContainerOutputs } from "./logs/outputs.ts";
import { Addresses } from "./network/addresses.ts";
import { HostWall } from "./network/host_wall.ts";
import { OwnNetwork } from "./network/network.ts";

const log = logger("engine");
/** An answer of the engine is reused for other callers for this long. */
const MAX_ANSWER_AGE_MS = 1000;
const ANSWER_TIMEOUT_MS = 10_000;
/**
 * The firewall rules that keep apps from the host are checked at this interval: reloading the firewall removes them.
 */
const REPAIR_INTERVAL_MS = 60_000;

export interface EngineListener {
  /** Called when something has happened to a container of this cless. */
  apply(event: ContainerEvent): void;
  /** Called when events may have been lost. */
  gap(): void;
}

/** The Docker engine with this cless's network, containers and images, and its events. */
export class Engine {
  readonly launcher: DockerLauncher;
  readonly images: LocalImages;
  /** What the names of images mean now. */
  readonly names: NamedImages;
  /** Finds and pulls images by their full names. */
  readonly source: ImageSource;
  readonly #api: EngineApi;
  readonly #clock: Clock;
  readonly #network: OwnNetwork;
  readonly #wall: HostWall;
  /** Whether containers are kept from the ports of the host. */
  readonly #isWalled: boolean;
  readonly #events: EventStream;
  readonly #containerEvents: ContainerEvents;
  readonly #hibernator: Hibernator;
  readonly #freezerHelper: FreezerHelper | undefined;
  #stopRepairs: (() => void) | undefined;
  #found = false;
  #answering: Promise<boolean> | undefined;

  constructor(
    { api, docker, whyNotSocket }: EngineChoice,
    config: Pick<
      Config,
      "freezer" | "freezerSocket" | "listen" | "noHostAccess" | "portRange" | "swapBudgetBytes" | "upstream"
    >,
    dataDir: DataDir,
    clock: Clock,
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#containerEvents = new ContainerEvents(clock);
    this.#wall = new HostWall(dataDir.owner, config.listen.map(({ port }) => port).filter((port) => port > 0));
    this.#isWalled = config.noHostAccess;
    this.#network = new OwnNetwork(api, dataDir, isDataDirInUse, this.#isWalled ? this.#wall : undefined);
    this.source = new ImageSource(api, docker, clock);
    const addresses = new Addresses(this.#network, config);
    const outputs = new ContainerOutputs(api, clock);
    const helperPlace = findHelper(config);
    this.#freezerHelper = makeHelper(helperPlace, config, dataDir, api, clock);
    const freezer = new Freezer(this.#freezerHelper, helperPlace.whyNot === undefined, clock);
    this.#hibernator = new Hibernator(
      freezer,
      helperPlace.whyNot === undefined ? this.#freezerHelper : undefined,
      clock,
      config.swapBudgetBytes,
    );
    this.launcher = new DockerLauncher(api, this.source, addresses, outputs, freezer, this.#hibernator, clock);
    this.#events = new EventStream(api, clock);
    this.images = new LocalImages(api, clock, this.#events);
    this.names = new NamedImages(api, clock, this.#events);
    log.debug("engine chosen", { via: api.via, whyNotSocket, whyNotFreezer: helperPlace.whyNot });
  }

  /** Whether the engine's events are being received. */
  get listening(): boolean {
    return this.#events.live;
  }

  /** Whether an engine was found. If not, there is nothing to stop. */
  get found(): boolean {
    return this.#found;
  }

  /**
   * Prepares what the first request would have to wait for, and begins to listen to the engine's events.
   *
   * @param answer The engine's first answer; it was requested before the other parts existed.
   * @throws {OperatorError} When no engine answers. @throws {EngineError} When it refuses.
   */
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
    this.#events.start({
      event: (event) => this.#take(event, listener),
      gap: () => {
        this.#thaw(this.launcher.frozen, listener); // an engine that ends stops its containers
        this.#repairWall();
        this.images.changed();
        this.names.changed();
        listener.gap();
      },
    });
    this.#hibernator.start();
    await Promise.all([listed, this.launcher.prepare(), this.#startWall()]);
  }

  /** Lets apps reach the ports of the host on which the proxy listens. @throws {OperatorError} */
  async proxyListens(ports: readonly number[]): Promise<void> {
    if (this.#isWalled) await this.#wall.letThrough(ports);
  }

  /** Undoes {@linkcode start}, and removes the network. No containers may be left. */
  async stop(): Promise<void> {
    await this.#end();
    await this.#network.remove();
    if (this.#isWalled) await this.#wall.remove();
    this.#api[Symbol.dispose]();
  }

  /** Undoes {@linkcode start}, but leaves the containers and the network. */
  async leave(): Promise<void> {
    await this.#end();
    this.#api[Symbol.dispose]();
  }

  /** Breaks off what moves memory to swap; from now on, nothing is moved. */
  stopHibernating(): void {
    this.#hibernator.stop();
  }

  /** Whether the memory of instances can be moved to disk now. */
  get canHibernate(): boolean {
    return this.launcher.canHibernate;
  }

  /** Whether the engine answers. Calls within a second share one request. */
  answers(): Promise<boolean> {
    const ask = () => this.#api.version({ timeoutMs: ANSWER_TIMEOUT_MS }).then(() => true, () => false);
    this.#answering ??= ask().finally(() => {
      this.#clock.after(MAX_ANSWER_AGE_MS, () => this.#answering = undefined);
    });
    return this.#answering;
  }

  /** The services of other data-dirs that have a container with this named volume, each as `SERVICE of OWNER`. */
  async othersWithVolume(volume: string): Promise<string[]> {
    const containers = await this.#api.containers({ volume }).catch((error) => {
      log.debug("cannot tell who uses a volume", { volume, reason: messageOf(error) });
      return [];
    });
    const others = containers.filter(({ owner }) => owner !== "" && owner !== this.#network.owner);
    return [...new Set(others.map(({ owner, service }) => `${service} of ${owner}`))].sort();
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
    await this.#events.stop();
    this.images.stop();
    this.#hibernator.stop();
    await this.#freezerHelper?.[Symbol.asyncDispose]();
  }

  /** Lets frozen containers run, since the engine may be sending them a signal to end. */
  #thaw(ids: readonly string[], listener: EngineListener): void {
    for (const id of ids) {
      this.launcher.signalled(id).then((runs) => runs && listener.apply({ id, what: "resumed" }));
    }
  }

  #take({ action, attributes, engineId, type }: EngineEvent, listener: EngineListener): void {
    if (type === "image") {
      this.names.changed();
      this.images.changed();
    } else if (attributes[LABEL.owner] === this.#network.owner) {
      const { name } = attributes;
      if (action === "start" && name !== undefined) this.launcher.started(name, engineId);
      if (action === "kill" && name !== undefined) this.#thaw([name], listener);
      if (action === "pause" && name !== undefined) this.launcher.pausedByEngine(name, engineId);
      if (action === "unpause" && name !== undefined) this.launcher.resumedByEngine(name);
      const event = this.#containerEvents.read(action, attributes);
      if (event !== undefined && !this.launcher.isLaunching(event.id)) listener.apply(event);
    }
  }
}
