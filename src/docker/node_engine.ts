import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { DataDir } from "../control/data_dir.ts";
import type { ContainerEvent } from "../pool/launcher.ts";
import { LABEL } from "./container_spec.ts";
import type { EngineApi, EngineEvent } from "./engine_api.ts";
import type { EngineChoice } from "./engine_choice.ts";
import { ContainerEvents, EventStream } from "./events.ts";
import { Freezer } from "./freezer/freezer.ts";
import type { FreezerHelper } from "./freezer/helper.ts";
import { findHelper, makeHelper } from "./freezer/helper_choice.ts";
import { Hibernator } from "./freezer/hibernator.ts";
import { ImageSource, type OtherMachines } from "./images/image_source.ts";
import { LocalImages } from "./images/local_images.ts";
import { NamedImages } from "./images/named_images.ts";
import { ContainerOutputs } from "./logs/outputs.ts";

const log = logger("engine");
/** An answer of the engine is reused for other callers for this long. */
const MAX_ANSWER_AGE_MS = 1000;
const ANSWER_TIMEOUT_MS = 10_000;

export interface EngineListener {
  /** Called when something has happened to a container of this cless. */
  apply(event: ContainerEvent): void;
  /** Called when events may have been lost. */
  gap(): void;
  /** Called when a container has started. */
  started?(id: string): void;
  /** Called when another cless has started a container here. */
  appeared?(id: string): void;
}

/** What starts the containers whose events a {@linkcode NodeEngine} takes. */
interface ContainerStarter {
  started(id: string, engineId: string): void;
  isLaunching(id: string): boolean;
  readonly frozen: readonly string[];
  signalled(id: string): Promise<boolean>;
  pausedByEngine(id: string, engineId: string): void;
  resumedByEngine(id: string): void;
}

/** The settings that matter to a {@linkcode NodeEngine}. */
export type NodeConfig = Pick<Config, "freezer" | "freezerSocket" | "swapBudgetBytes">;

/**
 * The engine of this machine, with what is this machine's whoever starts the containers: their events and output, how
 * they sleep, and the images.
 */
export class NodeEngine implements Disposable {
  readonly images: LocalImages;
  readonly names: NamedImages;
  readonly source: ImageSource;
  readonly outputs: ContainerOutputs;
  readonly freezer: Freezer;
  readonly hibernator: Hibernator;
  readonly #api: EngineApi;
  readonly #owner: string;
  readonly #clock: Clock;
  readonly #events: EventStream;
  readonly #containerEvents: ContainerEvents;
  readonly #freezerHelper: FreezerHelper | undefined;
  #answering: Promise<boolean> | undefined;

  constructor(
    { api, docker, whyNotSocket }: Pick<EngineChoice, "api" | "docker" | "whyNotSocket">,
    config: NodeConfig,
    dataDir: DataDir,
    clock: Clock,
    others?: OtherMachines,
  ) {
    this.#api = api;
    this.#owner = dataDir.owner;
    this.#clock = clock;
    this.#containerEvents = new ContainerEvents(clock);
    this.source = new ImageSource(api, docker, clock, others);
    this.outputs = new ContainerOutputs(api, clock);
    const helperPlace = findHelper(config);
    this.#freezerHelper = makeHelper(helperPlace, config, dataDir, api, clock);
    this.freezer = new Freezer(this.#freezerHelper, helperPlace.whyNot === undefined, clock);
    this.hibernator = new Hibernator(
      this.freezer,
      helperPlace.whyNot === undefined ? this.#freezerHelper : undefined,
      clock,
      config.swapBudgetBytes,
    );
    this.#events = new EventStream(api, clock);
    this.images = new LocalImages(api, clock, this.#events);
    this.names = new NamedImages(api, clock, this.#events);
    log.debug("engine chosen", { via: api.via, whyNotSocket, whyNotFreezer: helperPlace.whyNot });
  }

  /** Whether the engine's events are being received. */
  get listening(): boolean {
    return this.#events.live;
  }

  /** Begins to listen to the engine's events, and to watch whether the machine can hibernate. */
  start(containers: ContainerStarter, listener: EngineListener): void {
    this.#events.start({
      event: (event) => this.#take(event, containers, listener),
      gap: () => {
        this.#thaw(containers.frozen, containers, listener); // an engine that ends stops its containers
        this.images.changed();
        this.names.changed();
        listener.gap();
      },
    });
    this.hibernator.start();
  }

  /** Undoes {@linkcode start}. */
  async end(): Promise<void> {
    await this.#events.stop();
    this.images.stop();
    this.hibernator.stop();
    await this.#freezerHelper?.[Symbol.asyncDispose]();
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
    const others = containers.filter(({ owner }) => owner !== "" && owner !== this.#owner);
    return [...new Set(others.map(({ owner, service }) => `${service} of ${owner}`))].sort();
  }

  [Symbol.dispose](): void {
    this.#api[Symbol.dispose]();
  }

  /** Lets frozen containers run, since the engine may be sending them a signal to end. */
  #thaw(ids: readonly string[], containers: ContainerStarter, listener: EngineListener): void {
    for (const id of ids) {
      containers.signalled(id).then((runs) => runs && listener.apply({ id, what: "resumed" }));
    }
  }

  #take({ action, attributes, engineId, type }: EngineEvent, containers: ContainerStarter, listener: EngineListener) {
    if (type === "image") {
      this.names.changed();
      this.images.changed();
    } else if (attributes[LABEL.owner] === this.#owner) {
      const { name } = attributes;
      if (action === "start" && name !== undefined) {
        containers.started(name, engineId);
        listener.started?.(name);
      }
      if (action === "kill" && name !== undefined) this.#thaw([name], containers, listener);
      if (action === "pause" && name !== undefined) containers.pausedByEngine(name, engineId);
      if (action === "unpause" && name !== undefined) containers.resumedByEngine(name);
      const event = this.#containerEvents.read(action, attributes);
      if (event !== undefined && !containers.isLaunching(event.id)) listener.apply(event);
    }
  }
}
