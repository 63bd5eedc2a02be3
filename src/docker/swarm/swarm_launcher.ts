import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { type ExecCommand, ExecError, type ExecProcess } from "../../control/exec/process.ts";
import type { Revision } from "../../model/revision.ts";
import {
  type Container,
  ContainerGone,
  EngineAway,
  type Launch,
  type Launcher,
  NotNow,
  type Sharing,
  type Usage,
} from "../../pool/launcher.ts";
import { envProblem, redactError } from "../container_env.ts";
import { environmentOf, LABEL } from "../container_spec.ts";
import type { ListedContainer } from "../engine_api.ts";
import { EngineError, kindOf, kindOfMessage } from "../engine_error.ts";
import type { AddressPosition, Sequence } from "../network/addresses.ts";
import { forPool, type OwnContainers } from "../own_containers.ts";
import type { Homes } from "./homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "./peers.ts";
import { placementOf, takesTasks } from "./placement.ts";
import { serviceBody, slotName, swarmProblem, volumesIn } from "./service_spec.ts";
import type { LeavingTask, SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded, isOver } from "./swarm_json.ts";
import { originAt, type TaskEngine } from "./task_engine.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

const log = logger("launcher");
/** Swarm tells nobody when a task changes, so it is asked at this interval. */
const LOOK_MS = 50;
/** A start that Swarm does not end in any way is given up after its own time limit and this. */
const MORE_TIME_MS = 1000;
/** Whether Swarm still hears from the node of a task that does not run yet is asked at this interval. */
const NODE_LOOK_MS = 1000;
/** A change of what is declared is known to all within this time, as a rule. */
const NEWS_MS = 300;
/** A stop of an app takes no longer than this, its grace time included. */
const STOP_MS = 15_000;
/** Once Swarm has heard from the nodes that it waited for, it gets this long to see that one of them will do. */
const NO_NODE_MS = 1000;
/** So often a start makes room for itself where an instance of the same name has ended, or takes another port. */
const MAX_TRIES = 5;

/** What a {@linkcode SwarmLauncher} is made of. */
export interface SwarmLauncherParts {
  readonly swarm: SwarmApi;
  /** The containers of this node. */
  readonly containers: OwnContainers;
  readonly engine: Pick<TaskEngine, "forget" | "has" | "image" | "origin">;
  readonly homes: Homes;
  readonly peers: Peers;
  readonly volumes: VolumeNodes;
  /** The ports of nodes that instances get: those that each node's {@linkcode PortGuard} keeps closed to others. */
  readonly ports: Sequence;
  readonly owner: string;
  readonly clock: Clock;
  readonly drainTimeoutMs: number;
  /** The limits of containers that name none: nothing is reserved for these. */
  readonly defaults: Pick<Revision, "memoryBytes" | "cpus">;
}

/**
 * Starts instances as services of Swarm, each of one task that Swarm never replaces, and shares them with the other
 * cless of the owner. What is done with a container is done by the cless on its node.
 */
export class SwarmLauncher implements Launcher, Sharing {
  readonly #parts: SwarmLauncherParts;
  /** For each instance that is being started here, a function that its start event calls. */
  readonly #starting = new Map<string, () => void>();
  readonly #running = new Set<Promise<unknown>>();
  /** Until when an instance that was created here may be removed from here because its start failed, clock ms. */
  readonly #made = new Map<string, number>();
  /** The instances that are not used here any more, though they may run: their slots are not free. */
  readonly #letGo = new Set<string>();
  /** Of the instances that are being paused, or may be about to end, whether somebody uses each again. */
  readonly #unused = new Map<string, { again: boolean; readonly isPausing: boolean }>();
  /** Where instances of other nodes run, as their homes have said: Swarm itself knows it a tenth of a second later. */
  readonly #heard = new Map<string, { readonly nodeId: string; readonly origin: string }>();
  /** The paused instances whose home did not answer when it was last asked to resume them. */
  readonly #unanswered = new Set<string>();
  /** The addresses of the nodes, by id. */
  readonly #addresses = new Map<string, string>();

