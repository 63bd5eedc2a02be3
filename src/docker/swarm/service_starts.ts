import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Revision } from "../../model/revision.ts";
import { ContainerGone, ServedByOther, VolumeAway } from "../../pool/launcher.ts";
import { LABEL } from "../container_spec.ts";
import { EngineError, kindOf, kindOfMessage } from "../engine_error.ts";
import type { RegistryLogins } from "../images/registry_logins.ts";
import type { Sequence } from "../network/addresses.ts";
import type { Homes } from "./homes.ts";
import type { ImageNodes } from "./image_nodes.ts";
import type { InstanceSharing } from "./instance_sharing.ts";
import { isHeard, mayRunUnheard } from "./lost_nodes.ts";
import type { Origins } from "./origins.ts";
import type { Peers } from "./instance_messages.ts";
import { placementOf, takesTasks } from "./placement.ts";
import { Rivals, type UseOf } from "./rivals.ts";
import { serviceBody } from "./service_spec.ts";
import type { SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded } from "./swarm_json.ts";
import type { TaskEngine } from "./task_engine.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

const log = logger("launcher");
/** Swarm tells nobody when a task changes, so it is asked at this interval. */
const LOOK_MS = 50;
/** A start that Swarm does not end in any way is given up after its own time limit and this. */
const MORE_TIME_MS = 1000;
/** Whether Swarm still hears from the node of a task that does not run yet is asked at this interval. */
const NODE_LOOK_MS = 1000;
/** The home of an instance that is to be joined gets this long to answer; then the start is tried again. */
const JOIN_MS = 2000;
/** Swarm gets this long to find a node, counted from when it waits for none any more, and none has room to regain. */
const NO_NODE_MS = 1000;
/** An instance of another cless that waits for a node for this long, and for no room to become free, waits for ever. */
const UNPLACED_MS = 5000;
/** So often a start makes room for itself where an instance of the same name has ended, or takes another port. */
const MAX_TRIES = 5;

/** What {@linkcode ServiceStarts} are made of. */
export interface ServiceStartsParts {
  readonly swarm: SwarmApi;
  readonly engine: Pick<TaskEngine, "has" | "image" | "origin" | "runs">;
  readonly homes: Homes;
  readonly images: ImageNodes;
  readonly logins: Pick<RegistryLogins, "headerFor">;
  readonly origins: Origins;
  readonly peers: Peers;
  readonly sharing: Pick<InstanceSharing, "find" | "sleepElsewhere" | "wake">;
  readonly volumes: VolumeNodes;
  /** The ports of nodes that instances get: those that each node's {@linkcode PortGuard} keeps closed to others. */
  readonly ports: Sequence;
  readonly owner: string;
  readonly clock: Clock;
  /** The limits of containers that name none: nothing is reserved for these. */
  readonly defaults: Pick<Revision, "memoryBytes" | "cpus">;
}

/** Starts instances as services of Swarm, each of one task that Swarm never replaces. */
export class ServiceStarts {
  readonly #parts: ServiceStartsParts;
  /** For each instance that is being started here, a function that its start event calls. */
  readonly #starting = new Map<string, () => void>();
  readonly #running = new Set<Promise<unknown>>();
  /** The services of the instances that were created here. */
  readonly #made = new Map<string, MadeService>();
  readonly #rivals: Rivals;

  constructor(parts: ServiceStartsParts) {
    this.#parts = parts;
    this.#rivals = new Rivals(parts);
  }

