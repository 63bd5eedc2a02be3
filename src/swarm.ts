import type { Clock } from "./base/clock.ts";
import { type Config, PEER_PORT } from "./base/config.ts";
import { messageOf, OperatorError } from "./base/errors.ts";
import { VERSION } from "./base/version.ts";
import type { FileReserve } from "./base/file_reserve.ts";
import { logger } from "./base/log.ts";
import type { Tokens } from "./control/access/tokens.ts";
import type { Cluster } from "./control/cluster.ts";
import type { DataDir } from "./control/data_dir.ts";
import type { InstanceControl } from "./control/instance_control.ts";
import type { OtherMachines } from "./control/figures/other_usages.ts";
import type { Replica } from "./control/replica.ts";
import type { Role } from "./control/take_over.ts";
import type { Deployer } from "./deploy/deployer.ts";
import type { EngineChoice } from "./docker/engine_choice.ts";
import { type EngineCaller, SocketClient } from "./docker/socket_client.ts";
import { NodeWall } from "./docker/swarm/node_wall.ts";
import { InstanceAnswers } from "./docker/swarm/instance_answers.ts";
import { PortGuard } from "./docker/swarm/port_guard.ts";
import type { NodePeers, PeerAnswer, PeerMessage } from "./docker/swarm/instance_messages.ts";
import { SwarmRegistrations } from "./docker/swarm/registrations.ts";
import { ImageArchives } from "./docker/swarm/image_archives.ts";
import { RemoteEngine, SharedEngine } from "./docker/swarm/remote_engine.ts";
import type { SwarmApi, SwarmInfo } from "./docker/swarm/swarm_api.ts";
import { SwarmStore } from "./docker/swarm/state/swarm_store.ts";
import { SwarmCalls } from "./docker/swarm/swarm_calls.ts";
import type { SwarmEngine } from "./docker/swarm/swarm_engine.ts";
import { type SwarmInvitation, swarmInvitation } from "./docker/swarm/swarm_join.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { Reconciler } from "./fleet/reconciler.ts";
import type { Listening } from "./http/listening.ts";
import { Server } from "./http/server.ts";
import { type Endpoint, formatEndpoint, isAnyAddress } from "./model/host.ts";
import type { Usage } from "./pool/launcher.ts";
import { peerApi } from "./peers/api.ts";
import { PeerCluster } from "./peers/cluster.ts";
import { openIdentity, type PeerIdentity } from "./peers/identity.ts";
import { ImageExchange } from "./peers/image_exchange.ts";
import { Managers } from "./peers/managers.ts";
import { Members } from "./peers/members.ts";
import type { NodeStatus } from "./peers/messages.ts";
import { PeerClient } from "./peers/peer_client.ts";
import { PeerAway } from "./peers/peer_error.ts";
import type { PeerLogs } from "./peers/peer_logs.ts";
import type { SharedToken } from "./peers/shared_token.ts";

const log = logger("swarm");
/** A machine may take this long to say what its instances use. */
const USAGES_MS = 5000;

/** The Swarm that this machine is a node of, and the other cless processes of the owner, as this one reaches them. */
export interface SwarmLink extends Disposable {
  /** What this node's engine says of itself. */
  readonly info: SwarmInfo;
  /** This node's engine. */
  readonly caller: EngineCaller;
  /** The Swarm, by this node's engine or by a manager's. */
  readonly api: SwarmApi;
  /** What all the owner's cless share. */
  readonly store: SwarmStore;
  /** From now on, what the others change is taken over. @param deployer Takes over a change of a service. */
  follow(deployer: Pick<Deployer, "refresh">, tokens: Pick<Tokens, "refresh">): Promise<void>;
  invitation(): Promise<SwarmInvitation>;
  readonly identity: PeerIdentity;
  /** Where a process listens for the others if the settings say nothing and it is alone on its machine. */
  readonly usualEndpoint: Endpoint;
  /** Where this process is to listen for the others. */
  readonly endpoint: Endpoint;
  /** Where the others reach a server that listens there, as `HOST:PORT`. */
  reachable(endpoint: Endpoint): string;
  readonly client: PeerClient;
  readonly members: Members;
  /** The others as the launcher needs them. */
  readonly peers: NodePeers;
  /** Keeps the ports of instances on this node, and the one for the others, closed to all but the Swarm's nodes. */
  readonly guard: PortGuard;
  /** This node's engine, for the cless processes of workers. */
  readonly shared: SharedEngine;
  readonly images: ImageExchange;
}

