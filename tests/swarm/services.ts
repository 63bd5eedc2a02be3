import { until } from "../support/until.ts";
import type { Node } from "./nodes.ts";

/** Where a task runs. */
export interface Place {
  /** The address of its node. */
  readonly address: string;
  readonly port: number;
}

/** Creates a service of one task on a node, with a port of the node that is free, and resolves when it runs. */
export async function createService(manager: Node, name: string, on: Node): Promise<Place> {
  await manager.docker(
    ...["service", "create", "--detach", "--name", name, "--constraint", `node.hostname==${on.hostname}`],
    ...["--restart-condition", "none", "--no-resolve-image", "--publish", "target=8080,mode=host", "golang-docker"],
  );
  let place: Place | undefined;
  await until(async () => {
    const [task] = JSON.parse(await manager.docker("inspect", await manager.docker("service", "ps", "-q", name)));
    if (task.Status.State !== "running") return false;
    const address = await manager.docker("node", "inspect", "--format", "{{.Status.Addr}}", task.NodeID);
    place = { address, port: task.Status.PortStatus.Ports[0].PublishedPort };
    return true;
  });
  return place!;
}