  /**
   * Starts an instance, or joins it if another cless has. Resolves with its origin once it runs.
   *
   * @throws {ServedByOther} If another instance, which this process does not know, serves in its place.
   */
  async start(id: string, revision: Revision, uses: Uses): Promise<string> {
    const starting = this.#start(id, revision, uses).finally(() => this.#running.delete(starting));
    this.#running.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Notes that an instance has started, here or on another node. */
  started(id: string): void {
    this.#starting.get(id)?.();
  }

  /** Whether {@linkcode start} is still running for an instance. */
  isStarting(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Resolves when no request to create an instance is running. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** The id of an instance's service if it has been created here so lately that its start may be what has failed. */
  justMade(id: string): string | undefined {
    const { byMs = -Infinity, serviceId } = this.#made.get(id) ?? {};
    return byMs >= this.#parts.clock.now() ? serviceId : undefined;
  }

  /** Forgets an instance that is gone. */
  forget(id: string): void {
    this.#made.delete(id);
  }

  /** Creates a service, or joins the one of the same name, and waits until its task runs. Resolves with its origin. */
  async #start(id: string, revision: Revision, { isKnown, useOf }: Uses): Promise<string> {
    const { clock } = this.#parts;
    const started = Promise.withResolvers<void>();
    this.#starting.set(id, started.resolve);
    const deadline = clock.now() + revision.startTimeoutMs + MORE_TIME_MS;
    const unusable = new Set<string>();
    const start: Start = {
      ...{ deadline, unusable, isKnown },
      useOf: (task) => unusable.has(task.serviceId) ? "ending" : useOf(task),
    };
    let byImage = revision.imageDigest === undefined; // whether it runs where its image is, and nobody pulls that
    let bound = await this.#boundTo(revision, byImage);
    for (let tries = 1;; tries++) {
      const made = await this.#create(id, revision, { bound, byImage }, start);
      try {
        return await this.#untilRunning(id, started.promise, deadline);
      } catch (error) {
        if (made !== undefined) await this.#parts.swarm.removeService(made).catch(() => {});
        if (error instanceof ContainerGone && tries < MAX_TRIES) continue; // somebody ended it, or its node is lost
        // An app that another cless has started, maybe long ago, had ended already: that says nothing of this start.
        if (made === undefined && error instanceof AppEnded && tries < MAX_TRIES) continue;
        if (kindOf(error) === "address_taken" && tries < MAX_TRIES) continue; // with another port
        const isMissing = kindOf(error) === "no_such_image" && !byImage;
        if (!isMissing || tries >= MAX_TRIES) throw error;
        log.warning("a node cannot pull an image; starting where it is", { instance: id, reason: messageOf(error) });
        byImage = true;
        bound = await this.#boundTo(revision, byImage);
      }
    }
  }

  /** Creates a service. Resolves with its id; with nothing if there is one already that runs or is about to. */
  async #create(
    id: string,
    revision: Revision,
    { bound, byImage }: Where,
    start: Start,
  ): Promise<string | undefined> {
    const { clock, defaults, logins, owner, swarm } = this.#parts;
    const { cpus, imageDigest, imageId, memoryBytes, placement = {}, volumes } = revision;
    const image = byImage ? imageId : imageDigest ?? imageId;
    const body = serviceBody(revision, {
      nodePort: this.#nextPort(),
      name: id,
      ...{ owner, image },
      placement: placementOf(placement, bound),
      reserved: {
        memoryBytes: memoryBytes === defaults.memoryBytes ? undefined : memoryBytes,
        ...(cpus === undefined || cpus === defaults.cpus ? {} : { cpus }),
      },
    });
    const registryAuth = byImage ? undefined : await logins.headerFor(image);
    const sources = volumes.map(({ source }) => source);
    for (;;) {
      if (sources.length > 0) await this.#untilFree(id, revision, sources, start);
      else await this.#unlessServed(id, revision, start);
      let made: string | undefined;
      try {
        this.#parts.origins.forget(id); // of an earlier instance of this name
        made = await swarm.createService(body, { registryAuth });
        this.#made.set(id, { serviceId: made, byMs: clock.now() + 2 * revision.startTimeoutMs });
        const isSecond = sources.length > 0
          ? await this.#rivals.withVolume(id, sources) !== undefined
          : await this.#rivals.inPlaceOf(id, revision, start.useOf) !== undefined;
        if (!isSecond) return made;
        await swarm.removeService(made); // another one was created at the same time
      } catch (error) {
        // Nobody else looks whether it may run.
        if (made !== undefined) await swarm.removeService(made).catch(() => {});
        if (kindOf(error) !== "conflict" || made !== undefined) throw error;
        if (await this.#join(id) === "usable") return undefined;
      }
      if (clock.now() >= start.deadline) throw new Error(`an instance named ${id} does not end`);
      await delay(clock, LOOK_MS);
    }
  }

  /** Wakes the instance of this name if it sleeps, and finds out whether it can be used. Removes one that has ended. */
  async #join(id: string): Promise<Joined> {
    const { engine, homes, owner, peers, sharing, swarm } = this.#parts;
    const [task] = await swarm.tasks({ service: id });
    if (task === undefined) return "gone";
    if (task.labels[LABEL.owner] !== owner) {
      throw new EngineError("refused", `the name ${id} is taken by a service of Swarm that is not of this cless`);
    }
    const isReached = task.nodeId === undefined || await isHeard(task.nodeId, this.#parts.volumes);
    if (mayRunUnheard(task, isReached)) throw mayRunOn(task.nodeId!, id);
    if (hasEnded(task) || !isReached) return await this.#clear(task);
    if (task.nodeId === undefined || task.state !== "running") return "usable";
    homes.found(id, task.nodeId);
    if (homes.isHere(id)) {
      await sharing.wake(id).catch(() => {}); // it may be paused
      return await engine.runs(task.serviceId) ? "usable" : await this.#clear(task); // Swarm may not know yet
    }
    const home = homes.homeOf(id);
    if (home === undefined || home === homes.self) return "usable";
    try {
      const { isEnding, ok } = await peers.ask(home, { resume: id, from: homes.self }, { timeoutMs: JOIN_MS });
      return ok ? "usable" : isEnding ? "ending" : "unknown";
    } catch (error) {
      // Swarm may not know yet that the node is lost. If only the cless there is, its registration runs out.
      throw new EngineError("away", `the cless of the node ${home} does not answer: ${messageOf(error)}`);
    }
  }

  /** Removes the service of an instance that has ended. */
  async #clear({ serviceId }: SwarmTask): Promise<"gone"> {
    await this.#parts.swarm.removeService(serviceId);
    return "gone";
  }

