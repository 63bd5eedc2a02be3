import { PEER_PORT } from "../../base/config.ts";
import { EngineError } from "../engine_error.ts";
import { type EngineCaller, parseAnswer } from "../socket_client.ts";
import type { SwarmNode } from "./swarm_api.ts";
import { type ApiNode, nodeOf } from "./swarm_json.ts";

const NANO_PER_MS = 1e6;
/** What has to be open between the machines, besides the ports of instances. No instance is on an overlay network. */
export const OPEN_PORTS = `2377/tcp, 7946/tcp, 7946/udp and ${PEER_PORT}/tcp`;
/** The engine itself gives up after 20 s, and goes on with it. */
const JOIN_MS = 60_000;
/** Where managers listen for nodes: https://docs.docker.com/engine/swarm/swarm-tutorial/#open-protocols-and-ports */
const LISTEN = "0.0.0.0:2377";

/** A manager of a Swarm. */
interface Manager {
  readonly nodeId: string;
  /** Where it listens for new nodes: `HOST:PORT`. */
  readonly address: string;
}

/** What a machine needs to become a node of a Swarm. */
export interface SwarmInvitation {
  readonly managers: readonly Manager[];
  /** Swarm's own tokens for each role. */
  readonly tokens: { readonly worker: string; readonly manager: string };
}

/** What a manager tells of its Swarm. */
export interface SwarmAsManaged extends SwarmInvitation {
  readonly nodes: readonly SwarmNode[];
  /** How often each node says that it lives. */
  readonly heartbeatMs: number;
}

/** `GET /swarm` */
interface ApiSwarm {
  readonly JoinTokens?: { readonly Worker?: string; readonly Manager?: string };
  readonly Spec?: { readonly Dispatcher?: { readonly HeartbeatPeriod?: number } };
}

/** What a manager's engine tells, to a new node too. @throws {EngineError} */
export async function swarmInvitation(engine: EngineCaller): Promise<SwarmAsManaged> {
  const { JoinTokens, Spec } = parseAnswer<ApiSwarm>("/swarm", await engine.ask("GET", "/swarm"));
  const nodes = parseAnswer<ApiNode[]>("/nodes", await engine.ask("GET", "/nodes"));
  const managers = nodes.flatMap(({ ID: nodeId, ManagerStatus }) => {
    return ManagerStatus?.Addr === undefined ? [] : [{ nodeId, address: ManagerStatus.Addr }];
  });
  const { Manager, Worker } = JoinTokens ?? {};
  if (Manager === undefined || Worker === undefined || managers.length === 0) {
    throw new EngineError("refused", "the engine does not tell how other machines join its Swarm");
  }
  const heartbeatMs = (Spec?.Dispatcher?.HeartbeatPeriod ?? 0) / NANO_PER_MS;
  return { managers, tokens: { worker: Worker, manager: Manager }, nodes: nodes.map(nodeOf), heartbeatMs };
}

/** Whether a machine is in a Swarm, by Docker's words. */
type SwarmState = "inactive" | "pending" | "active" | "error" | "locked";

/** How a machine is in a Swarm. */
export interface Membership {
  readonly state: SwarmState;
  readonly isManager: boolean;
  /** The ids of the managers that it knows. */
  readonly managers: readonly string[];
}

/** `GET /info` */
interface ApiMembership {
  readonly Swarm?: {
    readonly LocalNodeState?: SwarmState | "";
    readonly ControlAvailable?: boolean;
    readonly RemoteManagers?: readonly { readonly NodeID?: string }[] | null;
  };
}

/** How the engine's machine is in a Swarm. @throws {EngineError} */
export async function membershipOf(engine: EngineCaller): Promise<Membership> {
  const { Swarm } = parseAnswer<ApiMembership>("/info", await engine.ask("GET", "/info"));
  return {
    state: Swarm?.LocalNodeState || "inactive",
    isManager: Swarm?.ControlAvailable ?? false,
    managers: (Swarm?.RemoteManagers ?? []).flatMap(({ NodeID }) => NodeID ?? []),
  };
}

/** How a machine joins a Swarm. */
export interface JoinOptions {
  readonly role: "worker" | "manager";
  /** The address at which the other nodes reach this machine; missing if it has only one. */
  readonly advertise?: string | undefined;
}

/** Makes the engine's machine a node of a Swarm. @throws {EngineError} */
export async function joinSwarm(
  engine: EngineCaller,
  { managers, tokens }: SwarmInvitation,
  { advertise = "", role }: JoinOptions,
): Promise<void> {
  const addresses = managers.map(({ address }) => address);
  const body = { ListenAddr: LISTEN, AdvertiseAddr: advertise, RemoteAddrs: addresses, JoinToken: tokens[role] };
  await engine.ask("POST", "/swarm/join", { body, timeoutMs: JOIN_MS });
}
