import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { type ExecCommand, ExecError, type ExecProcess } from "../../control/exec/process.ts";
import type { Revision } from "../../model/revision.ts";
import {
  type Container,
  type KnownContainer,
  type Launch,
  type Launcher,
  NotNow,
  type Usage,
} from "../../pool/launcher.ts";
import { envProblem, redactError } from "../container_env.ts";
import { environmentOf, LABEL } from "../container_spec.ts";
import type { ListedContainer } from "../engine_api.ts";
import { EngineError } from "../engine_error.ts";
import type { AddressPosition } from "../network/addresses.ts";
import { forPool, type OwnContainers } from "../own_containers.ts";
import type { ImageNodes } from "./image_nodes.ts";
import { InstanceSharing, type InstanceSharingParts } from "./instance_sharing.ts";
import { isHeard, mayRunUnheard } from "./lost_nodes.ts";
import { Origins } from "./origins.ts";
import type { UseOf } from "./rivals.ts";
import type { NodePeers, PeerAnswer } from "./instance_messages.ts";
import { ServiceStarts, type ServiceStartsParts } from "./service_starts.ts";
import { instanceName, swarmProblem } from "./service_spec.ts";
import type { SwarmTask } from "./swarm_api.ts";
import { containerOf, hasEnded } from "./swarm_json.ts";
import type { TaskContainer, TaskEngine } from "./task_engine.ts";

const log = logger("launcher");
/** Another cless may take this long to keep the output of an instance that is about to be removed. */
const KEEP_MS = 3000;

/** What a {@linkcode SwarmLauncher} is made of. */
export interface SwarmLauncherParts
  extends Omit<InstanceSharingParts, "origins">, Omit<ServiceStartsParts, "origins" | "sharing"> {
  /** The containers of this node. */
  readonly containers: OwnContainers;
  readonly peers: NodePeers;
  readonly engine: Pick<TaskEngine, "container" | "forget" | "has" | "image" | "origin" | "owner" | "runs">;
}

/** What a list has found besides the tasks. */
interface Seen {
  /** The containers of this node. */
  readonly here: readonly ListedContainer[];
  /** Of each node, whether Swarm hears from it. */
  readonly heard: ReadonlyMap<string, boolean>;
  /** The instances that sleep on other nodes. */
  readonly asleep: ReadonlySet<string>;
  /** The tasks whose containers are gone. */
  readonly gone: ReadonlySet<SwarmTask>;
}

/**
 * The instances of the owner on all nodes: each is a service of Swarm, which this cless shares with the others. What is
 * done with a container is done by the cless on its node.
 */
export class SwarmLauncher implements Launcher {
  readonly sharing: InstanceSharing;
  readonly #parts: SwarmLauncherParts;
  readonly #origins = new Origins();
  readonly #starts: ServiceStarts;
  /** The instances that are not used here any more, though they may run: their names are not free. */
  readonly #letGo = new Set<string>();
  /** The engine's ids of the containers that have been ended here, by instances that are not forgotten yet. */
  readonly #ended = new Map<string, string>();

