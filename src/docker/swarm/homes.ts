import type { Peers } from "./instance_messages.ts";

/**
 * Where instances run, and which cless decides when each sleeps and ends: its home. That is the one on its node, or, if
 * none lives there, the first that lives. So nobody has to be elected.
 */
export class Homes {
  /** The id of this node. */
  readonly self: string;
  readonly #peers: Peers;
  /** The ids of the nodes, by instance. */
  readonly #nodes = new Map<string, string>();

  constructor(self: string, peers: Peers) {
    this.self = self;
    this.#peers = peers;
  }

  /** Notes where an instance runs. */
  found(id: string, nodeId: string): void {
    this.#nodes.set(id, nodeId);
  }

  forget(id: string): void {
    this.#nodes.delete(id);
  }

  /** The node of an instance; `undefined` if it is not known. */
  nodeOf(id: string): string | undefined {
    return this.#nodes.get(id);
  }

  /** Whether an instance runs on this node. */
  isHere(id: string): boolean {
    return this.#nodes.get(id) === this.self;
  }

  /** The node of the cless that decides; `undefined` if it is not known where the instance runs. */
  homeOf(id: string): string | undefined {
    const node = this.#nodes.get(id);
    if (node === undefined || node === this.self) return node;
    const { live } = this.#peers;
    return live.includes(node) ? node : live[0];
  }

  /** Whether this cless decides. */
  isOurs(id: string): boolean {
    return this.homeOf(id) === this.self;
  }
}

/** A number from 0 to below `below`, most likely another one for each node. */
export function numberOf(nodeId: string, below: number): number {
  return (parseInt(nodeId.slice(-6), 36) || 0) % below;
}