/**
 * Finds the Swarm. Registers nothing yet.
 *
 * @throws {OperatorError} If this machine is in no Swarm, or no manager is named that a worker can ask.
 */
export async function openSwarm(
  config: Pick<Config, "managers" | "peerListen" | "portRange">,
  { choice, clock, database, dataDir, listening = [] }: {
    readonly choice: Pick<EngineChoice, "socket">;
    readonly clock: Clock;
    /** This machine's own; the store closes it. */
    readonly database: Replica;
    readonly dataDir: Pick<DataDir, "owner" | "path">;
    /** Where the predecessor listens, if there is one. */
    readonly listening?: readonly Listening[] | undefined;
  },
): Promise<SwarmLink> {
  const caller = new SocketClient(choice.socket!, { clock }); // a Swarm is used by no other way
  try {
    const info = await new SwarmCalls(caller).info();
    if (info.nodeId === "") {
      throw new OperatorError(
        "this machine is in no Swarm; begin one with docker swarm init, or enter that of another machine with cless join",
      );
    }
    if (!info.isManager && config.managers.length === 0) {
      throw new OperatorError(
        `this machine is a worker of the Swarm; name a manager with --manager ADDRESS:${PEER_PORT}, as cless join has printed it`,
      );
    }
    const identity = await openIdentity(dataDir.path);
    const addresses = new Map<string, Endpoint>();
    const client = new PeerClient(identity, addresses, clock);
    const asked = info.isManager ? caller : new RemoteEngine(new Managers(config.managers, client));
    const api = new SwarmCalls(asked);
    const { nodeId } = info;
    const usualEndpoint = { hostname: info.nodeAddress, port: PEER_PORT };
    const members = new Members({
      ...{ nodeId, client, addresses, clock, version: VERSION },
      registrations: new SwarmRegistrations(api, dataDir.owner),
    });
    const store = new SwarmStore({ ...{ clock, now: Date.now }, api, owner: dataDir.owner, replica: database });
    return {
      ...{ info, caller, api, identity, client, members, store },
      invitation: () => swarmInvitation(asked),
      ...{ usualEndpoint, endpoint: config.peerListen ?? freeEndpoint(usualEndpoint, listening) },
      reachable: ({ hostname, port }) =>
        formatEndpoint({ hostname: isAnyAddress(hostname) ? info.nodeAddress : hostname, port }),
      peers: peersOf(members, client),
      guard: new PortGuard(new NodeWall(dataDir.owner), api, config.portRange, clock),
      shared: new SharedEngine(caller),
      images: new ImageExchange(nodeId, new ImageArchives(caller), client),
      async follow(deployer, tokens) {
        store.onForeignChange((change) => {
          if ("service" in change) deployer.refresh(change.service);
          else if ("tokens" in change) refreshTokens(tokens);
        });
        await refreshTokens(tokens);
      },
      [Symbol.dispose]() {
        store[Symbol.dispose]();
        client[Symbol.dispose]();
        caller[Symbol.dispose]();
      },
    };
  } catch (error) {
    caller[Symbol.dispose]();
    throw error;
  }
}

/** The usual address; with another port if that is taken, such as by the cless of another data-dir. */
function freeEndpoint(usual: Endpoint, listening: readonly Listening[]): Endpoint {
  const before = listening.find(({ given }) => formatEndpoint(given) === formatEndpoint(usual));
  if (before !== undefined) return before.actual;
  try {
    Deno.listen({ hostname: usual.hostname, port: usual.port }).close();
    return usual;
  } catch (error) {
    return error instanceof Deno.errors.AddrInUse ? { ...usual, port: 0 } : usual; // which then cannot be listened on
  }
}