  /** Resolves with an instance's origin once it runs. @throws {EngineError | ContainerGone} Why it never will. */
  async #untilRunning(id: string, started: Promise<void>, deadline: number): Promise<string> {
    const { clock, engine, homes, origins, swarm } = this.#parts;
    const here = new AbortController(); // aborted once somebody has said that it runs
    started.then(() => here.abort());
    let lookMs = clock.now() + NODE_LOOK_MS;
    let noNodeMs = Infinity;
    while (clock.now() < deadline) {
      await delay(clock, LOOK_MS, here.signal);
      if (here.signal.aborted) {
        const origin = origins.saidOf(id) ?? (engine.has(id) ? await engine.origin(id) : undefined);
        if (origin !== undefined) return origin;
        await delay(clock, LOOK_MS);
      }
      const [task] = await swarm.tasks({ service: id });
      if (task === undefined) throw new ContainerGone("somebody removed the service");
      if (hasEnded(task)) throw endOf(task);
      if (task.nodeId === undefined && task.error !== undefined) {
        const reason = `Swarm finds no node for it: ${task.error}`;
        if (/port already in use/.test(task.error)) throw new EngineError("address_taken", reason);
        if (await this.#mayGetRoom()) noNodeMs = Infinity;
        else if (noNodeMs === Infinity) noNodeMs = clock.now() + NO_NODE_MS;
        if (clock.now() < noNodeMs) continue;
        await this.#clear(task); // the cless that has created it may be gone
        throw new EngineError("refused", reason);
      }
      if (task.state !== "running") {
        if (task.nodeId === undefined || clock.now() < lookMs) continue;
        if (!await isHeard(task.nodeId, swarm)) {
          throw new ContainerGone(`Swarm does not hear from the node ${task.nodeId}`);
        }
        lookMs = clock.now() + NODE_LOOK_MS;
        continue;
      }
      homes.found(id, task.nodeId!);
      if (!origins.knows(task.nodeId!)) origins.know(await swarm.nodes());
      const origin = origins.of(task);
      if (origin !== undefined) return origin;
    }
    throw new EngineError("refused", "Swarm did not start the container in time");
  }

