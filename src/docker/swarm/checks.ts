import { messageOf } from "../../base/errors.ts";
import { type Endpoint, parseEndpoint } from "../../model/host.ts";
import type { Finding } from "../checks.ts";
import { type EngineCaller, parseAnswer } from "../socket_client.ts";
import type { NodeWall, PortRange } from "./node_wall.ts";
import type { SwarmNode } from "./swarm_api.ts";
import { SwarmCalls } from "./swarm_calls.ts";
import { absenceOf } from "./volume_place.ts";
import type { VolumeRecord } from "./volume_records.ts";
import { type Membership, membershipOf, OPEN_PORTS, type SwarmAsManaged, swarmInvitation } from "./swarm_join.ts";

/**
 * With it, a node that is lost is noticed after about 6 s; with Docker's own 5 s, after 11 s. With 1 s, a node that is
 * slow to find a new leader may be taken for lost too.
 */
const GOOD_HEARTBEAT_MS = 2000;
/** Where the nodes of a Swarm talk to each other: https://docs.docker.com/engine/swarm/swarm-tutorial/ */
const GOSSIP_PORT = 7946;

/** `GET /networks/NAME` */
interface ApiNetwork {
  readonly Options?: Readonly<Record<string, string>>;
}

/** What {@linkcode checkSwarm} asks. */
export interface SwarmChecked {
  /** This machine's engine. */
  readonly engine: EngineCaller;
  /** A manager's engine, for a worker; missing if none is known. */
  readonly manager: EngineCaller | undefined;
  /** What becomes of a connection: a firewall that drops it is `silent`. */
  readonly connect: (endpoint: Endpoint) => Promise<"accepted" | "refused" | "silent">;
  /** From which instances have their ports. */
  readonly ports: PortRange;
}

/** What is known of a Swarm. */
interface SwarmFacts extends Omit<SwarmAsManaged, "tokens"> {
  /** The id of this machine's node. */
  readonly own: string;
}

/** Examines the Swarm that this machine is to be a node of, and the ways to its other nodes. @throws {EngineError} */
export async function checkSwarm({ connect, engine, manager, ports }: SwarmChecked): Promise<Finding[]> {
  const membership = await membershipOf(engine);
  const finding = membershipFinding(membership);
  if (finding.state === "failed") return [finding];
  const asked = membership.isManager ? engine : manager;
  if (asked === undefined) {
    const remedy = "name a manager with --manager, as cless join has printed it";
    return [finding, {
      check: "manager",
      state: "failed",
      fact: "no manager is known that this worker can ask",
      remedy,
    }];
  }
  const { nodeId: own } = await new SwarmCalls(engine).info();
  const facts = { own, ...await swarmInvitation(asked) };
  return [finding, ...swarmFindings(facts), await checkApps(engine), ...await checkPorts(facts, connect, ports)];
}

/** Whether the apps on this machine reach each other: instances are on the engine's default network. */
async function checkApps(engine: EngineCaller): Promise<Finding> {
  const { Options = {} } = parseAnswer<ApiNetwork>("/networks/bridge", await engine.ask("GET", "/networks/bridge"));
  const check = "apps";
  if (Options["com.docker.network.bridge.enable_icc"] === "false") {
    return { check, state: "ok", fact: "apps on this machine do not reach each other" };
  }
  const fact = "apps on this machine reach each other at their own addresses";
  const remedy = 'put {"icc": false} into /etc/docker/daemon.json, and restart Docker';
  return { check, state: "warning", fact, remedy };
}

function membershipFinding({ isManager, state }: Membership): Finding {
  const check = "swarm";
  if (state === "active") {
    return { check, state: "ok", fact: `this machine is a ${isManager ? "manager" : "worker"} of a Swarm` };
  }
  const fact = state === "inactive"
    ? "this machine is in no Swarm"
    : `this machine is not rightly in a Swarm (${state})`;
  const remedies: Partial<Record<Membership["state"], string>> = {
    inactive: "begin one with docker swarm init, or enter that of another machine with cless join",
    locked: "unlock it with docker swarm unlock",
  };
  return {
    check,
    state: "failed",
    fact,
    remedy: remedies[state] ?? "wait, or leave it with docker swarm leave --force",
  };
}

/** What can be said of a Swarm without asking its machines. */
export function swarmFindings({ heartbeatMs, nodes }: SwarmFacts): Finding[] {
  const managers = nodes.filter(({ role }) => role === "manager").length;
  const down = nodes.filter(({ isReady }) => !isReady).map(({ hostname }) => hostname);
  const versions = new Set(nodes.map(({ engineVersion }) => engineVersion));
  return [
    managers % 2 === 0
      ? {
        ...{
          check: "managers",
          state: "warning",
          fact: `the Swarm has ${managers} managers; an even number gains nothing`,
        },
        remedy: "have one, three or five: docker node promote NAME, or cless join --manager-node",
      }
      : { check: "managers", state: "ok", fact: `the Swarm has ${managers} manager${managers === 1 ? "" : "s"}` },
    heartbeatMs > GOOD_HEARTBEAT_MS
      ? {
        ...{ check: "heartbeat", state: "warning" },
        fact: `nodes say every ${heartbeatMs / 1000} s that they live, so a lost one is noticed late`,
        remedy: "docker swarm update --dispatcher-heartbeat 2s",
      }
      : { check: "heartbeat", state: "ok", fact: `nodes say every ${heartbeatMs / 1000} s that they live` },
    ...down.length === 0 ? [] : [{
      ...{ check: "nodes", state: "warning" as const, fact: `the managers do not hear from ${down.join(", ")}` },
      remedy: "start them, or remove them with docker node rm",
    }],
    ...versions.size < 2 ? [] : [{
      ...{ check: "engines", state: "warning" as const },
      fact: `the nodes have several versions of Docker: ${[...versions].sort().join(", ")}`,
      remedy: "bring them to one",
    }],
  ];
}

