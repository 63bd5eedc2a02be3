import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Revision } from "../../model/revision.ts";
import { ServedByOther, VolumeAway } from "../../pool/launcher.ts";
import { LABEL } from "../container_spec.ts";
import { EngineError } from "../engine_error.ts";
import type { Homes } from "./homes.ts";
import type { Peers } from "./instance_messages.ts";
import type { InstanceSharing } from "./instance_sharing.ts";
import { isHeard, mayRunUnheard } from "./lost_nodes.ts";
import type { Origins } from "./origins.ts";
import { Rivals, type UseOf } from "./rivals.ts";
import type { SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded } from "./swarm_json.ts";
import type { TaskEngine } from "./task_engine.ts";
import type { TaskWait } from "./task_wait.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

const log = logger("launcher");
/** Swarm tells nobody when a task changes, so it is asked at this interval. */
const LOOK_MS = 50;
/** The home of an instance gets this long to answer, and to know an instance that Swarm says is running. */
const JOIN_MS = 2000;
/**
 * Another cless's service that has had no node for this long, with no room about to become free, is removed: its own
 * cless would have given up sooner.
 */
const UNPLACED_MS = 5000;

/** What {@linkcode ExistingInstances} are made of. */
export interface ExistingInstancesParts {
  readonly swarm: Pick<SwarmApi, "leaving" | "nodes" | "removeService" | "tasks">;
  readonly engine: Pick<TaskEngine, "runs">;
  readonly homes: Homes;
  readonly origins: Origins;
  readonly peers: Peers;
  readonly sharing: Pick<InstanceSharing, "find" | "sleepElsewhere" | "wake">;
  readonly volumes: Pick<VolumeNodes, "nodes">;
  readonly owner: string;
  readonly clock: Clock;
}

/** What this process knows of the instances that others have started. */
export interface OtherInstances {
  readonly useOf: UseOf;
  /** Whether the app at an origin does not answer this process, though it may answer others. */
  readonly isSilent: (origin: string) => boolean;
}

/** The start of one instance, as far as others matter to it. */
export interface Start extends OtherInstances {
  /** Clock ms. */
  readonly deadline: number;
  /** The services of the instances that do not serve, as has been found out. */
  readonly unusable: Set<string>;
}

/** What becomes of an instance that a start would use. */
type Joined =
  | "usable" // now or soon
  | "ending" // by its home
  | "unknown" // to its home, maybe not for long
  | "silent" // its home does not answer
  | "gone"; // with its service

/** @param deadline Clock ms. */
export function newStart(deadline: number, { isSilent, useOf }: OtherInstances): Start {
  const unusable = new Set<string>();
  return { deadline, isSilent, unusable, useOf: (task) => unusable.has(task.serviceId) ? "unusable" : useOf(task) };
}

/** The instances that others have started: one is joined, serves in place of another one, or is waited for. */
export class ExistingInstances {
  readonly #parts: ExistingInstancesParts;
  readonly #wait: Pick<TaskWait, "mayGetRoom">;
  readonly #rivals: Rivals;

  constructor(parts: ExistingInstancesParts, wait: Pick<TaskWait, "mayGetRoom">) {
    this.#parts = parts;
    this.#wait = wait;
    this.#rivals = new Rivals(parts);
  }

  /**
   * Resolves once another instance is needed, and may run. @throws {ServedByOther} If there is one that serves. @throws
   * {VolumeAway} If its volume may be in use on a node that is down. @throws {Error} If others take too long.
   */
  async untilNeeded(id: string, revision: Revision, start: Start): Promise<void> {
    if (revision.volumes.length > 0) await this.#untilFree(id, revision, start);
    else await this.#unlessServed(id, revision, start);
  }

  /** Whether an instance that has just been created is one too many, since another one was created before it. */
  async isSecond(id: string, revision: Revision, { useOf }: Start): Promise<boolean> {
    const sources = sourcesOf(revision);
    if (sources.length > 0) return await this.#rivals.withVolume(id, sources) !== undefined;
    return await this.#rivals.inPlaceOf(id, revision, useOf) !== undefined;
  }

  /**
   * Wakes the instance of a name if it sleeps, and resolves with whether it can be used, now or soon. Removes one that
   * has ended. @throws {EngineError} `refused` if the name is another's; `away` if its home does not answer. @throws
   * {VolumeAway} If it may run with a volume on a node that is down.
   */
  async join(id: string): Promise<boolean> {
    const joined = await this.#join(id);
    // Swarm may not know yet that the node is lost. If only the cless there is, its registration runs out.
    if (joined === "silent") throw new EngineError("away", `the home of ${id} does not answer`);
    return joined === "usable";
  }

