import type { Config } from "../base/config.ts";
import { type DataDir, isDataDirInUse } from "../control/data_dir.ts";
import { DockerCommand } from "../docker/command.ts";
import { ContainerEvents } from "../docker/container_events.ts";
import { findEngine } from "../docker/engine.ts";
import { EngineSocket } from "../docker/engine_socket.ts";
import { EventStream } from "../docker/events.ts";
import { ImageSource } from "../docker/images/image_source.ts";
import { LocalImages } from "../docker/images/images.ts";
import { DockerLauncher } from "../docker/launcher.ts";
import { OwnNetwork } from "../docker/network/network.ts";
import { LABEL } from "../docker/run_args.ts";
import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { ContainerEvent } from "../pool/launcher.ts";

/** For how long what the engine has answered holds, ms. */
const ANSWER_AGE_MS = 1000;
const PATIENCE_MS = 10_000;
const MEMORY_PATIENCE_MS = 1000;

/** What {@linkcode Containers} work with. */
export interface ContainersParts {
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly clock: Clock;
  /** Is told what has happened to a container of this cless. */
  readonly observe: (event: ContainerEvent) => void;
  /** Is told that events may have been missed. */
  readonly gap: () => void;
}

/** All that has to do with the engine: its command, this cless's network, the launcher, the events and the images. */
export class Containers {
  readonly launcher: DockerLauncher;
  /** The local images that the convention knows. */
  readonly images: LocalImages;
  /** Where images come from that are named in full. */
  readonly source: ImageSource;
  readonly #parts: ContainersParts;
  readonly #docker: DockerCommand;
  readonly #socket: EngineSocket;
  readonly #understood: ContainerEvents;
  readonly #network: OwnNetwork;
  readonly #events: EventStream;
  #found = false;
  #asked: Promise<boolean> | undefined;
  #measured: Promise<void> | undefined;
  #memory: ReadonlyMap<string, number> = new Map();

  constructor(parts: ContainersParts) {
    const { clock, config, dataDir } = this.#parts = parts;
    this.#understood = new ContainerEvents(clock);
    this.#docker = new DockerCommand(config.docker);
    this.#socket = new EngineSocket(this.#docker);
    this.#network = new OwnNetwork(this.#docker, dataDir, isDataDirInUse);
    this.source = new ImageSource(this.#docker, this.#socket);
    this.launcher = new DockerLauncher({
      docker: this.#docker,
      socket: this.#socket,
      settings: settingsOf(config),
      network: this.#network,
      owner: dataDir.owner,
      portRange: config.portRange,
      upstream: config.upstream,
    });
    this.#events = new EventStream(this.#docker, {
      event: ({ type, action, attributes }) => {
        if (type === "image") this.images.changed();
        else if (attributes[LABEL.owner] === dataDir.owner) this.#observe(action, attributes);
      },
      gap: () => {
        this.images.changed();
        parts.gap();
      },
    });
    this.images = new LocalImages(this.#docker, clock, () => this.#events.live);
  }

  /** Whether the engine's events are being received. */
  get listening(): boolean {
    return this.#events.live;
  }

  /** Whether an engine has been found, so that there may be something to stop. */
  get found(): boolean {
    return this.#found;
  }

  /**
   * Has ready what the first request would have to wait for, and begins to listen to the engine.
   *
   * @param engine Its first answer, which was asked for before the rest was there.
   * @throws {OperatorError} When none answers.
   * @throws {DockerError} When it refuses.
   */
  async start(engine: Promise<unknown>): Promise<void> {
    const network = this.#network.ensure();
    network.catch(() => {});
    try {
      await engine; // where there is none, that says what to do
    } catch (error) {
      await network.catch(() => {});
      throw error;
    }
    this.#holdAnswer(Promise.resolve(true));
    const listed = this.images.changed(); // events tell of what has changed since these parts were made
    try {
      await network; // where that is refused, the containers are another's, and must not be stopped
    } catch (error) {
      await listed;
      this.images.stop();
      throw error;
    }
    this.#found = true;
    this.#events.start();
    await Promise.all([listed, this.launcher.prepare()]);
  }

  /**
   * Looks for the engine's socket; until it is found, the command does everything. To be called once the first requests are
   * served: it costs two commands.
   */
  speedUp(): void {
    if (this.#parts.config.engineApi !== "command") this.#socket.find();
  }

  /** Ends what {@linkcode Containers.start} has begun, and removes the network, on which there is no container any more. */
  async stop(): Promise<void> {
    await this.leave();
    await this.#network.remove();
  }

  /** Ends what {@linkcode Containers.start} has begun, and leaves what is there. */
  async leave(): Promise<void> {
    await this.launcher.settled(); // a container that is being made should be there when the next one looks
    await this.#events.stop();
    this.images.stop();
    this.#socket[Symbol.dispose]();
  }

  /** Whether the engine answers; asked once for all who want to know within a second. */
  answers(): Promise<boolean> {
    return this.#asked ??
      this.#holdAnswer(findEngine(this.#docker, { timeout: PATIENCE_MS }).then(() => true, () => false));
  }

  /** Has an answer of the engine hold for a while. */
  #holdAnswer(answers: Promise<boolean>): Promise<boolean> {
    return this.#asked = answers.finally(() => {
      this.#parts.clock.after(ANSWER_AGE_MS, () => this.#asked = undefined);
    });
  }

  /**
   * How much memory each container uses, in bytes by id, as it was within the last second; or as far as is known, where
   * the engine takes long.
   */
  async memory(): Promise<ReadonlyMap<string, number>> {
    const { clock } = this.#parts;
    this.#measured ??= this.launcher.memory().then((memory) => void (this.#memory = memory), () => {}).finally(() => {
      clock.after(ANSWER_AGE_MS, () => this.#measured = undefined);
    });
    await atMost(this.#measured, clock, MEMORY_PATIENCE_MS);
    return this.#memory;
  }

  #observe(action: string, attributes: Readonly<Record<string, string>>): void {
    if (action === "start" && attributes.name !== undefined) this.launcher.started(attributes.name);
    const event = this.#understood.read(action, attributes);
    if (event !== undefined && !this.launcher.isLaunching(event.id)) this.#parts.observe(event);
  }
}

/** Where the docker command has its settings; `undefined` where only that itself knows what containers it makes. */
function settingsOf({ docker, dockerEnv: { folder, platform } }: Config): string | undefined {
  const isPlain = docker === "docker" && platform === undefined && folder !== undefined;
  return isPlain ? `${folder}/config.json` : undefined;
}