/** Whether the machines that have the volumes of services are there. @param nowMs Wall-clock time, ms since 1970. */
export function volumeFindings(
  records: ReadonlyMap<string, VolumeRecord>,
  nodes: readonly SwarmNode[],
  nowMs: number,
): Finding[] {
  const check = "volumes";
  const service = "NAME";
  const findings = [...records].flatMap(([source, record]): Finding[] => {
    const absence = absenceOf({ source, record, nodes, nowMs, patienceMs: 0, service });
    return absence === undefined ? [] : [{ check, state: "warning", fact: absence.fact, remedy: absence.remedy }];
  });
  if (findings.length > 0 || records.size === 0) return findings;
  return [{ check, state: "ok", fact: `the machines of all volumes are there (${records.size})` }];
}

/** Whether this machine reaches the others where Swarm needs it. */
async function checkPorts(
  { managers, nodes, own }: SwarmFacts,
  connect: SwarmChecked["connect"],
  ports: PortRange,
): Promise<Finding[]> {
  const others = nodes.filter(({ id, isReady }) => id !== own && isReady);
  const wanted = others.flatMap(({ address, hostname, id }) => [
    { hostname, endpoint: { hostname: address, port: GOSSIP_PORT } },
    ...managers.filter(({ nodeId }) => nodeId === id).map(({ address }) => ({
      hostname,
      endpoint: parseEndpoint(address),
    })),
  ]);
  if (wanted.length === 0) return [];
  const reached = await Promise.all(wanted.map(async ({ endpoint }) => await connect(endpoint) === "accepted"));
  const missed = wanted.filter((_, at) => !reached[at]);
  // There need not be an instance at the port: then the other machine refuses the connection.
  const toInstances = await Promise.all(
    others.map(({ address: hostname }) => connect({ hostname, port: ports.first })),
  );
  const closed = others.filter((_, at) => toInstances[at] === "silent");
  const range = `${ports.first}:${ports.last}/tcp`;
  const findings = [
    ...missed.map(({ endpoint: { port }, hostname }): Finding => ({
      ...{ check: "ports", state: "failed", fact: `port ${port}/tcp of ${hostname} cannot be reached` },
      remedy: `open ${OPEN_PORTS} between the machines`,
    })),
    ...closed.map(({ hostname }): Finding => ({
      ...{
        check: "ports",
        state: "failed",
        fact: `the ports of instances on ${hostname}, ${range}, cannot be reached`,
      },
      remedy: `open ${range} between the machines`,
    })),
  ];
  if (findings.length > 0) return findings;
  return [{ check: "ports", state: "ok", fact: "the ports of the other nodes can be reached" }];
}

/**
 * Says whether the ports of instances on this machine are open to others than the Swarm's nodes.
 *
 * @param isRunning Whether a cless runs with the same data-dir. @param mayBeOpen Whether that one starts all the same.
 */
export async function checkWall(
  wall: Pick<NodeWall, "isSet">,
  { isRunning, mayBeOpen, ports: { first, last } }: {
    readonly isRunning: boolean;
    readonly mayBeOpen: boolean;
    readonly ports: PortRange;
  },
): Promise<Finding> {
  const check = "firewall";
  const ports = `the ports of instances (${first} to ${last})`;
  const elsewhere = "see that a firewall admits only the machines of the Swarm to them";
  try {
    if (await wall.isSet()) return { check, state: "ok", fact: `${ports} are open to the machines of the Swarm alone` };
  } catch (error) {
    const fact = `this user cannot see or change who reaches ${ports}: ${messageOf(error)}`;
    if (isRunning) return { check, state: "warning", fact, remedy: "use sudo cless doctor" };
    if (mayBeOpen) return { check, state: "warning", fact, remedy: elsewhere };
    return { check, state: "failed", fact, remedy: "run cless as root, or give --open-ports behind another firewall" };
  }
  if (!isRunning) return { check, state: "ok", fact: `cless closes ${ports} to all but the Swarm when it starts` };
  const fact = `${ports} are open to everybody who reaches this machine`;
  if (mayBeOpen) return { check, state: "warning", fact, remedy: elsewhere };
  return { check, state: "failed", fact, remedy: "start cless anew; its log says why it cannot close them" };
}
