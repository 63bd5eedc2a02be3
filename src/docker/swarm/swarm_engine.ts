import type { Clock } from "../../base/clock.ts";
import type { Config } from "../../base/config.ts";
import { messageOf, OperatorError } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { DataDir } from "../../control/data_dir.ts";
import type { HostPaths } from "../../deploy/volumes.ts";
import type { Revision } from "../../model/revision.ts";
import type { ServiceEngine } from "../engine.ts";
import type { EngineChoice } from "../engine_choice.ts";
import { EventStream } from "../events.ts";
import type { ImageSource } from "../images/image_source.ts";
import type { LocalImages } from "../images/local_images.ts";
import type { NamedImages } from "../images/named_images.ts";
import { RegistryLogins } from "../images/registry_logins.ts";
import { Sequence } from "../network/addresses.ts";
import { type EngineListener, type NodeConfig, NodeEngine } from "../node_engine.ts";
import { OwnContainers } from "../own_containers.ts";
import type { EngineCaller } from "../socket_client.ts";
import { Homes, numberOf } from "./homes.ts";
import { ImageNodes } from "./image_nodes.ts";
import type { NodePeers } from "./instance_messages.ts";
import { endPlainContainers } from "./plain_containers.ts";
import { takesTasks } from "./placement.ts";
import type { PortGuard } from "./port_guard.ts";
import { SlotExchange } from "./slot_exchange.ts";
import type { SlotHomeParts } from "./slot_home.ts";
import type { SwarmApi, SwarmEvent, SwarmInfo } from "./swarm_api.ts";
import { isReady } from "./swarm_json.ts";
import { SwarmLauncher } from "./swarm_launcher.ts";
import { TaskEngine } from "./task_engine.ts";
import { VolumeNodes } from "./volume_nodes.ts";

const log = logger("swarm");

/** The settings that matter to a {@linkcode SwarmEngine}. */
export type SwarmSettings =
  & NodeConfig
  & Pick<Config, "defaultCpus" | "defaultMemoryBytes" | "dockerEnv" | "drainTimeoutMs" | "noHostAccess" | "portRange">
  & {
    /** Whether the ports of instances may be open to everybody who reaches the node. */
    readonly openPorts: boolean;
  };

/** What a {@linkcode SwarmEngine} reaches. */
export interface SwarmAccess {
  /** This node's engine, by its socket. */
  readonly choice: Pick<EngineChoice, "api" | "docker" | "whyNotSocket">;
  /** The same engine, for requests of other kinds. */
  readonly caller: EngineCaller;
  /** The Swarm, by this node's engine or by a manager's. */
  readonly swarm: SwarmApi;
  /** What this node's engine says of itself. */
  readonly info: SwarmInfo;
  readonly peers: NodePeers;
  /** Closes the ports of instances on this node to all but the Swarm's nodes. */
  readonly guard: PortGuard;
  /** The folders of this node that containers may use. */
  readonly hostPaths: Pick<HostPaths, "problem">;
}

/** A Swarm that runs the containers of this cless, and the engine of its node, which does the rest. */
export class SwarmEngine implements ServiceEngine {
  readonly launcher: SwarmLauncher;
  /** Where volumes are. */
  readonly volumes: VolumeNodes;
  readonly #engine: TaskEngine;
  readonly #node: NodeEngine;
  readonly #events: EventStream<SwarmEvent>;
  readonly #guard: PortGuard;
  readonly #config: SwarmSettings;
  readonly #peers: Pick<NodePeers, "noteNodes">;
  /** What ends the containers from before there was a Swarm. */
  readonly #plain: Parameters<typeof endPlainContainers>[0];
  readonly #swarm: Pick<SwarmApi, "nodes">;
  #found = false;

