import type { Revision } from "../../src/model/revision.ts";
import type { EngineChoice } from "../../src/docker/engine_choice.ts";
import type { NodePeers, PeerAnswer, PeerMessage } from "../../src/docker/swarm/instance_messages.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { FakeNode } from "./fake_node.ts";
import { FakeSwarm } from "./fake_swarm.ts";
import { newRevision } from "./kit.ts";
import { SharingCless } from "./sharing_cless.ts";

/** A service that is paused after 10 s and stopped after 60 s. */
export const SHARED: Revision = {
  ...newRevision(),
  pauseAfterMs: 10_000,
  stopAfterMs: 60_000,
  imageDigest: "app@sha256:1",
};

/** Several cless on one Swarm, each with the pools of its own, that talk to each other. */
export class SwarmCluster implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly swarm: FakeSwarm;
  readonly all: readonly FakeSharingCless[];
  /** The nodes whose cless nobody reaches, and whose registration has not run out. */
  readonly cut = new Set<string>();
  /** The nodes whose cless are gone. */
  readonly dead = new Set<string>();
  /** What they say to each other, as `FROM to TO: MESSAGE`. */
  readonly said: string[] = [];
  /** Called before a message reaches a node: may wait. */
  before: (to: string, message: PeerMessage) => Promise<void> | void = () => {};

  private constructor(count: number, revision: Revision) {
    const nodeIds = Array.from({ length: count }, (_, n) => `node${n + 1}`);
    this.swarm = new FakeSwarm(this.clock, nodeIds);
    this.all = nodeIds.map((id) => new FakeSharingCless(this, id, revision));
  }

  static async start(count: number, revision = SHARED): Promise<SwarmCluster> {
    const cluster = new SwarmCluster(count, revision);
    await Promise.all(cluster.all.map((cless) => cless.start()));
    return cluster;
  }

  /** The peers of a node's cless. */
  peersOf(nodeId: string): NodePeers {
    const { cut, dead, said, swarm } = this;
    const clessOf = (id: string) => this.all.find((cless) => cless.nodeId === id)!;
    return {
      get live() {
        return swarm.nodes.map(({ id }) => id).filter((id) => id === nodeId || !dead.has(id));
      },
      noteNodes() {},
      ask: async (to: string, message: PeerMessage): Promise<PeerAnswer> => {
        await Promise.resolve();
        await this.before(to, message);
        if (cut.has(to) || dead.has(to) || cut.has(nodeId)) throw new Error("it does not answer");
        said.push(`${nodeId} to ${to}: ${Object.keys(message)[0]}`);
        return await clessOf(to).answers.answer(JSON.parse(JSON.stringify(message)));
      },
    };
  }

  /** Lets the cless of a node be gone, as the others know at once. */
  die(nodeId: string): void {
    this.dead.add(nodeId);
    for (const { engine, nodeId: other } of this.all) {
      if (other !== nodeId) engine.launcher.sharing.slots.home.went(nodeId);
    }
  }

  /** What was said since the last call. */
  takeSaid(): string[] {
    return this.said.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((cless) => cless.engine.leave()));
  }
}

/** A cless on a node of a Swarm in memory. */
export class FakeSharingCless extends SharingCless {
  readonly node: FakeNode;
  /** The apps that do not answer, by their origins. */
  readonly deaf: Set<string>;
  readonly #clock: FakeClock;

  constructor(cluster: SwarmCluster, nodeId: string, revision: Revision) {
    const { clock, swarm } = cluster;
    const node = new FakeNode(swarm, nodeId);
    const { address: nodeAddress } = swarm.nodes.find(({ id }) => id === nodeId)!;
    const deaf = new Set<string>();
    const untilReady = async (url: string, _clock: unknown, signal: AbortSignal) => {
      while (deaf.has(new URL(url).origin)) {
        signal.throwIfAborted();
        await new Promise<void>((resolve) => clock.after(50, resolve));
      }
    };
    super(
      {
        choice: { api: node.api } as EngineChoice,
        caller: node,
        swarm: swarm.api(nodeId),
        info: { nodeId, nodeAddress, isManager: true },
        peers: cluster.peersOf(nodeId),
      },
      revision,
      clock,
      { ask: (url) => Promise.resolve(deaf.has(new URL(url).origin) ? "silent" : 200), untilReady },
    );
    this.node = node;
    this.deaf = deaf;
    this.#clock = clock;
  }

  override async serve(): Promise<string> {
    const served = await this.#clock.until(super.serve());
    await settle();
    return served;
  }
}
