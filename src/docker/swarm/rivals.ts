import { overlaps } from "../../deploy/volumes.ts";
import type { Revision } from "../../model/revision.ts";
import { LABEL } from "../container_spec.ts";
import { volumesIn } from "./service_spec.ts";
import type { SwarmApi, SwarmTask } from "./swarm_api.ts";
import { hasEnded, isOver } from "./swarm_json.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

/** An instance that has a volume which another one needs. */
export interface VolumeUser extends Pick<SwarmTask, "labels" | "nodeId"> {
  /** Missing if its service has been removed. */
  readonly task?: SwarmTask;
  /** The service of the one that needs it, if there is one: it was created later, and must go. */
  readonly ownServiceId?: string | undefined;
}

/**
 * What this process does with an instance: it uses it; it is ending it, or has found that it does not serve; or it is
 * still ending an earlier one of that name. `undefined` if it has none of that name.
 */
export type UseOf = (task: SwarmTask) => "using" | "unusable" | "later" | undefined;

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
    const has = ({ labels }: Pick<SwarmTask, "labels">) =>
      volumesIn(labels).some((one) => sources.some((other) => overlaps(one, other)));
    const own = tasks.find(({ name }) => name === id);
    const other = tasks.find((task) => (own === undefined || task.order < own.order) && !isOver(task) && has(task));
    if (other !== undefined) {
      return { labels: other.labels, nodeId: other.nodeId, task: other, ownServiceId: own?.serviceId };
    }
    const held = leaving.filter(has);
    if (held.length === 0) return undefined;
    const nodes = new Set((await volumes.nodes()).map(({ id }) => id));
    return held.find(({ nodeId = "" }) => nodes.has(nodeId)); // on a node that was removed from the Swarm, nothing runs
  }

  /**
   * The instance that is to serve instead of one: the first of its revision that this process does not use. `undefined`
   * while fewer count than the revision may have. Those that were created later do not count. @throws {EngineError}
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
    const counted = earlier.filter((task) =>
      task.labels[LABEL.image] === imageId && !hasEnded(task) && useOf(task) !== "unusable"
    );
    if (counted.length < maxInstances) return undefined;
    return counted.find((task) => useOf(task) !== "using");
  }
}
