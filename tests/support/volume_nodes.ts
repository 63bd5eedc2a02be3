import type { SwarmApi } from "../../src/docker/swarm/swarm_api.ts";
import type { PeerAnswer, PeerMessage, Peers } from "../../src/docker/swarm/instance_messages.ts";
import { VolumeNodes } from "../../src/docker/swarm/volume_nodes.ts";

/** A machine, as a test has it. */
export interface FakeMachine {
  /** The id of its engine. */
  readonly engine: string;
  /** Its named volumes, and the folders that containers may use. */
  readonly has: Set<string>;
  /** Whether its cless does not answer, though nobody takes it for gone. */
  isSilent?: boolean;
}

/** The {@linkcode VolumeNodes} of the cless on a node. @param machines Those with a cless, by the ids of their nodes. */
export function volumeNodesOf(
  swarm: SwarmApi,
  owner: string,
  nodeId: string,
  machines: ReadonlyMap<string, FakeMachine> = new Map([[nodeId, { engine: "engine", has: new Set() }]]),
  now: () => number = () => 0,
): VolumeNodes {
  const nodes = new Map<string, VolumeNodes>();
  const peers: Peers = {
    get live() {
      return [...machines.keys()].sort();
    },
    async ask(to: string, message: PeerMessage): Promise<PeerAnswer> {
      await Promise.resolve();
      if (machines.get(to)!.isSilent || !("hasVolume" in message)) throw new Error("it does not answer");
      return await nodesOf(to).answer(message.hasVolume);
    },
  };
  const nodesOf = (id: string): VolumeNodes => {
    const { engine, has } = machines.get(id)!;
    const here = {
      nodeId: id,
      hasVolume: (name: string) => Promise.resolve(has.has(name)),
      info: () => Promise.resolve({ id: engine }),
      folderProblem: (path: string) => Promise.resolve(has.has(path) ? undefined : "is not there; make it first"),
    };
    const made = nodes.get(id) ?? new VolumeNodes({ swarm, owner, peers, here, now });
    nodes.set(id, made);
    return made;
  };
  return nodesOf(nodeId);
}