async function refreshTokens(tokens: Pick<Tokens, "refresh">): Promise<void> {
  await tokens.refresh().catch((error) => log.warning("cannot take over tokens", { reason: messageOf(error) }));
}

function peersOf(members: Members, client: PeerClient): NodePeers {
  return {
    get live() {
      return members.live;
    },
    async ask(nodeId: string, message: PeerMessage, options?: { readonly timeoutMs?: number }): Promise<PeerAnswer> {
      try {
        return await client.ask(nodeId, "instance", message, options) as PeerAnswer;
      } catch (error) {
        if (error instanceof PeerAway && error.isRefused) members.refused(nodeId);
        throw error;
      }
    },
    noteNodes: (nodes) => members.noteNodes(nodes),
  };
}

/** The other machines, as far as what their instances use is asked. */
export function otherMachinesOf({ client, info, members }: SwarmLink): OtherMachines {
  return {
    get others() {
      return members.live.filter((nodeId) => nodeId !== info.nodeId);
    },
    usages: async (nodeId) => new Map(await client.ask(nodeId, "usages", null, { timeoutMs: USAGES_MS })),
  };
}

/** Makes the server at which the others reach this process. */
export function peerServerOf(
  { endpoint, identity, images, members, shared }: SwarmLink,
  { clock, control, engine, fleet, logs, reconciler, reserve, role, sharedToken, usages }: {
    readonly clock: Clock;
    readonly control: Pick<InstanceControl, "sleepHere">;
    readonly engine: SwarmEngine;
    readonly fleet: Fleet;
    readonly logs: PeerLogs;
    readonly reserve: FileReserve;
    readonly role: { readonly now: Role };
    readonly sharedToken: SharedToken;
    /** What the instances of this machine use. */
    readonly usages: () => Promise<ReadonlyMap<string, Usage>>;
    /** Looks for instances that this process does not know. */
    readonly reconciler: Pick<Reconciler, "discover" | "refresh">;
  },
): Server {
  const instances = new InstanceAnswers({ fleet, launcher: engine.launcher, control, clock, reconciler, role });
  const handler = peerApi({
    ...{ identity, clock },
    handlers: {
      ...members.handlers,
      ...sharedToken.handlers,
      ...images.handlers,
      status: () => nodeStatus(engine),
      usages: async () => [...await usages()],
      engine: (request, signal) => shared.ask(request, signal),
      instance: (message) => instances.answer(message as PeerMessage),
    },
    streams: { ...images.streams, ...logs.streams, "engine-pieces": (request, signal) => shared.open(request, signal) },
  });
  return new Server(endpoint, handler, clock, reserve, { cert: identity.certificate, key: identity.key });
}

/** The machines, as operators see them. */
export function clusterOf(
  { api, client, identity, images, info: { nodeId }, invitation, members }: SwarmLink,
  { config, dataDir, engine, sharedToken }: {
    readonly config: Pick<Config, "secretKey">;
    readonly dataDir: DataDir;
    readonly engine: Pick<SwarmEngine, "launcher">;
    readonly sharedToken: SharedToken;
  },
): Cluster {
  return new PeerCluster({
    ...{ nodeId, members, client, sharedToken, images },
    swarm: { nodes: () => api.nodes(), invitation },
    status: () => nodeStatus(engine),
    shared: async () => ({
      ...{ owner: dataDir.owner, adminToken: dataDir.token, adminTokenMadeAt: dataDir.tokenMadeAt, identity },
      secretKey: config.secretKey ?? (await Deno.readTextFile(`${dataDir.path}/secret-key`)).trim(),
    }),
  });
}

/** How this node is, as the others are told. */
async function nodeStatus({ launcher }: Pick<SwarmEngine, "launcher">): Promise<NodeStatus> {
  const usage = [...(await launcher.usage()).values()];
  return { version: VERSION, instances: usage.length, memoryBytes: usage.reduce((sum, { bytes }) => sum + bytes, 0) };
}