  constructor(parts: SwarmLauncherParts) {
    this.#parts = parts;
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

  /** The id for another instance of a revision: the lowest slot that is free. @param isTaken By this process. */
  newId(revision: Revision, isTaken: (id: string) => boolean): string {
    for (let slot = 0;; slot++) {
      const id = slotName(this.#parts.owner, revision, slot);
      if (!isTaken(id) && !this.#letGo.has(id)) return id;
    }
  }

  async launch({ id, revision }: Launch): Promise<{ origin: string }> {
    try {
      for (const [name, value] of Object.entries(environmentOf(revision))) {
        const problem = envProblem(name, value);
        if (problem !== undefined) throw new EngineError("refused", problem);
      }
      const problem = swarmProblem(revision);
      if (problem !== undefined) throw new EngineError("refused", problem);
      const launching = this.#launch(id, revision).finally(() => this.#running.delete(launching));
      this.#running.add(launching);
      const origin = await launching;
      if (this.#parts.homes.isHere(id)) {
        this.outputs.started(id, { service: revision.service, revision: revision.name });
        this.volumeAccess.check(id, revision);
      }
      return { origin };
    } catch (error) {
      throw forPool(redactError(error, revision));
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Notes that a container of this node has started, and says so to the others. */
  started(id: string, engineId: string): void {
    const { containers, homes } = this.#parts;
    homes.found(id, homes.self);
    containers.started(id, engineId);
    this.#starting.get(id)?.();
    this.#parts.engine.origin(id).then((origin) => {
      if (origin !== undefined) this.#tell({ started: id, on: homes.self, origin });
    }, (error) => log.debug("cannot tell where an instance runs", { instance: id, reason: messageOf(error) }));
  }

  /** Notes that an instance has started on another node. */
  startedElsewhere(id: string, nodeId: string, origin: string): void {
    this.#parts.homes.found(id, nodeId);
    this.#heard.set(id, { nodeId, origin });
    this.#starting.get(id)?.();
  }

  /** Whether {@linkcode launch} is still running for an instance: until then, its events do not count. */
  isLaunching(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Resolves when no request to create an instance is running. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  get sharing(): Sharing {
    return this;
  }

  isOurs(id: string): boolean {
    return this.#parts.homes.isOurs(id);
  }

  async mayEnd(id: string, idleMs: number): Promise<void> {
    await this.#whileUnused(id, false, () => this.#askToYield(id, "ended", idleMs));
  }

  runsOn(id: string): void {
    this.#tell({ resumed: id });
  }

  /** Pauses an instance of this node once nobody uses it. */
  async pause(id: string, idleMs: number): Promise<void> {
    const { containers, homes } = this.#parts;
    if (!homes.isHere(id)) throw new NotNow("no cless runs on the node of the container");
    await this.#whileUnused(id, true, async (use) => {
      await this.#askToYield(id, "paused", idleMs);
      if (use.again) return;
      try {
        await containers.pause(id);
      } catch (error) {
        // If it has failed in another way, the pool resumes the container, which tells the others.
        if (error instanceof NotNow) this.#tell({ resumed: id });
        throw error;
      }
      if (use.again) await containers.resume(id);
    });
  }

  /** Resumes an instance, by its home if that is another cless. */
  async resume(id: string): Promise<void> {
    const { homes } = this.#parts;
    if (homes.isHere(id)) {
      await this.#parts.containers.resume(id);
      this.#tell({ resumed: id });
    } else await this.#askToResume(id);
  }

  /** Resumes an instance of this node for another cless, which is told by the answer. */
  async resumeFor(id: string, from: string): Promise<void> {
    const use = this.#unused.get(id);
    if (use !== undefined) use.again = true;
    // One that is being paused is resumed by who pauses it; one that may be about to end may be asleep.
    if (use?.isPausing !== true) await this.#parts.containers.resume(id);
    this.#tell({ resumed: id }, from);
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
    const { containers, drainTimeoutMs, homes } = this.#parts;
    if (!homes.isOurs(id)) return await this.#leave(id);
    if (graceS === Infinity) await this.#release(id, drainTimeoutMs);
    await this.#end(id, () => containers.stop(id, graceS));
  }

  async remove(id: string): Promise<void> {
    const { clock, containers, homes } = this.#parts;
    const isOwnFailure = (this.#made.get(id) ?? -Infinity) >= clock.now();
    if (!homes.isOurs(id) && !isOwnFailure) return await this.#leave(id);
    await this.#end(id, () => containers.remove(id));
  }

  forget(id: string): void {
    const { containers, engine, homes } = this.#parts;
    containers.forget(id);
    if (this.#starting.has(id)) return; // another one of this name is being started
    engine.forget(id);
    homes.forget(id);
    this.#heard.delete(id);
  }

  /** Notes that a service is gone: its name is free. */
  gone(id: string): void {
    this.#letGo.delete(id);
    this.#made.delete(id);
    this.#unanswered.delete(id);
    this.#heard.delete(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.outputs.lastLines(id, lines);
  }

  async exposedPorts({ imageId }: Pick<Revision, "imageId">): Promise<readonly number[]> {
    return await this.#parts.engine.image(imageId).then(({ exposedPorts }) => exposedPorts, () => []);
  }

  /** Every instance of the owner, on whichever node. */
  async list(): Promise<Container[]> {
    const { containers, homes, owner, swarm } = this.#parts;
    try {
      const [tasks, nodes, here] = await Promise.all([swarm.tasks({ owner }), swarm.nodes(), containers.all()]);
      await containers.findFrozen(here);
      for (const { address, id } of nodes) this.#addresses.set(id, address);
      const heard = new Map(nodes.map(({ id, isReady }) => [id, isReady]));
      const byId = new Map(here.map((container) => [container.id, container]));
      const asleep = await this.#asleepElsewhere(tasks.filter(({ nodeId = "" }) => heard.get(nodeId)));
      const names = new Set(tasks.map(({ name }) => name));
      for (const id of this.#letGo) if (!names.has(id)) this.gone(id);
      return tasks.filter((task) => !mayRunUnheard(task, heard.get(task.nodeId ?? ""))).map((task) => {
        const { labels, name: id, nodeId } = task;
        if (nodeId !== undefined) homes.found(id, nodeId);
        const isLost = nodeId !== undefined && !heard.get(nodeId);
        const own = nodeId === homes.self ? byId.get(id) : undefined;
        const origin = own?.origin || this.#originOf(task);
        const isOver = isLost || hasEnded(task);
        const state = isOver ? "ended" : own === undefined ? stateOf(id, origin, asleep) : this.#stateOf(own);
        if (own !== undefined && state !== "ended") {
          this.outputs.started(id, { service: own.service, revision: own.revision });
        }
        return {
          id,
          service: labels[LABEL.service] ?? "",
          revision: labels[LABEL.revision] ?? "",
          imageId: labels[LABEL.image] ?? "",
          state,
          upFor: task.startedAt === undefined ? undefined : Math.max(0, Date.now() - task.startedAt),
          origin: containers.isStuck(id) ? undefined : origin,
          isOurs: homes.isOurs(id),
        };
      });
    } catch (error) {
      throw forPool(error);
    }
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

  /** Has all other cless stop their instances of a service. Resolves with whether one of them knows it. */
  async sleepElsewhere(service: string): Promise<boolean> {
    const timeoutMs = this.#parts.drainTimeoutMs + 2 * MORE_TIME_MS + STOP_MS;
    return (await this.#askOthers({ sleep: service }, { timeoutMs })).some(({ ok }) => ok);
  }

  /** Runs a command in an instance of this node. @throws {ExecError} @throws The signal's reason. */
  async exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess> {
    const { containers, homes, swarm } = this.#parts;
    if (homes.isHere(id)) return await containers.exec(id, command, signal);
    const nodes = await swarm.nodes().catch(() => []);
    const { hostname } = nodes.find((node) => node.id === homes.nodeOf(id)) ?? { hostname: "another machine" };
    throw new ExecError(`the instance runs on ${hostname}: run the command there, or with --server of the cless there`);
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

  /** Whether this node has an image. */
  async hasImage(imageId: string): Promise<boolean> {
    return await this.#parts.engine.image(imageId).then(() => true, () => false);
  }

  /** Begins what the first pause needs. */
  prepare(): void {
    this.#parts.containers.prepare();
  }

  /** See {@linkcode OwnContainers.hurry}. */
  hurry(leftMs: number): void {
    this.#parts.containers.hurry(leftMs);
  }

  /** See {@linkcode OwnContainers.handOver}. */
  handOver(): Promise<void> {
    return this.#parts.containers.handOver();
  }

  /** Creates a service, or joins the one of the same name, and waits until its task runs. Resolves with its origin. */
  async #launch(id: string, revision: Revision): Promise<string> {
    const { clock } = this.#parts;
    const started = Promise.withResolvers<void>();
    this.#starting.set(id, started.resolve);
    const deadline = clock.now() + revision.startTimeoutMs + MORE_TIME_MS;
    let bound = await this.#boundTo(revision, revision.imageDigest === undefined);
    for (let tries = 1;; tries++) {
      const isMade = await this.#create(id, revision, bound, deadline);
      try {
        return await this.#untilRunning(id, started.promise, deadline);
      } catch (error) {
        if (isMade) await this.#parts.swarm.removeService(id).catch(() => {});
        const isElsewhere = error instanceof NodeLost || (error instanceof ContainerGone && !isMade);
        if (isElsewhere && tries < MAX_TRIES) continue; // it ended as it was joined, or before it ran
        if (kindOf(error) === "address_taken" && tries < MAX_TRIES) continue; // with another port
        const isMissing = kindOf(error) === "no_such_image" && bound === undefined;
        if (!isMissing || tries >= MAX_TRIES) throw error;
        log.warning("a node cannot pull an image; starting where it is", { instance: id, reason: messageOf(error) });
        bound = await this.#boundTo(revision, true);
      }
    }
  }

  /** Creates a service. Resolves with false if there is one already that runs or is about to. */
  async #create(id: string, revision: Revision, bound: string | undefined, deadline: number): Promise<boolean> {
    const { clock, defaults, owner, swarm } = this.#parts;
    const { cpus, imageDigest, imageId, memoryBytes, placement = {}, volumes } = revision;
    const body = serviceBody(revision, {
      nodePort: this.#nextPort(),
      name: id,
      owner,
      image: bound === undefined ? imageDigest ?? imageId : imageId,
      placement: placementOf(placement, bound),
      reserved: {
        memoryBytes: memoryBytes === defaults.memoryBytes ? undefined : memoryBytes,
        ...(cpus === undefined || cpus === defaults.cpus ? {} : { cpus }),
      },
    });
    const sources = volumes.map(({ source }) => source);
    for (;;) {
      await this.#untilFree(id, revision.service, sources, deadline);
      try {
        this.#heard.delete(id); // of an earlier instance of this name
        const serviceId = await swarm.createService(body);
        this.#made.set(id, clock.now() + 2 * revision.startTimeoutMs);
        if (await this.#isFirst(id, sources)) return true;
        await swarm.removeService(serviceId); // another one with the volumes was created at the same time
      } catch (error) {
        if (kindOf(error) !== "conflict") throw error;
        if (await this.#join(id)) return false;
      }
      if (clock.now() >= deadline) throw new Error(`an instance named ${id} does not end`);
      await delay(clock, LOOK_MS);
    }
  }

  /** Whether the service of this name can be used, now or soon. Removes one that has ended. */
  async #join(id: string): Promise<boolean> {
    const { homes, owner, peers, swarm } = this.#parts;
    const [task] = await swarm.tasks({ service: id });
    if (task === undefined) return false;
    if (task.labels[LABEL.owner] !== owner) {
      throw new EngineError("refused", `the name ${id} is taken by a service of Swarm that is not of this cless`);
    }
    const isHeard = task.nodeId === undefined || await this.#hears(task.nodeId);
    if (mayRunUnheard(task, isHeard)) {
      throw new EngineError(
        "away",
        `Swarm does not hear from the node ${task.nodeId}, and the instance has a volume there`,
      );
    }
    if (hasEnded(task) || !isHeard) {
      await swarm.removeService(task.serviceId);
      return false;
    }
    if (task.nodeId === undefined || task.state !== "running") return true;
    homes.found(id, task.nodeId);
    if (homes.isHere(id)) await this.#parts.containers.resume(id).catch(() => {}); // it may be paused
    else if (peers.live.includes(task.nodeId)) {
      const { ok } = await peers.ask(task.nodeId, { resume: id, from: homes.self });
      if (!ok) return false; // its home is ending it
    }
    return true;
  }

  /** Resolves with an instance's origin once it runs. @throws {EngineError | ContainerGone} Why it never will. */
  async #untilRunning(id: string, started: Promise<void>, deadline: number): Promise<string> {
    const { clock, engine, homes, swarm } = this.#parts;
    const here = new AbortController(); // aborted once somebody has said that it runs
    started.then(() => here.abort());
    let lookMs = clock.now() + NODE_LOOK_MS;
    let noNodeMs = 0; // at once
    while (clock.now() < deadline) {
      await delay(clock, LOOK_MS, here.signal);
      if (here.signal.aborted) {
        const origin = this.#heard.get(id)?.origin ?? (engine.has(id) ? await engine.origin(id) : undefined);
        if (origin !== undefined) return origin;
        await delay(clock, LOOK_MS);
      }
      const [task] = await swarm.tasks({ service: id });
      if (task === undefined) throw new ContainerGone("somebody removed the service");
      if (hasEnded(task)) throw endOf(task);
      if (task.nodeId === undefined && task.error !== undefined) {
        const reason = `Swarm finds no node for it: ${task.error}`;
        if (/port already in use/.test(task.error)) throw new EngineError("address_taken", reason);
        if ((await swarm.nodes()).some(({ isAwaited }) => isAwaited)) noNodeMs = Infinity;
        else if (noNodeMs === Infinity) noNodeMs = clock.now() + NO_NODE_MS;
        if (clock.now() >= noNodeMs) throw new EngineError("refused", reason);
        continue;
      }
      if (task.state !== "running") {
        if (task.nodeId === undefined || clock.now() < lookMs) continue;
        if (!await this.#hears(task.nodeId)) throw new NodeLost(`Swarm does not hear from the node ${task.nodeId}`);
        lookMs = clock.now() + NODE_LOOK_MS;
        continue;
      }
      homes.found(id, task.nodeId!);
      if (!this.#addresses.has(task.nodeId!)) {
        for (const { address, id } of await swarm.nodes()) this.#addresses.set(id, address);
      }
      const origin = this.#originOf(task);
      if (origin !== undefined) return origin;
    }
    throw new EngineError("refused", "Swarm did not start the container in time");
  }

  /**
   * A port for another instance. Swarm knows which ones its tasks use, on whichever node they are placed, so that none is
   * noted here. But the same one comes again only after all others: a request to an instance that has ended must not
   * reach another one.
   */
  #nextPort(): number {
    const { ports } = this.#parts;
    const port = ports.take();
    ports.free(port);
    return port;
  }

  /**
   * The node to which a revision is bound by its volumes, or by its image if only some nodes have that. Of the nodes that
   * will do, this one is taken before others.
   *
   * @throws {EngineError} If no node has the image.
   */
  async #boundTo(revision: Revision, byImage: boolean): Promise<string | undefined> {
    const { homes, swarm, volumes } = this.#parts;
    if (!byImage && revision.volumes.length === 0) return undefined;
    const { image, imageId, placement = {} } = revision;
    const ids = (await swarm.nodes()).filter((node) => takesTasks(placement, node)).map(({ id }) => id);
    const nodes = ids.includes(homes.self) ? [homes.self, ...ids.filter((id) => id !== homes.self)] : ids;
    const having = byImage ? await this.#nodesWithImage(imageId, nodes) : nodes;
    if (having.length === 0 && nodes.length > 0) {
      const what = `the image ${image} is on no node of the Swarm, and in no registry`;
      throw new EngineError("refused", `${what}: push it to one, or send it with cless image send`);
    }
    const [best] = having; // none if Swarm will say why no node takes it
    const bound = await volumes.nodeOf(revision, best ?? homes.self);
    return bound ?? (having.length < nodes.length ? best : undefined);
  }

  /** Those of some nodes that have an image; if none is known to, those of which nobody knows: no cless answers there. */
  async #nodesWithImage(imageId: string, nodes: readonly string[]): Promise<string[]> {
    const { homes, peers } = this.#parts;
    const has = await Promise.all(nodes.map(async (node) => {
      if (node === homes.self) return await this.hasImage(imageId);
      if (!peers.live.includes(node)) return undefined;
      return await peers.ask(node, { hasImage: imageId }).then(({ ok }) => ok, () => undefined);
    }));
    const isKnown = has.includes(true);
    return nodes.filter((_, index) => isKnown ? has[index] === true : has[index] === undefined);
  }

  /**
   * Waits until no other instance has one of these volumes. If one has, it is of another revision of the service, and a
   * deploy has ended it here already: the others are asked to do so too.
   */
  async #untilFree(id: string, service: string, sources: readonly string[], deadline: number): Promise<void> {
    const { clock } = this.#parts;
    for (let asked = false; !await this.#isFirst(id, sources); asked = true) {
      if (!asked) this.sleepElsewhere(service);
      if (clock.now() >= deadline) throw new Error(`another instance does not let go of a volume that ${id} needs`);
      await delay(clock, LOOK_MS);
    }
  }

  /**
   * Whether no other instance has one of these volumes, or only one that was created later. Of two that are created at
   * the same time, the first one stays.
   */
  async #isFirst(id: string, sources: readonly string[]): Promise<boolean> {
    if (sources.length === 0) return true;
    const { owner, swarm } = this.#parts;
    const [tasks, leaving] = await Promise.all([swarm.tasks({ owner }), swarm.leaving(owner)]);
    const has = ({ labels }: LeavingTask) => volumesIn(labels).some((source) => sources.includes(source));
    const { order = Infinity } = tasks.find(({ name }) => name === id) ?? {};
    if (tasks.some((task) => task.order < order && !isOver(task) && has(task))) return false;
    const held = leaving.filter(has);
    if (held.length === 0) return true;
    const nodes = new Set((await swarm.nodes()).map(({ id }) => id));
    return held.every(({ nodeId = "" }) => !nodes.has(nodeId)); // on a node that was removed from the Swarm, nothing runs
  }

  /** Does something with an instance that nobody uses. @throws {NotNow} When another cless uses it meanwhile. */
  async #whileUnused(
    id: string,
    isPausing: boolean,
    work: (use: { readonly again: boolean }) => Promise<void>,
  ): Promise<void> {
    const use = { again: false, isPausing };
    this.#unused.set(id, use);
    try {
      await work(use);
      if (!use.again) return;
    } finally {
      this.#unused.delete(id);
    }
    this.#tell({ resumed: id });
    throw new NotNow("another cless uses the container again", { idleMs: 0 });
  }

  /** Asks all others to leave an instance alone. If one does not, takes it back from those that did. */
  async #askToYield(id: string, to: "paused" | "ended", afterMs: number): Promise<void> {
    const answers = await this.#askOthers({ yield: id, to, afterMs });
    const refusals = answers.filter(({ ok }) => !ok);
    if (refusals.length === 0) return;
    this.#tell({ resumed: id });
    const idleMs = Math.min(...refusals.map(({ idleMs = 0 }) => idleMs));
    throw new NotNow("another cless uses the container", { idleMs });
  }