  /** @param handover The take-over that this process may be in. */
  constructor(
    access: SwarmAccess,
    config: SwarmSettings,
    dataDir: DataDir,
    clock: Clock,
    handover: Pick<SlotHomeParts, "role" | "predecessor">,
  ) {
    const { caller, choice, guard, hostPaths, info, peers, swarm } = access;
    const homes = new Homes(info.nodeId, peers);
    const { owner } = dataDir;
    this.#config = config;
    this.#engine = new TaskEngine(choice.api, caller, swarm, info.nodeAddress);
    const images = new ImageNodes(info.nodeId, this.#engine, peers);
    this.#peers = peers;
    this.#swarm = swarm;
    this.#node = new NodeEngine({ ...choice, api: this.#engine }, config, dataDir, clock, images);
    this.#plain = { api: choice.api, caller, freezer: this.#node.freezer, owner };
    this.#events = new EventStream(swarm, clock);
    this.#guard = guard;
    const engine = this.#engine;
    this.volumes = new VolumeNodes({
      ...{ swarm, owner, peers, now: Date.now },
      here: {
        nodeId: info.nodeId,
        hasVolume: (name) => engine.hasVolume(name),
        info: () => engine.info(),
        folderProblem: (path) => hostPaths.problem(path),
      },
    });
    this.launcher = new SwarmLauncher({
      ...{ swarm, peers, owner, clock },
      ports: portsOf(config.portRange, info.nodeId),
      engine: this.#engine,
      containers: new OwnContainers(this.#engine, owner, this.#node, clock),
      homes,
      slots: new SlotExchange({ homes, peers, clock, now: Date.now, ...handover }),
      volumes: this.volumes,
      images,
      logins: new RegistryLogins(config.dockerEnv.folder, clock),
      drainTimeoutMs: config.drainTimeoutMs,
      defaults: {
        memoryBytes: config.defaultMemoryBytes === Infinity ? undefined : config.defaultMemoryBytes,
        cpus: config.defaultCpus,
      },
    });
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
    return this.#node.listening && this.#events.live;
  }

  get found(): boolean {
    return this.#found;
  }

  get canHibernate(): boolean {
    return this.launcher.canHibernate;
  }

  /** The id for another instance of a revision, the same for all cless that start it at once. */
  newId(revision: Revision, isTaken: (id: string) => boolean): string {
    return this.launcher.newId(revision, isTaken);
  }

  async start(answer: Promise<unknown>, listener: EngineListener): Promise<void> {
    if (this.#config.noHostAccess) {
      throw new OperatorError("--no-host-access does not work with --engine swarm, which has no network of its own");
    }
    await answer; // its error says what to do
    // The events are read from the time when this object was made, so they report every change after this list.
    const listed = this.images.changed();
    try {
      await this.#closePorts();
      await endPlainContainers(this.#plain);
    } catch (error) {
      await listed;
      await this.#guard.leave();
      this.images.stop();
      throw error;
    }
    this.#found = true;
    this.#node.start(this.launcher, {
      apply: (event) => {
        if (event.what === "ended" && event.byHand !== true) this.launcher.sharing.endedHere(event);
        listener.apply(event);
      },
      started: (id) => {
        if (!this.launcher.isLaunching(id)) listener.appeared?.(id);
      },
      gap: () => listener.gap(),
    });
    this.#events.start({
      event: (event) => this.#take(event, listener),
      gap: () => {
        this.#guard.changed();
        listener.gap();
      },
    });
    this.launcher.prepare();
    await listed;
  }

  /** Nothing keeps apps from the host, so there is nothing to open. */
  async proxyListens(): Promise<void> {}

  async stop(): Promise<void> {
    await this.leave();
    await this.#guard.stop();
  }

  async leave(): Promise<void> {
    await this.#guard.leave();
    await this.launcher.settled(); // the next process must find what is still being created
    await this.#events.stop();
    await this.#node.end();
    this.#node[Symbol.dispose]();
  }

  stopHibernating(): void {
    this.#node.hibernator.stop();
  }

  answers(): Promise<boolean> {
    return this.#node.answers();
  }

  async boundsOf({ image, imageDigest, imageId, placement = {} }: Revision): Promise<string | undefined> {
    if (imageDigest !== undefined) return undefined; // a registry has it
    try {
      const nodes = (await this.#swarm.nodes()).filter((node) => takesTasks(placement, node));
      const having = await this.launcher.images.having(imageId, nodes.map(({ id }) => id));
      if (having.length === 0 || having.length === nodes.length) return undefined;
      const names = nodes.filter(({ id }) => having.includes(id)).map(({ hostname }) => hostname).sort();
      const has = `${names.join(" and ")} ${names.length === 1 ? "has" : "have"}`;
      return `of the machines only ${has} the image, so it runs there; the others get it with: ` +
        `cless image send ${image} (on ${names[0]})`;
    } catch (error) {
      log.debug("cannot tell who has an image", { image, reason: messageOf(error) });
      return undefined;
    }
  }

  othersWithVolume(volume: string): Promise<string[]> {
    return this.#node.othersWithVolume(volume);
  }

  /** Closes the ports of instances to all but the Swarm's nodes. @throws {OperatorError} If it cannot, and must. */
  async #closePorts(): Promise<void> {
    try {
      await this.#guard.start();
    } catch (error) {
      if (!this.#config.openPorts) throw error;
      log.warning("the ports of instances are open to everybody who reaches this node", { reason: messageOf(error) });
    }
  }

  #take({ action, attributes, id, name, type }: SwarmEvent, listener: EngineListener): void {
    if (type === "service" && action === "remove") {
      this.launcher.gone(name);
      if (!this.launcher.isLaunching(name)) listener.apply({ id: name, what: "ended", byHand: true });
    }
    if (type !== "node") return;
    this.#guard.changed();
    const state = attributes["state.new"];
    // At once: a list may wait for the cless there.
    if (state !== undefined) this.#peers.noteNodes([{ id, isReady: isReady(state) }]);
    if (action === "remove" || state !== undefined) listener.gap();
  }
}

/** The ports for instances. Each cless begins at another place, so that two seldom choose the same one for one node. */
function portsOf({ first, last }: Config["portRange"], nodeId: string): Sequence {
  const ports = new Sequence(first, last);
  ports.skipTo(first + numberOf(nodeId, last - first + 1));
  return ports;
}