  constructor(parts: SwarmLauncherParts) {
    this.#parts = parts;
    this.sharing = new InstanceSharing({ ...parts, origins: this.#origins });
    this.#starts = new ServiceStarts({ ...parts, origins: this.#origins, sharing: this.sharing });
  }

  get outputs(): OwnContainers["outputs"] {
    return this.#parts.containers.outputs;
  }

  get volumeAccess(): OwnContainers["volumeAccess"] {
    return this.#parts.containers.volumeAccess;
  }

  /** The next port. Swarm gives out the addresses, so there is none to hand on. */
  get position(): AddressPosition {
    return { address: undefined, port: this.#parts.ports.next };
  }

  continueFrom({ port }: AddressPosition): void {
    this.#parts.ports.skipTo(port);
  }

  /**
   * The id for another instance of a revision: it has the lowest number that is free. One that has volumes gets its number
   * again, so that all cless mean the same instance: of two, the second one would wait for the first one to end.
   *
   * @param isTaken By this process.
   */
  newId(revision: Revision, isTaken: (id: string) => boolean): string {
    const isFree = (id: string) => revision.volumes.length > 0 || !this.#letGo.has(id);
    for (let number = 0;; number++) {
      const id = instanceName(this.#parts.owner, revision, number);
      if (!isTaken(id) && isFree(id)) return id;
    }
  }

  async launch({ id, isSilent = () => false, known = () => undefined, revision }: Launch): Promise<{ origin: string }> {
    try {
      for (const [name, value] of Object.entries(environmentOf(revision))) {
        const problem = envProblem(name, value);
        if (problem !== undefined) throw new EngineError("refused", problem);
      }
      const problem = swarmProblem(revision);
      if (problem !== undefined) throw new EngineError("refused", problem);
      const origin = await this.#starts.start(id, revision, {
        isSilent,
        useOf: (task) => useOf(task, known(task.name)),
      });
      if (this.#parts.homes.isHere(id)) {
        this.outputs.started(id, { service: revision.service, revision: revision.name });
        this.volumeAccess.check(id, revision);
      }
      return { origin };
    } catch (error) {
      throw forPool(redactError(error, revision));
    }
  }

  /** Notes that a container of this node has started, and says so to the others. */
  started(id: string, engineId: string): void {
    const { containers, homes, slots } = this.#parts;
    homes.found(id, homes.self);
    slots.home.started(id, engineId);
    containers.started(id, engineId);
    this.#starts.started(id);
    this.#parts.engine.owner(id).then((owner) => {
      if (owner === undefined) return;
      this.outputs.started(id, owner);
      if (owner.origin !== undefined) this.sharing.runsHere(id, owner.origin);
    }, (error) => log.debug("cannot tell where an instance runs", { instance: id, reason: messageOf(error) }));
  }

  /** Notes that an instance has started on another node. */
  startedElsewhere(id: string, nodeId: string, origin: string): void {
    this.#parts.homes.found(id, nodeId);
    this.#origins.heard(id, nodeId, origin);
    this.#starts.started(id);
  }

  /** Whether {@linkcode launch} is still running for an instance: until then, its events do not count. */
  isLaunching(id: string): boolean {
    return this.#starts.isStarting(id);
  }

  /** Resolves when no request to create an instance is running. */
  settled(): Promise<void> {
    return this.#starts.settled();
  }

  /** Pauses an instance of this node once nobody uses it. */
  pause(id: string, idleMs: number): Promise<void> {
    return this.sharing.pause(id, idleMs);
  }

  /** Resumes an instance, by its home if that is another cless. */
  resume(id: string): Promise<void> {
    return this.sharing.resume(id);
  }

  get canHibernate(): boolean {
    return this.#parts.containers.canHibernate;
  }

  get swapTotalBytes(): number {
    return this.#parts.containers.swapTotalBytes;
  }