  async #askToResume(id: string): Promise<void> {
    const { homes, peers } = this.#parts;
    const home = homes.homeOf(id);
    if (home === undefined || home === homes.self) throw new ContainerGone("its node is lost");
    let answer: PeerAnswer;
    try {
      answer = await peers.ask(home, { resume: id, from: homes.self });
    } catch (error) {
      const message = `the cless of the node ${home} does not answer: ${messageOf(error)}`;
      // It may just be starting anew. But requests do not wait for one that has gone: another instance serves them.
      if (this.#unanswered.delete(id)) throw new ContainerGone(message, { cause: error });
      this.#unanswered.add(id);
      throw new EngineAway(message, { cause: error });
    }
    this.#unanswered.delete(id);
    if (!answer.ok) throw new ContainerGone(answer.reason ?? "its home is ending it");
  }

  /**
   * Waits until the others have no requests on an instance any more. If a deploy has superseded its revision, they hear
   * of that at about the same time: who did not know it yet would start another instance of the old one.
   */
  async #release(id: string, withinMs: number): Promise<void> {
    const { clock, peers } = this.#parts;
    if (peers.live.length > 1) await delay(clock, NEWS_MS);
    await this.#askOthers({ release: id, withinMs }, { timeoutMs: withinMs + MORE_TIME_MS });
  }

  async #askOthers(message: PeerMessage, options?: { readonly timeoutMs: number }): Promise<PeerAnswer[]> {
    const { homes, peers } = this.#parts;
    const others = peers.live.filter((node) => node !== homes.self);
    // Who does not answer, though it lives, may use the instance.
    const ask = (node: string) => peers.ask(node, message, options).catch((): PeerAnswer => ({ ok: false }));
    return await Promise.all(others.map(ask));
  }

  /** Says something to all others, without waiting for them. @param except The node of one who knows it. */
  #tell(message: PeerMessage, except?: string): void {
    const { homes, peers } = this.#parts;
    for (const node of peers.live) {
      if (node === homes.self || node === except) continue;
      peers.ask(node, message).catch((error) => {
        log.debug("another cless does not answer", { node, reason: messageOf(error) }); // it will see it in the list
      });
    }
  }

  /**
   * Ends a container of this node if there is one, and removes its service. That of an instance that may still run with a
   * volume on a lost node stays: without it, another instance could get the volume beside that one.
   */
  async #end(id: string, end: () => Promise<void>): Promise<void> {
    const { engine, swarm } = this.#parts;
    try {
      if (engine.has(id)) await end();
      else {
        const [task] = await swarm.tasks({ service: id });
        if (task !== undefined && mayRunUnheard(task, await this.#hears(task.nodeId ?? ""))) {
          log.warning("an instance is lost with its node and volume", { instance: id, node: task.nodeId });
          return;
        }
      }
      await swarm.removeService(id);
    } catch (error) {
      throw forPool(error);
    }
  }

  /** Whether Swarm hears from a node; `undefined` if there is none of that id, or no more. */
  async #hears(nodeId: string): Promise<boolean | undefined> {
    return (await this.#parts.swarm.nodes()).find(({ id }) => id === nodeId)?.isReady;
  }

  /** Uses an instance no more that another cless will end. Until then its slot is not free. */
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

  #originOf({ name, nodeId = "", publishedPort }: SwarmTask): string | undefined {
    const heard = this.#heard.get(name);
    if (heard?.nodeId === nodeId) return heard.origin;
    const address = this.#addresses.get(nodeId);
    return address === undefined || publishedPort === undefined ? undefined : originAt(address, publishedPort);
  }
}

