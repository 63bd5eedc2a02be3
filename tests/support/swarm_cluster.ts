import type { Revision } from "../../src/model/revision.ts";
import { Adoption } from "../../src/fleet/adoption.ts";
import { Fleet } from "../../src/fleet/fleet.ts";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import type { DataDir } from "../../src/control/data_dir.ts";
import type { EngineChoice } from "../../src/docker/engine_choice.ts";
import type { PeerAnswer, PeerMessage, Peers } from "../../src/docker/swarm/peers.ts";
import { SharedInstances } from "../../src/docker/swarm/shared_instances.ts";
import { SwarmEngine } from "../../src/docker/swarm/swarm_engine.ts";
import { Executor } from "../../src/pool/executor.ts";
import { InstancePool } from "../../src/pool/pool.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { FakeNode } from "./fake_node.ts";
import { FakeSwarm } from "./fake_swarm.ts";
import { newRevision } from "./kit.ts";

/** The owner of all cless of these tests. */
export const OWNER = "a1b2c3d4";

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
  readonly all: readonly SharingCless[];
  /** The nodes whose cless nobody reaches, and whose registration has not run out. */
  readonly cut = new Set<string>();
  /** The nodes whose cless are gone. */
  readonly dead = new Set<string>();
  /** What they say to each other, as `FROM to TO: MESSAGE`. */
  readonly said: string[] = [];

  private constructor(count: number) {
    const nodeIds = Array.from({ length: count }, (_, n) => `node${n + 1}`);
    this.swarm = new FakeSwarm(this.clock, nodeIds);
    this.all = nodeIds.map((id) => new SharingCless(this, id));
  }

  static async start(count: number): Promise<SwarmCluster> {
    const cluster = new SwarmCluster(count);
    await Promise.all(cluster.all.map((cless) => cless.start()));
    return cluster;
  }

  /** The peers of a node's cless. */
  peersOf(nodeId: string): Peers {
    const { cut, dead, said, swarm } = this;
    const clessOf = (id: string) => this.all.find((cless) => cless.nodeId === id)!;
    return {
      get live() {
        return swarm.nodes.map(({ id }) => id).filter((id) => id === nodeId || !dead.has(id));
      },
      ask: async (to: string, message: PeerMessage): Promise<PeerAnswer> => {
        await Promise.resolve();
        if (cut.has(to) || dead.has(to) || cut.has(nodeId)) throw new Error("it does not answer");
        said.push(`${nodeId} to ${to}: ${Object.keys(message)[0]}`);
        return await clessOf(to).shared.answer(JSON.parse(JSON.stringify(message)));
      },
    };
  }

  /** What was said since the last call. */
  takeSaid(): string[] {
    return this.said.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((cless) => cless.engine.leave()));
  }
}

/** A cless on a node, with a pool of one revision. */
export class SharingCless {
  readonly nodeId: string;
  readonly node: FakeNode;
  readonly engine: SwarmEngine;
  readonly fleet = new Fleet();
  readonly executor: Executor;
  readonly shared: SharedInstances;
  readonly adoption: Adoption;
  readonly reconciler: Reconciler;
  /** The apps that do not answer, by their origins. */
  readonly deaf = new Set<string>();
  pool: InstancePool;
  readonly #clock: FakeClock;

  constructor(cluster: SwarmCluster, nodeId: string) {
    const { clock, swarm } = cluster;
    this.#clock = clock;
    this.nodeId = nodeId;
    this.node = new FakeNode(swarm, nodeId);
    const { address: nodeAddress, hostname } = swarm.nodes.find(({ id }) => id === nodeId)!;
    this.engine = new SwarmEngine(
      {
        choice: { api: this.node.api } as EngineChoice,
        caller: this.node,
        swarm: swarm.api(nodeId),
        info: { clusterId: "cluster1", nodeId, nodeAddress, hostname, isManager: true },
        peers: cluster.peersOf(nodeId),
        wall: { admit: () => Promise.resolve(), remove: () => Promise.resolve(), repair: () => Promise.resolve() },
      },
      {
        ...{ freezer: "docker", freezerSocket: "/none", swapBudgetBytes: undefined, noHostAccess: false },
        ...{ defaultCpus: undefined, defaultMemoryBytes: Infinity, drainTimeoutMs: 30_000 },
        portRange: { first: 20_000, last: 20_999 },
        openPorts: true,
      },
      { owner: OWNER, path: "/data" } as DataDir,
      clock,
    );
    const { launcher } = this.engine;
    this.executor = new Executor(launcher, clock, this.fleet, {
      ask: (url) => Promise.resolve(this.deaf.has(new URL(url).origin) ? "silent" : 200),
      untilReady: (url, _clock, signal) => this.#untilReady(new URL(url).origin, signal),
    });
    this.adoption = new Adoption(Object.assign(launcher, { found() {} }), clock, 1000);
    this.reconciler = new Reconciler(launcher, this.fleet, this.adoption, clock);
    this.shared = new SharedInstances(this.fleet, launcher, clock, () => void this.reconciler.refresh());
    this.pool = this.newPool();
  }

  /** Makes the pool of another revision, which is looked after from now on. */
  newPool(revision: Revision = SHARED): InstancePool {
    const { fleet, executor } = this;
    const newId = (revision: Revision) => this.engine.newId(revision, fleet);
    this.pool = new InstancePool(revision, { clock: this.#clock, executor, fleet, maxPending: 100, newId });
    return this.pool;
  }

  async start(): Promise<void> {
    await this.engine.start(Promise.resolve(), {
      apply: (event) => this.fleet.apply(event),
      gap: () => void (this.adoption.known && this.reconciler.refresh()),
    });
    await this.adoption.run(({ revision }) => revision === this.pool.revision.name ? this.pool : undefined);
  }

  /** The states of the instances, by id. */
  get states(): Record<string, string> {
    return Object.fromEntries(this.fleet.instances().map(({ id, state }) => [id, state]));
  }

  /** Has a request served. Resolves with the instance's id. */
  async serve(): Promise<string> {
    const lease = this.pool.claim() ?? (await this.#clock.until(this.pool.hold(new AbortController().signal))).lease;
    lease.release();
    await settle();
    return lease.instance.id;
  }

  async #untilReady(origin: string, signal: AbortSignal): Promise<void> {
    while (this.deaf.has(origin)) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#clock.after(50, resolve));
    }
  }
}