  async hibernate(id: string): Promise<void> {
    if (!this.#parts.homes.isHere(id)) throw new NotNow("the container is on another node");
    await this.#parts.containers.hibernate(id);
  }

  /** Ends an instance once the requests of the others on it have ended. What is another's to end is only let go of. */
  async stop(id: string, graceS = Infinity): Promise<void> {
    if (!this.sharing.isOurs(id)) return await this.#leave(id);
    const container = this.#containerHere(id);
    if (graceS === Infinity) await this.sharing.release(id);
    await this.#end(id, { container, end: (engineId) => this.#parts.containers.stop(id, graceS, engineId) });
  }

  async remove(id: string): Promise<void> {
    const serviceId = this.sharing.isOurs(id) ? undefined : this.#starts.justMade(id);
    if (!this.sharing.isOurs(id) && serviceId === undefined) return await this.#leave(id);
    const container = this.#containerHere(id);
    await this.#end(id, { container, end: (engineId) => this.#parts.containers.remove(id, engineId), serviceId });
  }

  forget(id: string): void {
    const { containers, engine, homes, slots } = this.#parts;
    slots.forget(id);
    const ended = this.#ended.get(id);
    this.#ended.delete(id);
    if (ended !== undefined && (engine.container(id)?.engineId ?? ended) !== ended) return; // another one is here
    containers.forget(id);
    if (this.#starts.isStarting(id)) return; // another one of this name is being started
    engine.forget(id);
    homes.forget(id);
    this.#origins.forget(id);
  }

  /** Notes that a service is gone: its name is free. */
  gone(id: string): void {
    this.#parts.slots.home.gone(id);
    this.#letGo.delete(id);
    this.#starts.forget(id);
    this.sharing.forget(id);
    this.#origins.forget(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.outputs.lastLines(id, lines);
  }

  async exposedPorts({ imageId }: Pick<Revision, "imageId">): Promise<readonly number[]> {
    return await this.#parts.engine.image(imageId).then(({ exposedPorts }) => exposedPorts, () => []);
  }

  /** Every instance of the owner, on whichever node. */
  async list(): Promise<Container[]> {
    const { containers, homes, owner, peers, swarm, volumes } = this.#parts;
    try {
      const [tasks, nodes, here] = await Promise.all([swarm.tasks({ owner }), volumes.nodes(), containers.all()]);
      await containers.findFrozen(here);
      peers.noteNodes(nodes);
      const heard = new Map(nodes.map(({ id, isReady }) => [id, isReady]));
      const asleep = await this.#asleepElsewhere(tasks.filter(({ nodeId = "" }) => heard.get(nodeId)));
      const shown = tasks.filter((task) => !mayRunUnheard(task, heard.get(task.nodeId ?? "")));
      this.#keep(new Set(tasks.map(({ name }) => name)));
      this.#origins.know(nodes);
      for (const { name, nodeId } of shown) if (nodeId !== undefined) homes.found(name, nodeId);
      const gone = await this.#goneOf(shown, here);
      const listed = this.#containersOf(shown, { here, heard, asleep, gone });
      for (const container of listed) this.#followOutput(container);
      return listed;
    } catch (error) {
      throw forPool(error);
    }
  }

  /** Forgets all instances but some. */
  #keep(ids: ReadonlySet<string>): void {
    for (const id of this.#letGo) if (!ids.has(id)) this.gone(id);
    this.#parts.slots.home.keep(ids);
  }

  /**
   * The tasks that seem to run on this node, though their containers have gone with the engine: Swarm may not know that
   * yet.
   */
  async #goneOf(tasks: readonly SwarmTask[], here: readonly ListedContainer[]): Promise<ReadonlySet<SwarmTask>> {
    const { engine, homes } = this.#parts;
    const listed = new Set(here.map(({ id }) => id));
    const doubted = tasks.filter(({ name, nodeId, state }) =>
      nodeId === homes.self && state === "running" && !listed.has(name)
    );
    // One that has just started is not in that list.
    const run = await Promise.all(doubted.map(({ serviceId }) => engine.runs(serviceId)));
    return new Set(doubted.filter((_, at) => !run[at]));
  }

  /** The instances as pools see them, by all that has been noted of them. */
  #containersOf(tasks: readonly SwarmTask[], { asleep, gone, heard, here }: Seen): Container[] {
    const { containers, homes } = this.#parts;
    const byId = new Map(here.map((container) => [container.id, container]));
    return tasks.map((task) => {
      const { name: id, nodeId } = task;
      const isLost = nodeId !== undefined && !heard.get(nodeId);
      const own = nodeId === homes.self ? byId.get(id) : undefined;
      const origin = own?.origin || this.#origins.of(task);
      const isOver = isLost || gone.has(task) || hasEnded(task);
      const state = isOver ? "ended" : own === undefined ? stateOf(id, origin, asleep) : this.#stateOf(own);
      const isOurs = this.sharing.isOurs(id);
      return containerOf(task, { state, origin: containers.isStuck(id) ? undefined : origin, isOurs });
    });
  }