  /** Whether Swarm has yet to hear from a node, or a container that takes up room is being ended. */
  async #mayGetRoom(): Promise<boolean> {
    const { owner, swarm } = this.#parts;
    const [nodes, leaving] = await Promise.all([swarm.nodes(), swarm.leaving(owner)]);
    const heard = new Set(nodes.filter(({ isReady }) => isReady).map(({ id }) => id));
    return nodes.some(({ isAwaited }) => isAwaited) || leaving.some(({ nodeId = "" }) => heard.has(nodeId));
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
    const { homes, images, swarm, volumes } = this.#parts;
    if (!byImage && revision.volumes.length === 0) return undefined;
    const { image, imageDigest, imageId, placement = {} } = revision;
    const all = await swarm.nodes();
    const ids = all.filter((node) => takesTasks(placement, node)).map(({ id }) => id);
    const nodes = ids.includes(homes.self) ? [homes.self, ...ids.filter((id) => id !== homes.self)] : ids;
    const having = byImage ? await images.having(imageId, nodes) : nodes;
    if (having.length === 0 && nodes.length > 0) {
      const [what, remedy] = imageDigest === undefined
        ? [`the image ${image} is on no node of the Swarm, and in no registry`, "push it to one"]
        : [
          `no machine that may run it has the image ${image}, or can pull it`,
          "if that wants a password: docker login",
        ];
      throw new EngineError("refused", `${what}: ${remedy}, or send it with cless image send`);
    }
    const [best] = having; // none if Swarm will say why no node takes it
    const bound = await volumes.nodeOf(revision, all, best);
    return bound ?? (having.length < nodes.length ? best : undefined);
  }

  /**
   * Waits until no other instance has one of these volumes. If one of another revision has, a deploy has ended it here
   * already: the others are asked to do so too. @throws {ServedByOther} If one of the same revision has, and runs.
   */
  async #untilFree(
    id: string,
    { name, service }: Revision,
    sources: readonly string[],
    { deadline, isKnown, useOf }: Start,
  ): Promise<void> {
    const { clock } = this.#parts;
    for (let asked = false;;) {
      const other = await this.#rivals.withVolume(id, sources);
      if (other === undefined) return;
      const { labels, later, nodeId, task } = other;
      if (nodeId !== undefined && await isHeard(nodeId, this.#parts.volumes) === false) throw mayRunOn(nodeId, id);
      if (later !== undefined) await this.#parts.swarm.removeService(later); // its cless could not do that
      if (labels[LABEL.revision] !== name) {
        if (!asked) this.#parts.sharing.sleepElsewhere(service);
        asked = true;
      } else if (task !== undefined && !isKnown(task.name) && useOf(task) === undefined) {
        if (await this.#join(task.name) === "usable") await this.#leaveTo(task.name);
      }
      if (clock.now() >= deadline) throw new Error(`another instance does not let go of a volume that ${id} needs`);
      await delay(clock, LOOK_MS);
    }
  }

  /**
   * Waits while other cless start as many instances of the revision as it may have. @throws {ServedByOther} Once one of
   * them runs. One that does not get that far, or is ending, does not count.
   */
  async #unlessServed(id: string, revision: Revision, start: Start): Promise<void> {
    const { clock } = this.#parts;
    let seen = { serviceId: "", sinceMs: 0 };
    while (clock.now() < start.deadline) {
      const other = await this.#rivals.inPlaceOf(id, revision, start.useOf);
      if (other === undefined) return;
      if (other.serviceId !== seen.serviceId) seen = { serviceId: other.serviceId, sinceMs: clock.now() };
      // Else it is a later one of a name whose earlier one is still being removed here.
      if (!start.isKnown(other.name)) await this.#serveBy(other, start, clock.now() - seen.sinceMs);
      await delay(clock, LOOK_MS);
    }
    throw new Error(`another cless does not start ${revision.name} in time`);
  }

  /**
   * Uses an instance in place of another one, or finds out that it is unusable. @throws {ServedByOther}
   *
   * @param seenMs For how long it has been known.
   */
  async #serveBy(other: SwarmTask, { unusable }: Start, seenMs: number): Promise<void> {
    if (other.nodeId === undefined && other.error !== undefined) {
      // Who has created it gives up sooner, unless that cless is gone.
      if (seenMs >= UNPLACED_MS && !await this.#mayGetRoom()) await this.#clear(other);
      return;
    }
    const joined = await this.#join(other.name).catch((error): Joined => {
      log.debug("an instance does not serve", { instance: other.name, reason: messageOf(error) });
      return "ending";
    });
    if (joined === "usable") return await this.#leaveTo(other.name);
    if (joined === "ending" || (joined === "unknown" && seenMs >= JOIN_MS)) unusable.add(other.serviceId);
  }

  /** @throws {ServedByOther} If an instance that was joined runs. */
  async #leaveTo(id: string): Promise<void> {
    const { homes, origins, sharing, swarm } = this.#parts;
    const nodeId = homes.nodeOf(id);
    if (nodeId !== undefined && !origins.knows(nodeId)) origins.know(await swarm.nodes());
    const container = await sharing.find(id);
    if (container?.origin !== undefined) throw new ServedByOther({ ...container, origin: container.origin });
  }
}

