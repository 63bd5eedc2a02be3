import { overlaps } from "../../deploy/volumes.ts";
import type { Revision } from "../../model/revision.ts";
import { LABEL } from "../container_spec.ts";
import { volumesIn } from "./service_spec.ts";
import type { LeavingTask, SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded, isOver } from "./swarm_json.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

/** An instance that has a volume which another one needs. */
export interface VolumeUser extends LeavingTask {
  /** Missing if its service has been removed. */
  readonly task?: SwarmTask;
  /** The id of the other one's service, if there is one that was created later. */
  readonly later?: string | undefined;
}

/** What this process does with an instance; `undefined` if it is no instance that it uses, or is ending. */
export type UseOf = (task: SwarmTask) => "using" | "ending" | undefined;

/** What {@linkcode Rivals} are made of. */
export interface RivalsParts {
  readonly swarm: Pick<SwarmApi, "leaving" | "tasks">;
  readonly volumes: Pick<VolumeNodes, "nodes">;
  readonly owner: string;
}

/**
 * The instances beside which another one must not run. Of two that two cless create at the same time, the one that was
 * created first stays.
 */
export class Rivals {
  readonly #parts: RivalsParts;

  constructor(parts: RivalsParts) {
    this.#parts = parts;
  }

  /** Another instance that has one of these volumes, unless it was created later. @throws {EngineError} */
  async withVolume(id: string, sources: readonly string[]): Promise<VolumeUser | undefined> {
    if (sources.length === 0) return undefined;
    const { owner, swarm, volumes } = this.#parts;
    const [tasks, leaving] = await Promise.all([swarm.tasks({ owner }), swarm.leaving(owner)]);
    const has = ({ labels }: LeavingTask) =>
      volumesIn(labels).some((one) => sources.some((other) => overlaps(one, other)));
    const own = tasks.find(({ name }) => name === id);
    const other = tasks.find((task) => (own === undefined || task.order < own.order) && !isOver(task) && has(task));
    if (other !== undefined) return { labels: other.labels, nodeId: other.nodeId, task: other, later: own?.serviceId };
    const held = leaving.filter(has);
    if (held.length === 0) return undefined;
    const nodes = new Set((await volumes.nodes()).map(({ id }) => id));
    return held.find(({ nodeId = "" }) => nodes.has(nodeId)); // on a node that was removed from the Swarm, nothing runs
  }

  /**
   * The first instance of a revision that this process does not use, if those that serve are as many as the revision may
   * have, without any that were created later. @throws {EngineError}
   */
  async inPlaceOf(
    id: string,
    { imageId, maxInstances, name: revision }: Pick<Revision, "imageId" | "maxInstances" | "name">,
    useOf: UseOf,
  ): Promise<SwarmTask | undefined> {
    const { owner, swarm } = this.#parts;
    const tasks = (await swarm.tasks({ owner, revision })).sort((a, b) => a.order < b.order ? -1 : 1);
    const own = tasks.findIndex(({ name }) => name === id);
    const earlier = own === -1 ? tasks : tasks.slice(0, own);
    const serving = earlier.filter((task) =>
      task.labels[LABEL.image] === imageId && !hasEnded(task) && useOf(task) !== "ending"
    );
    if (serving.length < maxInstances) return undefined;
    return serving.find((task) => useOf(task) === undefined);
  }
}
