import { messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Cluster, ClusterNode, ClusterPeer } from "../control/cluster.ts";
import { formatJoinToken, type JoinToken } from "./join_token.ts";
import type { Members } from "./members.ts";
import type { NodeStatus, PeerFacts } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";
import type { SharedToken } from "./shared_token.ts";

const log = logger("peers");
/** How long a peer may take to say how its node is. */
const STATUS = { timeoutMs: 3000 };

/** What {@linkcode PeerCluster} is made from. */
export interface PeerClusterOptions {
  /** The node of this process. */
  readonly nodeId: string;
  /** The Swarm, as far as it is asked. Its errors mean that the managers do not answer. */
  readonly swarm: {
    nodes(): Promise<readonly (Omit<ClusterNode, "name" | "cless"> & { readonly hostname: string })[]>;
    invitation(): Promise<{ readonly managers: JoinToken["managers"]; readonly tokens: JoinToken["swarm"] }>;
  };
  readonly members: Pick<Members, "peers">;
  readonly client: Pick<PeerClient, "ask">;
  /** How the node of this process is. */
  readonly status: () => Promise<NodeStatus>;
  readonly sharedToken: Pick<SharedToken, "spread">;
  /** What this process shares with those that join. */
  readonly shared: () => Promise<
    Pick<JoinToken, "owner" | "adminToken" | "adminTokenMadeAt" | "secretKey" | "identity">
  >;
}

/** The machines of the Swarm, and the cless processes on them. */
export class PeerCluster implements Cluster {
  readonly #options: PeerClusterOptions;

  constructor(options: PeerClusterOptions) {
    this.#options = options;
  }

  async nodes(): Promise<ClusterNode[]> {
    const nodes = await this.#managers(this.#options.swarm.nodes());
    const peers = new Map(this.#options.members.peers.map((facts) => [facts.nodeId, facts]));
    const all = await Promise.all(nodes.map(async ({ hostname, ...node }) => {
      const facts = peers.get(node.id);
      return { ...node, name: hostname, cless: facts && await this.#peer(facts) };
    }));
    return all.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1);
  }

  async joinToken(): Promise<string> {
    const { members, shared, swarm } = this.#options;
    const { managers, tokens } = await this.#managers(swarm.invitation());
    const onManagers = members.peers.filter(({ nodeId }) => managers.some((manager) => manager.nodeId === nodeId));
    const peers = onManagers.map(({ address }) => address);
    return formatJoinToken({ ...await shared(), managers, swarm: tokens, peers });
  }

  async spreadToken(): Promise<void> {
    await this.#options.sharedToken.spread();
  }

  async #peer({ address, nodeId, version }: PeerFacts): Promise<ClusterPeer> {
    const { client, nodeId: own, status } = this.#options;
    try {
      const { instances, memoryBytes } = await (nodeId === own ? status() : client.ask(nodeId, "status", null, STATUS));
      return { address, version, instances, memoryBytes };
    } catch (error) {
      log.debug("a peer does not say how its node is", { node: nodeId, reason: messageOf(error) });
      return { address, version, instances: undefined, memoryBytes: undefined };
    }
  }

  /** What the managers answer. @throws {OperatorError} */
  async #managers<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw new OperatorError(`the managers of the Swarm do not answer: ${messageOf(error)}`, { cause: error });
    }
  }
}
