import type { SwarmNode, SwarmTask } from "./swarm_api.ts";
import { originAt } from "./task_engine.ts";

/** Where the apps of instances are reached. */
export class Origins {
  /** Where instances of other nodes run, as their homes have said: Swarm itself knows it a tenth of a second later. */
  readonly #heard = new Map<string, { readonly nodeId: string; readonly origin: string }>();
  /** The addresses of the nodes, by id. */
  readonly #addresses = new Map<string, string>();

  /** Notes what the home of an instance has said. */
  heard(id: string, nodeId: string, origin: string): void {
    this.#heard.set(id, { nodeId, origin });
  }

  /** What the home of an instance has said. */
  saidOf(id: string): string | undefined {
    return this.#heard.get(id)?.origin;
  }

  forget(id: string): void {
    this.#heard.delete(id);
  }

  /** Notes the addresses of nodes. */
  know(nodes: readonly SwarmNode[]): void {
    for (const { address, id } of nodes) this.#addresses.set(id, address);
  }

  /** Whether the address of a node is known. */
  knows(nodeId: string): boolean {
    return this.#addresses.has(nodeId);
  }

  /** Where a task is reached; `undefined` if that is not known, such as before it runs. */
  of({ name, nodeId = "", publishedPort }: SwarmTask): string | undefined {
    const heard = this.#heard.get(name);
    if (heard?.nodeId === nodeId) return heard.origin;
    const address = this.#addresses.get(nodeId);
    return address === undefined || publishedPort === undefined ? undefined : originAt(address, publishedPort);
  }
}