  /** The output of an instance is at its home; that of another machine's comes from Swarm. */
  #followOutput({ id, isOurs, revision, service, state }: Container): void {
    if (state !== "ended" && isOurs) this.outputs.started(id, { service, revision });
    else if (!this.#parts.homes.isHere(id)) this.outputs.forget(id);
  }

  /** What the containers of this node use. */
  usage(): Promise<ReadonlyMap<string, Usage>> {
    return this.#parts.containers.usage();
  }

  async processorTime(id: string): Promise<number | undefined> {
    const { containers, homes, peers } = this.#parts;
    const node = homes.nodeOf(id);
    if (node === undefined || node === homes.self) return await containers.processorTime(id);
    return (await peers.ask(node, { processorTime: id }).catch((): PeerAnswer => ({ ok: false }))).processorNs;
  }

  /** Runs a command in an instance of this node. @throws {ExecError} @throws The signal's reason. */
  async exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess> {
    const { containers, homes, swarm } = this.#parts;
    if (homes.isHere(id)) return await containers.exec(id, command, signal);
    const [nodes, [task]] = await Promise.all([swarm.nodes(), swarm.tasks({ service: id })]).catch(() => [[], []]);
    const { hostname } = nodes.find((node) => node.id === homes.nodeOf(id)) ?? {};
    const there = hostname === undefined || task === undefined
      ? "the instance runs on another machine: run the command there"
      : `the instance runs on ${hostname}: run the command there, such as with ssh -t ${hostname} sudo cless exec ${
        ownerOf(task).service
      }`;
    throw new ExecError(`${there}, or name the cless there with --server`);
  }

  /** Lets a frozen container run, so that it can take a signal. Resolves with false if it was not frozen. */
  signalled(id: string): Promise<boolean> {
    return this.#parts.containers.signalled(id);
  }

  /** The ids of the containers that are frozen without the engine's knowledge. */
  get frozen(): readonly string[] {
    return this.#parts.containers.frozen;
  }

  /** See {@linkcode OwnContainers.pausedByEngine}. */
  pausedByEngine(id: string, engineId: string): void {
    this.#parts.containers.pausedByEngine(id, engineId);
  }

  /** See {@linkcode OwnContainers.resumedByEngine}. */
  resumedByEngine(id: string): void {
    this.#parts.containers.resumedByEngine(id);
  }

  /** Which nodes have an image. */
  get images(): ImageNodes {
    return this.#parts.images;
  }

  /** Whether this node has a volume, for another cless. */
  hasVolume(source: string): Promise<PeerAnswer> {
    return this.#parts.volumes.answer(source);
  }

  /** Begins what the first pause needs. */
  prepare(): void {
    this.#parts.containers.prepare();
  }

  /** See {@linkcode OwnContainers.hurry}. */
  hurry(leftMs: number): void {
    this.#parts.containers.hurry(leftMs);
  }

  endPauses(): Promise<void> {
    return this.sharing.breakOff();
  }

  /** Lets what sleeps on this node run, if there are others: once this process has ended, nobody could wake it. */
  async handOver(): Promise<void> {
    const { containers, peers } = this.#parts;
    if (peers.live.length === 1) return await containers.handOver();
    await this.sharing.close();
    try {
      const here = await containers.all();
      await containers.findFrozen(here);
      const asleep = here.filter((container) => this.#stateOf(container) === "paused");
      await Promise.all(asleep.map(({ id }) => this.resume(id)));
    } catch (error) {
      log.warning("cannot resume all instances for the other cless", { reason: messageOf(error) });
    }
  }

  /** The container of an instance of this node. Another one of its name may run here before this one is removed. */
  #containerHere(id: string): TaskContainer | undefined {
    return this.#parts.homes.isHere(id) ? this.#parts.engine.container(id) : undefined;
  }