  async #join(id: string): Promise<Joined> {
    const { engine, homes, owner, peers, sharing, swarm, volumes } = this.#parts;
    const [task] = await swarm.tasks({ service: id });
    if (task === undefined) return "gone";
    if (task.labels[LABEL.owner] !== owner) {
      throw new EngineError("refused", `the name ${id} is taken by a service of Swarm that is not of this cless`);
    }
    const isNodeHeard = task.nodeId === undefined || await isHeard(task.nodeId, volumes);
    if (mayRunUnheard(task, isNodeHeard)) throw mayRunOn(task.nodeId!, id);
    if (hasEnded(task) || !isNodeHeard) return await this.#clear(task);
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
      log.debug("the home of an instance does not answer", { instance: id, node: home, reason: messageOf(error) });
      return "silent";
    }
  }

  /** Removes the service of an instance that has ended, or never starts. */
  async #clear({ serviceId }: SwarmTask): Promise<"gone"> {
    await this.#parts.swarm.removeService(serviceId);
    return "gone";
  }

  /**
   * Waits until no other instance has one of the volumes. If one of another revision has, a deploy has ended it here
   * already: the others are asked to do so too. @throws {ServedByOther} If one of the same revision has, and runs.
   */
  async #untilFree(id: string, revision: Revision, start: Start): Promise<void> {
    const { deadline, useOf } = start;
    const { clock, sharing, swarm, volumes } = this.#parts;
    const sources = sourcesOf(revision);
    for (let asked = false;;) {
      const other = await this.#rivals.withVolume(id, sources);
      if (other === undefined) return;
      const { labels, nodeId, ownServiceId, task } = other;
      if (nodeId !== undefined && await isHeard(nodeId, volumes) === false) throw mayRunOn(nodeId, id);
      if (ownServiceId !== undefined) await swarm.removeService(ownServiceId); // whoever created it may be gone
      if (labels[LABEL.revision] !== revision.name) {
        if (!asked) sharing.sleepElsewhere(revision.service);
        asked = true;
      } else if (task !== undefined && useOf(task) === undefined) {
        if (await this.join(task.name)) await this.#throwIfServed(task, start);
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
      // One whose name has not left this process yet can be adopted after that.
      if (start.useOf(other) !== "later") await this.#serveBy(other, start, clock.now() - seen.sinceMs);
      await delay(clock, LOOK_MS);
    }
    throw new Error(`another cless does not start ${revision.name} in time`);
  }

  /**
   * Uses an instance in place of another one, or finds out that it is unusable. Removes it if it can never be placed.
   *
   * @param seenMs For how long it has been known. @throws {ServedByOther} Once it runs.
   */
  async #serveBy(other: SwarmTask, start: Start, seenMs: number): Promise<void> {
    if (other.nodeId === undefined && other.error !== undefined) {
      if (seenMs >= UNPLACED_MS && !await this.#wait.mayGetRoom()) await this.#clear(other);
      return;
    }
    const joined = await this.#join(other.name);
    if (joined === "usable") return await this.#throwIfServed(other, start);
    const isUnusable = joined === "ending" || joined === "silent" || (joined === "unknown" && seenMs >= JOIN_MS);
    if (isUnusable) start.unusable.add(other.serviceId);
  }

  /**
   * Returns while the origin of an instance that was joined is not known, or if nothing answers there. @throws
   * {ServedByOther} Once it is known.
   */
  async #throwIfServed({ name: id, serviceId }: SwarmTask, { isSilent, unusable }: Start): Promise<void> {
    const { homes, origins, sharing, swarm } = this.#parts;
    const nodeId = homes.nodeOf(id);
    if (nodeId !== undefined && !origins.knows(nodeId)) origins.know(await swarm.nodes());
    const container = await sharing.find(id);
    if (container?.origin === undefined) return;
    if (!isSilent(container.origin)) throw new ServedByOther({ ...container, origin: container.origin });
    unusable.add(serviceId);
  }
}

function sourcesOf({ volumes }: Revision): string[] {
  return volumes.map(({ source }) => source);
}

/** The error if an instance of a node that is not heard may run with a volume that another one needs. */
function mayRunOn(nodeId: string, id: string): VolumeAway {
  const remedy = `start it, or if it is gone for good: docker node rm ${nodeId}`;
  const reason = `an instance may still run with the volume of ${id} on the node ${nodeId}, which is down`;
  return new VolumeAway(`${reason}: ${remedy}`, { isLost: false });
}
