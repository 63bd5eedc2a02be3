import { systemClock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { messageOf } from "../base/errors.ts";
import { readIfThere } from "../base/atomic_file.ts";
import { VERSION } from "../base/version.ts";
import type { Finding } from "../docker/checks.ts";
import { SocketClient } from "../docker/socket_client.ts";
import { checkSwarm, checkWall, volumeFindings } from "../docker/swarm/checks.ts";
import { NodeWall } from "../docker/swarm/node_wall.ts";
import { SwarmRegistrations } from "../docker/swarm/registrations.ts";
import { RemoteEngine } from "../docker/swarm/remote_engine.ts";
import { SwarmCalls } from "../docker/swarm/swarm_calls.ts";
import { VolumeRecords } from "../docker/swarm/volume_records.ts";
import { type Endpoint, parseEndpoint } from "../model/host.ts";
import { identityOf, type PeerIdentity } from "../peers/identity.ts";
import { Managers } from "../peers/managers.ts";
import { PeerClient } from "../peers/peer_client.ts";

/** A machine that has gone neither accepts nor refuses a connection. */
const CONNECT_MS = 2000;
/** A registration is renewed every 10 s; an older one has another reason. */
const MAX_AGE_MS = 30_000;
/** By so much clocks may differ. */
const MAX_AHEAD_MS = 5000;

/**
 * Examines the Swarm, the firewall of this machine, and the other cless processes. @param socket The path of the
 * engine's socket. @param isRunning Whether a cless runs with this data-dir.
 */
export async function examineSwarm(config: Config, socket: string, isRunning: boolean): Promise<Finding[]> {
  using engine = new SocketClient(socket);
  const identity = await readIdentity(config.dataDir);
  using client = identity && new PeerClient(identity, new Map(), systemClock);
  const managers = client && config.managers.length > 0 ? new Managers(config.managers, client) : undefined;
  const manager = managers && new RemoteEngine(managers);
  const owner = (await readIfThere(`${config.dataDir}/owner`))?.trim() ?? "";
  const { openPorts: mayBeOpen, portRange: ports } = config;
  const findings = await checkSwarm({ engine, manager, connect, ports });
  findings.push(await checkWall(new NodeWall(owner), { isRunning, mayBeOpen, ports }));
  if (
    client === undefined ||
    findings.some(({ check, state }) => state === "failed" && check !== "ports" && check !== "firewall")
  ) {
    return findings;
  }
  const { isManager, nodeId } = await new SwarmCalls(engine).info();
  const swarm = new SwarmCalls(isManager || manager === undefined ? engine : manager);
  const registered = (await new SwarmRegistrations(swarm, owner).list()).filter((other) => other.nodeId !== nodeId);
  const nodes = await swarm.nodes();
  findings.push(...volumeFindings(await new VolumeRecords(swarm, owner).all(), nodes, Date.now()));
  const names = new Map(nodes.map(({ hostname, id }) => [id, hostname]));
  const checked = await Promise.all(registered.map(async ({ address, nodeId, seenAt, version }) => {
    const name = names.get(nodeId) ?? nodeId;
    try {
      await client.askAt(parseEndpoint(address), "status", null, { timeoutMs: CONNECT_MS });
    } catch (error) {
      const remedy = "open that port between the machines; a cless that has just ended is forgotten within a minute";
      return [{ check: "peers", state: "warning", fact: `${name}: ${messageOf(error)}`, remedy } satisfies Finding];
    }
    return peerFindings(name, { version, ageMs: Date.now() - seenAt });
  }));
  return [...findings, ...checked.flat()];
}

/** What can be said of a cless that answers. @param ageMs For how long it has not renewed its registration. */
export function peerFindings(
  name: string,
  { ageMs, version }: { readonly version: string; readonly ageMs: number },
): Finding[] {
  const check = "peers";
  const findings: Finding[] = [{ check, state: "ok", fact: `the cless on ${name} answers` }];
  if (version !== VERSION) {
    const fact = `the cless on ${name} has the version ${version}, this one ${VERSION}`;
    findings.push({ check, state: "warning", fact, remedy: "bring them to one version" });
  }
  if (ageMs < -MAX_AHEAD_MS || ageMs > MAX_AGE_MS) {
    const seconds = Math.round(Math.abs(ageMs) / 1000);
    const fact = `the clock of ${name} is about ${seconds} s ${ageMs < 0 ? "ahead of" : "behind"} this one's`;
    findings.push({ check: "clocks", state: "warning", fact, remedy: "let NTP set the clocks of all machines" });
  }
  return findings;
}

/** The identity in a data-dir; `undefined` if there is none, or it cannot be read. */
async function readIdentity(dataDir: string): Promise<PeerIdentity | undefined> {
  try {
    return identityOf(JSON.parse(await readIfThere(`${dataDir}/peer-identity`) ?? "null"));
  } catch {
    return undefined;
  }
}

async function connect({ hostname, port }: Endpoint): Promise<"accepted" | "refused" | "silent"> {
  const late = AbortSignal.timeout(CONNECT_MS);
  try {
    (await Deno.connect({ hostname, port, signal: late })).close();
    return "accepted";
  } catch {
    return late.aborted ? "silent" : "refused";
  }
}
