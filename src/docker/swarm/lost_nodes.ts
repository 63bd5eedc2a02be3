import { volumesIn } from "./service_spec.ts";
import type { SwarmApi, SwarmTask } from "./swarm_api.ts";
import { isOver } from "./swarm_json.ts";

/** Whether Swarm hears from a node; `undefined` if there is none of that id, or no more. @throws {EngineError} */
export async function isHeard(nodeId: string, swarm: Pick<SwarmApi, "nodes">): Promise<boolean | undefined> {
  return (await swarm.nodes()).find(({ id }) => id === nodeId)?.isReady;
}

/**
 * Whether a task has a volume on a node that is not heard, where it may run nevertheless: behind a cable that is cut,
 * say. It counts as running until the node is back, or is removed from the Swarm by somebody who knows that it is gone.
 *
 * @param isHeard Whether Swarm hears from its node; `undefined` if there is none.
 */
export function mayRunUnheard(task: SwarmTask, isHeard: boolean | undefined): boolean {
  return isHeard === false && !isOver(task) && volumesIn(task.labels).length > 0;
}
