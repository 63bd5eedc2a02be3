import type { Cluster } from "../../swarm/cluster.ts";
import type { Node } from "../../swarm/nodes.ts";
import { cpuMicros } from "../support/process.ts";

/** What a node takes while nothing is asked of it, per second. */
export interface Quiet {
  /** What it sends to the others, bytes. */
  readonly sentBytes: number;
  /** CPU time of cless, µs. */
  readonly clessMicros: number;
  /** CPU time of the engine, µs. */
  readonly engineMicros: number;
}

/** Watches the nodes for a while. Resolves with one for each. */
export async function watchQuiet(cluster: Cluster, seconds: number): Promise<Quiet[]> {
  const read = () => Promise.all(cluster.nodes.all.map((node) => countersOf(cluster, node)));
  const before = await read();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await read();
  return after.map((now, place) => ({
    sentBytes: (now.sentBytes - before[place]!.sentBytes) / seconds,
    clessMicros: (now.clessMicros - before[place]!.clessMicros) / seconds,
    engineMicros: (now.engineMicros - before[place]!.engineMicros) / seconds,
  }));
}

async function countersOf(cluster: Cluster, node: Node): Promise<Quiet> {
  const sent = await node.exec("cat", "/sys/class/net/eth0/statistics/tx_bytes");
  return {
    sentBytes: Number(sent),
    clessMicros: await cpuMicros(await cluster.cless(node.number).pid()),
    engineMicros: await cpuMicros(await node.enginePid()),
  };
}
