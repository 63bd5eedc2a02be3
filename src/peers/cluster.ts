import { messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Cluster, ClusterNode, ClusterPeer, SentImage } from "../control/cluster.ts";
import { ImageUnavailable, NotFound } from "../control/deploy_error.ts";
import type { ImageExchange } from "./image_exchange.ts";
import { formatJoinToken, type JoinToken } from "./join_token.ts";
import type { Members } from "./members.ts";
import type { NodeStatus, PeerFacts } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";
import type { SharedToken } from "./shared_token.ts";

const log = logger("peers");
/** How long a peer may take to say how its node is. */
const STATUS = { timeoutMs: 3000 };

const MANAGERS = "the managers of the Swarm do not answer";

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
  readonly images: Pick<ImageExchange, "send">;
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
    const nodes = await answerOf(MANAGERS, this.#options.swarm.nodes());
    const peers = new Map(this.#options.members.peers.map((facts) => [facts.nodeId, facts]));
    const all = await Promise.all(nodes.map(async ({ hostname, ...node }) => {
      const facts = peers.get(node.id);
      return { ...node, name: hostname, cless: facts && await this.#peer(facts) };
    }));
    return all.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1);
  }

  async joinToken(): Promise<string> {
    const { members, shared, swarm } = this.#options;
    const { managers, tokens } = await answerOf(MANAGERS, swarm.invitation());
    const onManagers = members.peers.filter(({ nodeId }) => managers.some((manager) => manager.nodeId === nodeId));
    const peers = onManagers.map(({ address }) => address);
    return formatJoinToken({ ...await shared(), managers, swarm: tokens, peers });
  }

  async sendImage(image: string, to?: string): Promise<SentImage[]> {
    const { images, members, nodeId: own } = this.#options;
    const nodes = await answerOf(MANAGERS, this.#options.swarm.nodes());
    const names = new Map(nodes.map(({ hostname, id }) => [id, hostname]));
    const others = members.peers.map(({ nodeId }) => nodeId).filter((nodeId) => nodeId !== own);
    const wanted = others.filter((nodeId) => to === undefined || names.get(nodeId) === to);
    if (to !== undefined && wanted.length === 0) throw new NotFound(`no other machine named ${to} has a cless`);
    const sent = await answerOf("the Docker engine does not answer", images.send(image, wanted));
    if (sent === undefined) {
      throw new ImageUnavailable(`the image ${image} is not on this machine`, { reason: "not_found" });
    }
    return sent.map(({ nodeId, ...outcome }) => ({ node: names.get(nodeId) ?? nodeId, ...outcome }))
      .sort((a, b) => a.node < b.node ? -1 : 1);
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
}

/** What an engine answers. @param failure What it means if there is no answer. @throws {OperatorError} */
async function answerOf<T>(failure: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new OperatorError(`${failure}: ${messageOf(error)}`, { cause: error });
  }
}