/** The node on which an instance was to start is lost. */
class NodeLost extends ContainerGone {}

/**
 * Whether a task has a volume on a node that is not heard, where it may run nevertheless: behind a cable that is cut,
 * say. It counts as running until the node is back, or is removed from the Swarm by somebody who knows that it is gone.
 *
 * @param isHeard Whether Swarm hears from its node; `undefined` if there is none.
 */
function mayRunUnheard(task: SwarmTask, isHeard: boolean | undefined): boolean {
  return isHeard === false && !isOver(task) && volumesIn(task.labels).length > 0;
}

/** @param origin Missing while it does not run. */
function stateOf(id: string, origin: string | undefined, asleep: ReadonlySet<string>): Container["state"] {
  return origin === undefined ? "created" : asleep.has(id) ? "paused" : "running";
}

/** The error for a task that has ended before it ran. */
function endOf({ error = "no reason", exitCode, state }: SwarmTask): Error {
  if (/no such image|pull access denied|manifest .*unknown|not found: manifest/i.test(error)) {
    return new EngineError("no_such_image", `the node cannot get the image: ${error}`);
  }
  if (state === "shutdown" || state === "remove" || state === "orphaned") return new ContainerGone("somebody ended it");
  if (kindOfMessage(error) === "address_taken") return new EngineError("address_taken", error);
  if (exitCode !== undefined && state !== "rejected") {
    return new Error(`the container ended with code ${exitCode} before it was ready`);
  }
  return new EngineError("refused", `Swarm cannot start it: ${error}`);
}
