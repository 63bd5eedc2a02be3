import { EngineError } from "../engine_error.ts";
import { type EngineCaller, parseAnswer } from "../socket_client.ts";
import type { ApiNode } from "./swarm_json.ts";

/** The engine itself gives up after 20 s, and goes on with it. */
const JOIN_MS = 60_000;
/** Where managers listen for nodes: https://docs.docker.com/engine/swarm/swarm-tutorial/#open-protocols-and-ports */
const LISTEN = "0.0.0.0:2377";

/** What a machine needs to become a node of a Swarm. */
export interface SwarmInvitation {
  /** The Swarm's id. */
  readonly clusterId: string;
  /** Where its managers listen for new nodes: `HOST:PORT`. */
  readonly managers: readonly string[];
  /** Swarm's own tokens for each role. */
  readonly tokens: { readonly worker: string; readonly manager: string };
}

/** `GET /swarm` */
interface ApiSwarm {
  readonly ID?: string;
  readonly JoinTokens?: { readonly Worker?: string; readonly Manager?: string };
}

/** What a manager's engine tells a new node. @throws {EngineError} */
export async function swarmInvitation(engine: EngineCaller): Promise<SwarmInvitation> {
  const { ID, JoinTokens } = parseAnswer<ApiSwarm>("/swarm", await engine.ask("GET", "/swarm"));
  const nodes = parseAnswer<ApiNode[]>("/nodes", await engine.ask("GET", "/nodes"));
  const managers = nodes.flatMap(({ ManagerStatus }) => ManagerStatus?.Addr ?? []);
  const { Manager, Worker } = JoinTokens ?? {};
  if (ID === undefined || Manager === undefined || Worker === undefined || managers.length === 0) {
    throw new EngineError("refused", "the engine does not tell how other machines join its Swarm");
  }
  return { clusterId: ID, managers: managers.sort(), tokens: { worker: Worker, manager: Manager } };
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
  const body = { ListenAddr: LISTEN, AdvertiseAddr: advertise, RemoteAddrs: managers, JoinToken: tokens[role] };
  await engine.ask("POST", "/swarm/join", { body, timeoutMs: JOIN_MS });
}