  /**
   * Ends a container of this node if there is one, and removes its service, but no later one of the same name. That of an
   * instance that may still run with a volume on a lost node stays: without it, another instance could get the volume
   * beside that one.
   *
   * @param what.serviceId The only service that may be removed, if not any.
   */
  async #end(id: string, { container, end, serviceId }: {
    readonly container: TaskContainer | undefined;
    readonly end: (engineId: string) => Promise<void>;
    readonly serviceId?: string | undefined;
  }): Promise<void> {
    const { swarm } = this.#parts;
    try {
      if (container !== undefined) {
        await end(container.engineId);
        this.#ended.set(id, container.engineId);
        return await swarm.removeService(container.serviceId);
      }
      const [task] = await swarm.tasks({ service: id });
      if (task === undefined || (serviceId !== undefined && task.serviceId !== serviceId)) return;
      const isNodeHeard = await isHeard(task.nodeId ?? "", this.#parts.volumes);
      if (mayRunUnheard(task, isNodeHeard)) {
        log.warning("an instance is lost with its node and volume", { instance: id, node: task.nodeId });
        return;
      }
      if (isNodeHeard) await this.#keepOutput(task);
      await swarm.removeService(task.serviceId);
    } catch (error) {
      throw forPool(error);
    }
  }

  /** Has the last lines of an instance on another node kept there; here if no cless lives there. */
  async #keepOutput(task: SwarmTask): Promise<void> {
    const { homes, peers } = this.#parts;
    const { name: id, nodeId = "" } = task;
    if (nodeId === homes.self || !peers.live.includes(nodeId)) {
      this.outputs.started(id, ownerOf(task));
      await this.outputs.retain(id);
    } else {
      await peers.ask(nodeId, { keep: id }, { timeoutMs: KEEP_MS }).catch((error) => {
        log.debug("the output of an instance is not kept", { instance: id, reason: messageOf(error) });
      });
    }
  }

  /** Uses an instance no more that another cless will end. Until then its name is not free. */
  async #leave(id: string): Promise<void> {
    const tasks = await this.#parts.swarm.tasks({ service: id }).catch(() => undefined);
    if (tasks?.length !== 0) this.#letGo.add(id);
  }

  /** Which instances sleep on the nodes of the others. */
  async #asleepElsewhere(tasks: readonly SwarmTask[]): Promise<ReadonlySet<string>> {
    const { homes, peers } = this.#parts;
    const nodes = new Set(tasks.flatMap(({ nodeId }) => nodeId ?? []));
    nodes.delete(homes.self);
    const asked = [...nodes].filter((node) => peers.live.includes(node));
    const answers = await Promise.all(
      asked.map((node) => peers.ask(node, { asleep: true }).catch((): PeerAnswer => ({ ok: false }))),
    );
    return new Set(answers.flatMap(({ asleep = [] }) => asleep));
  }

  #stateOf({ id, state }: ListedContainer): Container["state"] {
    return state === "running" && this.#parts.containers.isFrozen(id) ? "paused" : state;
  }
}

/** @param known What this process has under the name of the task: it may be an earlier instance. */
function useOf({ publishedPort }: SwarmTask, known: KnownContainer | undefined): ReturnType<UseOf> {
  if (known === undefined) return undefined;
  const { isEnding, origin } = known;
  if (!isEnding) return "using";
  // Each instance gets another port, which tells an earlier one of this name from a later one.
  return origin === "" || Number(new URL(origin).port) === publishedPort ? "unusable" : "later";
}

function ownerOf({ labels }: SwarmTask): { service: string; revision: string } {
  return { service: labels[LABEL.service] ?? "", revision: labels[LABEL.revision] ?? "" };
}

/** @param origin Missing while it does not run. */
function stateOf(id: string, origin: string | undefined, asleep: ReadonlySet<string>): Container["state"] {
  return origin === undefined ? "created" : asleep.has(id) ? "paused" : "running";
}
