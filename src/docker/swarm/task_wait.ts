import { delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { ContainerGone } from "../../pool/launcher.ts";
import { EngineError, kindOfMessage } from "../engine_error.ts";
import type { Homes } from "./homes.ts";
import { isHeard } from "./lost_nodes.ts";
import type { Origins } from "./origins.ts";
import type { SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded } from "./swarm_json.ts";
import type { TaskEngine } from "./task_engine.ts";

/** Swarm tells nobody when a task changes, so it is asked at this interval. */
const LOOK_MS = 50;
/** Whether Swarm still hears from the node of a task that does not run yet is asked at this interval. */
const NODE_LOOK_MS = 1000;
/**
 * A node takes a task in moments. One that has not within this time, ms, does not hear from the leader, though the leader
 * hears from it, as after it was cut off.
 */
const UNTAKEN_MS = 5000;
/** While no node has room, and none is about to, Swarm gets this long to find one all the same. */
const NO_NODE_MS = 1000;

/** What a {@linkcode TaskWait} is made of. */
export interface TaskWaitParts {
  readonly swarm: Pick<SwarmApi, "leaving" | "nodes" | "removeService" | "tasks">;
  readonly engine: Pick<TaskEngine, "has" | "origin">;
  readonly homes: Homes;
  readonly origins: Origins;
  readonly owner: string;
  readonly clock: Clock;
}

/** Waits for the tasks of services that have been created. */
export class TaskWait {
  readonly #parts: TaskWaitParts;

  constructor(parts: TaskWaitParts) {
    this.#parts = parts;
  }

  /**
   * Resolves with an instance's origin once it runs. @throws {EngineError | ContainerGone} Why it never will.
   *
   * @param mayMove Whether it may start elsewhere if a node does not take its task. If missing, it may not.
   * @throws {NotTaken} If its node does not take its task, and it may start elsewhere.
   */
  async untilRunning(
    id: string,
    started: Promise<void>,
    deadline: number,
    mayMove?: (from: string) => Promise<boolean>,
  ): Promise<string> {
    const { clock, engine, homes, origins, swarm } = this.#parts;
    const here = new AbortController(); // aborted once somebody has said that it runs
    started.then(() => here.abort());
    let lookMs = clock.now() + NODE_LOOK_MS;
    let noNodeMs = Infinity;
    let untakenMs = Infinity;
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
        if (await this.mayGetRoom()) noNodeMs = Infinity;
        else if (noNodeMs === Infinity) noNodeMs = clock.now() + NO_NODE_MS;
        if (clock.now() < noNodeMs) continue;
        await swarm.removeService(task.serviceId); // the cless that has created it may be gone
        throw new EngineError("refused", reason);
      }
      if (task.state !== "running") {
        if (task.nodeId === undefined || clock.now() < lookMs) continue;
        if (!await isHeard(task.nodeId, swarm)) {
          throw new ContainerGone(`Swarm does not hear from the node ${task.nodeId}`);
        }
        if (task.state !== "assigned") untakenMs = Infinity;
        else if (untakenMs === Infinity) untakenMs = clock.now() + UNTAKEN_MS;
        else if (clock.now() >= untakenMs && await mayMove?.(task.nodeId)) throw new NotTaken(task.nodeId);
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
  async mayGetRoom(): Promise<boolean> {
    const { owner, swarm } = this.#parts;
    const [nodes, leaving] = await Promise.all([swarm.nodes(), swarm.leaving(owner)]);
    const heard = new Set(nodes.filter(({ isReady }) => isReady).map(({ id }) => id));
    return nodes.some(({ isAwaited }) => isAwaited) || leaving.some(({ nodeId = "" }) => heard.has(nodeId));
  }
}

/** The node of a task does not take it, though Swarm hears from that node. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
  readonly nodeId: string;

  constructor(nodeId: string) {
    super(`the node ${nodeId} does not take the task`);
    this.nodeId = nodeId;
  }
}

/** An app has ended by itself before its task ran. */
export class AppEnded extends Error {
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