/** Whether an instance can be used, now or soon; its home may not know it yet. */
type Joined = "usable" | "ending" | "unknown" | "gone";

/** What this process does with instances. */
interface Uses {
  readonly useOf: UseOf;
  /** Whether it uses, or is ending, one of that name. */
  readonly isKnown: (id: string) => boolean;
}

/** What is known of where an instance can run. */
interface Where {
  /** The only node on which it may, if there is one. */
  readonly bound: string | undefined;
  /** Whether the nodes have its image, and need not pull it. */
  readonly byImage: boolean;
}

/** What belongs to the start of one instance. */
interface Start extends Uses {
  /** Clock ms. */
  readonly deadline: number;
  /** The services of the instances that do not serve, as has been found out. */
  readonly unusable: Set<string>;
}

/** A service that this cless has created. */
interface MadeService {
  readonly serviceId: string;
  /** Until when it may be removed from here because its start failed, clock ms. */
  readonly byMs: number;
}

/** The error if an instance of a node that is not heard may run with a volume that another one needs. */
function mayRunOn(nodeId: string, id: string): VolumeAway {
  const remedy = `start it, or if it is gone for good: docker node rm ${nodeId}`;
  const reason = `an instance may still run with the volume of ${id} on the node ${nodeId}, which is down`;
  return new VolumeAway(`${reason}: ${remedy}`, { isLost: false });
}

/** An app has ended by itself before its task ran. */
class AppEnded extends Error {
  override readonly name = "AppEnded";
}

/** The error for a task that has ended before it ran. */
function endOf({ error = "no reason", exitCode, state }: SwarmTask): Error {
  if (/no such image|pull access denied|manifest .*unknown|not found: manifest/i.test(error)) {
    return new EngineError("no_such_image", `the node cannot get the image: ${error}`);
  }
  if (state === "shutdown" || state === "remove" || state === "orphaned") return new ContainerGone("somebody ended it");
  if (kindOfMessage(error) === "address_taken") return new EngineError("address_taken", error);
  if (exitCode !== undefined && state !== "rejected") {
    return new AppEnded(`the container ended with code ${exitCode} before it was ready`);
  }
  return new EngineError("refused", `Swarm cannot start it: ${error}`);
}
